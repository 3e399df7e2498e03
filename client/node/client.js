'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const { service } = require('./api.js');
const { fromGrpc } = require('./errors.js');
const { fromMessage, toMessage } = require('./json.js');

// As the client in C++, whose source says why: waits for a server that is away,
// and of 0.1, 0.3, 0.9 and 2.7 seconds between tries.
const SERVICE_CONFIG = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [{
    name: [{ service: service.fullName.slice(1) }],
    waitForReady: true,
    retryPolicy: {
      maxAttempts: 5,
      initialBackoff: '0.1s',
      maxBackoff: '3s',
      backoffMultiplier: 3,
      retryableStatusCodes: ['UNAVAILABLE', 'CANCELLED'],
    },
  }],
};

const CHANNEL_OPTIONS = {
  'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
  'grpc.service_config_disable_resolution': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.client_idle_timeout_ms': 60 * 1000,
  'grpc.keepalive_time_ms': 20 * 1000,
  'grpc.keepalive_timeout_ms': 5 * 1000,
};

// A watch that ends with one of these goes on.
const PASSING = [grpc.status.UNAVAILABLE, grpc.status.CANCELLED,
  grpc.status.DEADLINE_EXCEEDED, grpc.status.RESOURCE_EXHAUSTED,
  grpc.status.INTERNAL, grpc.status.UNKNOWN];
const LONGEST_WAIT = 3000;

function credentialsOf({ tls, token }) {
  if (!tls) {
    if (!token) return grpc.credentials.createInsecure();
    throw new TypeError('a token needs tls: everybody on the way could read it');
  }
  const { caFile, certificateFile, keyFile } = tls === true ? {} : tls;
  if (!certificateFile !== !keyFile) {
    throw new TypeError('a client certificate and its key are given together');
  }
  const read = (file) => (file ? fs.readFileSync(file) : null);
  return grpc.credentials.createSsl(
    read(caFile), read(keyFile), read(certificateFile));
}

function camelCase(name) {
  return name[0].toLowerCase() + name.slice(1);
}

// The client of the service at `server`, with a method for each of the API's:
// upsertUser, getProfile, and so on. index.d.ts says the rest.
function createClient({
  server = '127.0.0.1:50051', tls, token, timeout = 10000,
} = {}) {
  const client =
    new grpc.Client(server, credentialsOf({ tls, token }), CHANNEL_OPTIONS);

  function metadata() {
    const result = new grpc.Metadata({ waitForReady: true });
    if (token) result.set('authorization', `Bearer ${token}`);
    return result;
  }

  // What grpc.Client wants to know of a method, with the request.
  function callOf({ name, resolvedRequestType, resolvedResponseType }, request) {
    return [
      `/${service.fullName.slice(1)}/${name}`,
      (message) => resolvedRequestType.encode(message).finish(),
      (bytes) => fromMessage(resolvedResponseType.decode(bytes)),
      resolvedRequestType.fromObject(toMessage(resolvedRequestType, request)),
      metadata(),
    ];
  }

  function unary(method) {
    return async (request = {}) => {
      const call = callOf(method, request);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          ...call, { deadline: Date.now() + timeout },
          (error, response) => (error ? reject(fromGrpc(error)) : resolve(response)));
      });
    };
  }

  // Goes on where it was when a server stops. An event counts as dealt with once
  // the next one is asked for; those that were under way come again.
  function stream(method) {
    return async function* events(request = {}, { signal } = {}) {
      let token = request.resume_token;
      for (let wait = 100; ; wait = Math.min(wait * 3, LONGEST_WAIT)) {
        const call = client.makeServerStreamRequest(
          ...callOf(method, { ...request, resume_token: token }));
        const cancel = () => call.cancel();
        if (signal) signal.addEventListener('abort', cancel);
        try {
          if (signal && signal.aborted) return;
          for await (const event of call) {
            yield event;
            token = event.resume_token;
            wait = 100;
          }
        } catch (error) {
          if (signal && signal.aborted) return;
          if (!(error instanceof Error) || !PASSING.includes(error.code)) {
            throw error.code === undefined ? error : fromGrpc(error);
          }
        } finally {
          if (signal) signal.removeEventListener('abort', cancel);
          call.cancel();
        }
        await sleep(wait, undefined, { signal }).catch(() => {});
      }
    };
  }

  const methods = service.methodsArray.map((method) => [
    camelCase(method.name), (method.responseStream ? stream : unary)(method)]);
  return { ...Object.fromEntries(methods), close: () => client.close() };
}

module.exports = { createClient };

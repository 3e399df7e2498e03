'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const { service } = require('./api.js');
const { UserProfileError, fromGrpc } = require('./errors.js');
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

const LONGEST_WAIT = 3000;
// Three times as long as the server ever waits before it tells a watch something.
const SILENCE = 30 * 1000;

// Whether a watch that ended so goes on. What has no reason is not the service's
// word, but that of something on the way.
function mayGoOn({ status, reason }) {
  return ['UNAVAILABLE', 'CANCELLED', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']
    .includes(status) || (['INTERNAL', 'UNKNOWN'].includes(status) && !reason);
}

// As it may be sent. Read from a file, it has a line end; and gRPC's word about
// what it can't send would quote it.
function tokenOf(text) {
  if (!text) return undefined;
  const token = String(text).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new TypeError('the token is no token: it has other than visible ASCII');
}

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
// A watch that is told nothing for `silence` milliseconds has lost its server.
function createClient({
  server = '127.0.0.1:50051', tls, token: givenToken, timeout = 10000,
} = {}, { silence = SILENCE } = {}) {
  const token = tokenOf(givenToken);
  const client =
    new grpc.Client(server, credentialsOf({ tls, token }), CHANNEL_OPTIONS);
  const watches = new Set(); // an AbortController of each
  let isClosed = false;

  function close() {
    isClosed = true;
    for (const watch of watches) watch.abort();
    client.close();
  }

  function metadata() {
    const result = new grpc.Metadata({ waitForReady: true });
    if (token) result.set('authorization', `Bearer ${token}`);
    return result;
  }

  // What grpc.Client wants to know of a method, with the request.
  function callOf({ name, resolvedRequestType, resolvedResponseType }, request) {
    if (isClosed) {
      throw new UserProfileError(grpc.status.CANCELLED, 'the client is closed');
    }
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
      if (signal?.aborted) return;
      const watch = new AbortController();
      const end = () => watch.abort();
      signal?.addEventListener('abort', end);
      watches.add(watch);
      try {
        yield* eventsUntil(watch.signal, method, request);
      } finally {
        watches.delete(watch);
        signal?.removeEventListener('abort', end);
      }
    };
  }

  async function* eventsUntil(signal, method, request) {
    let token = request.resume_token;
    let wait = 100;
    while (!signal.aborted) {
      const call = client.makeServerStreamRequest(
        ...callOf(method, { ...request, resume_token: token }));
      call.on('error', () => {}); // also once nobody iterates any more
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel);
      let timer = setTimeout(cancel, silence);
      try {
        for await (const event of call) {
          clearTimeout(timer);
          yield event;
          token = event.resume_token;
          wait = 100;
          timer = setTimeout(cancel, silence);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error?.code === undefined) throw error;
        const failure = fromGrpc(error);
        if (!mayGoOn(failure)) throw failure;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', cancel);
        cancel();
      }
      await sleep(wait, undefined, { signal }).catch(() => {});
      wait = Math.min(wait * 3, LONGEST_WAIT);
    }
  }

  const methods = service.methodsArray.map((method) => [
    camelCase(method.name), (method.responseStream ? stream : unary)(method)]);
  return { ...Object.fromEntries(methods), close };
}

module.exports = { createClient };

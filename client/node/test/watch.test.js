'use strict';
// How watches end, and go on, with a service that is made here.

const assert = require('node:assert');
const { after, beforeEach, it } = require('node:test');
const grpc = require('@grpc/grpc-js');
const { message, root, service } = require('../api.js');
const { createClient } = require('../client.js');

const Event = message('WatchProfilesResponse');
const method = service.methods.WatchProfiles;
const DEFINITION = {
  watchProfiles: {
    path: `/${service.fullName.slice(1)}/WatchProfiles`,
    requestStream: false,
    responseStream: true,
    requestDeserialize: (bytes) => method.resolvedRequestType.decode(bytes),
    responseSerialize: (event) => Event.encode(event).finish(),
  },
};

const server = new grpc.Server();
const calls = []; // each stream that was begun
let answer; // what is done with one
server.addService(DEFINITION, {
  watchProfiles(call) {
    calls.push(call);
    answer(call);
  },
});
const listening = new Promise((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(),
    (error, port) => (error ? reject(error) : resolve(`127.0.0.1:${port}`)));
});
const clients = [];

async function clientOf(timing) {
  const client = createClient({ server: await listening }, timing);
  clients.push(client);
  return client;
}

function failureOf(code, reason) {
  const metadata = new grpc.Metadata();
  if (reason) {
    const info = root.lookupType('google.rpc.ErrorInfo').encode({ reason }).finish();
    metadata.set('grpc-status-details-bin', root.lookupType('google.rpc.Status')
      .encode({ code, details: [
        { type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value: info }] })
      .finish());
  }
  return { code, details: 'failed', metadata };
}

// An error that nobody handles comes in the next turn, and fails the test.
function nextTurn() {
  return new Promise(setImmediate);
}

function tell(call, token = 'token') {
  call.write(Event.create({ resume_token: token }));
}

beforeEach(() => {
  calls.length = 0;
});

after(() => {
  for (const client of clients) client.close();
  server.forceShutdown();
});

const LIMIT = { timeout: 30000 };

it('one that was aborted before it began tells nothing', LIMIT, async () => {
  const client = await clientOf();
  const signal = AbortSignal.abort();
  assert.deepStrictEqual(
    await client.watchProfiles({}, { signal }).next(),
    { value: undefined, done: true });
  await nextTurn();
  assert.strictEqual(calls.length, 0);
});

it('one that is aborted between two tries ends quietly', LIMIT, async () => {
  const client = await clientOf();
  const control = new AbortController();
  answer = (call) => {
    call.emit('error', failureOf(grpc.status.UNAVAILABLE));
    // By then the next pause takes long.
    if (calls.length === 4) setTimeout(() => control.abort(), 100);
  };
  for await (const event of client.watchProfiles(
    {}, { signal: control.signal })) assert.fail(event);
  // Long enough for an error that nobody handles.
  answer = (call) => tell(call);
  const events = client.watchProfiles();
  await events.next();
  await events.return();
  assert.strictEqual(calls.length, 5);
});

it('one ends with what the service says is for good', LIMIT, async () => {
  const client = await clientOf();
  for (const code of [grpc.status.INTERNAL, grpc.status.UNKNOWN]) {
    answer = (call) => {
      call.emit('error', failureOf(code, 'SCHEMA_UNFIT'));
    };
    await assert.rejects(
      client.watchProfiles().next(), { code, reason: 'SCHEMA_UNFIT' });
  }
  answer = (call) => {
    if (calls.length > 3) return tell(call);
    return call.emit('error', failureOf(grpc.status.INTERNAL));
  };
  const events = client.watchProfiles();
  assert.strictEqual((await events.next()).value.resume_token, 'token');
  await events.return();
});

it('one that is told nothing begins another stream', LIMIT, async () => {
  const client = await clientOf({ silence: 200 });
  answer = (call) => {
    if (calls.length !== 2) tell(call, `token ${calls.length}`);
  };
  const events = client.watchProfiles();
  assert.strictEqual((await events.next()).value.resume_token, 'token 1');
  assert.strictEqual((await events.next()).value.resume_token, 'token 3');
  assert.strictEqual(calls[2].request.resume_token, 'token 1');
  await events.return();
});

it('close() ends watches, and no call works after it', LIMIT, async () => {
  const client = await clientOf();
  answer = (call) => tell(call);
  const events = client.watchProfiles();
  await events.next();
  const next = events.next();
  client.close();
  assert.deepStrictEqual(await next, { value: undefined, done: true });
  const isClosed = { name: 'UserProfileError', message: 'the client is closed' };
  await assert.rejects(client.watchProfiles().next(), isClosed);
  await assert.rejects(client.getProfile({ user_id: 1 }), isClosed);
});

'use strict';

const assert = require('node:assert');
const { after, before, describe, it } = require('node:test');
const { UserProfileError, createClient, recognitionOf } = require('..');
const { PROGRAM, Server } = require('./server.js');

function failure(expected) {
  return (error) => {
    assert.ok(error instanceof UserProfileError, error);
    const seen = Object.keys(expected).map((key) => [key, error[key]]);
    assert.deepStrictEqual(Object.fromEntries(seen), expected);
    return true;
  };
}

describe('a client', { skip: !PROGRAM, timeout: 240000 }, () => {
  const server = new Server();
  let client;

  before(async () => {
    await server.start();
    client = createClient({ server: server.address, timeout: 60000 });
  });

  after(async () => {
    client.close();
    await server.remove();
  });

  it('has the methods of the API', () => {
    for (const name of ['upsertUser', 'batchGetProfiles', 'watchProfiles']) {
      assert.strictEqual(typeof client[name], 'function');
    }
  });

  it('recognizes who was there before', async () => {
    const contact = { user_id: 1, identity: { first_name: 'Ada' },
      occurred_at: new Date('2025-10-19T08:00:00Z') };
    const first = await client.upsertUser(contact);
    assert.strictEqual(recognitionOf(first), 'new');
    assert.strictEqual(first.profile.user_id, '1');
    assert.strictEqual(first.profile.last_activity, '2025-10-19T08:00:00Z');
    assert.ok(!('username' in first.profile));
    assert.strictEqual(
      recognitionOf(await client.upsertUser(contact)), 'returning');
    const { already_completed: already } = await client.completeOnboarding(
      { user_id: 1, answers: { real_name: 'Ada', nickname: 'ada' } });
    assert.strictEqual(already, false);
    assert.strictEqual(
      recognitionOf(await client.upsertUser(contact)), 'onboarded');
  });

  it('gives errors their reason', async () => {
    await assert.rejects(client.getProfile({ user_id: 404 }), failure({
      status: 'NOT_FOUND', reason: 'USER_NOT_FOUND', isRefused: true,
      metadata: { user_id: '404' },
    }));
    await client.upsertUser({ user_id: 2 });
    await assert.rejects(client.completeOnboarding(
      { user_id: 2, answers: { real_name: 'Bo', nickname: 'ada' } }),
    failure({ status: 'ALREADY_EXISTS', reason: 'NICKNAME_TAKEN' }));
    await assert.rejects(
      client.completeOnboarding({ user_id: 2, answers: { phone: 'none' } }),
      ({ reason, fieldViolations }) => {
        assert.strictEqual(reason, 'INVALID_FIELDS');
        assert.deepStrictEqual(fieldViolations.map(({ field }) => field).sort(),
          ['answers.nickname', 'answers.phone', 'answers.real_name']);
        return true;
      });
  });

  it('refuses what does not fit, without a word of it', async () => {
    for (const [request, message] of [
      [{ userId: 1 }, 'there is no UpsertUserRequest.userId'],
      [{ user_id: 'Ada' }, 'UpsertUserRequest.user_id is not a 64-bit integer'],
      [{ identity: 'Ada' }, 'UpsertUserRequest.identity is not an object'],
      [{ identity: { first_name: 7 } },
        'UpsertUserRequest.identity.first_name is not a string'],
      [{ occurred_at: 'soon' }, 'UpsertUserRequest.occurred_at is not a time'],
    ]) {
      await assert.rejects(
        client.upsertUser(request), { name: 'TypeError', message });
    }
  });

  it('speaks of attributes, masks, lists and times as JSON does', async () => {
    await client.upsertUser({ user_id: 3n });
    const attributes =
      { text: 'x', number: 1.5, no: false, list: [1, null, { a: 'b' }] };
    const { profile } = await client.updateProfile({
      profile: { user_id: '3', attributes, study_track: 'Art' },
      update_mask: ['attributes', 'study_track'],
    });
    assert.deepStrictEqual(profile.attributes, attributes);
    const { profiles } = await client.listProfiles({
      filter: { created_at: { from: profile.created_at } },
      read_mask: 'user_id,study_track',
    });
    assert.deepStrictEqual(profiles.map(({ user_id: id }) => id), ['3']);
    assert.deepStrictEqual(
      (await client.batchGetProfiles({ user_ids: [3, 404] })).missing_user_ids,
      ['404']);
  });

  it('gives each contact of many its own outcome', async () => {
    const { results } = await client.batchUpsertUsers(
      { requests: [{ user_id: 4 }, { user_id: -4 }] });
    assert.strictEqual(results[0].response.created, true);
    failure({ status: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' })(
      results[1].error);
  });

  it('watches on when the server was killed', async () => {
    const { watch_token: token } = await client.listProfiles();
    const told = [];
    const arrived = (async () => {
      for await (const event of client.watchProfiles({ resume_token: token })) {
        if (event.profile) told.push(event.profile.user_id);
        if (event.deleted_user_id) return;
      }
    })();
    for (const user of [11, 12, 13]) {
      await client.upsertUser({ user_id: user });
      await server.kill();
      await server.start();
    }
    await client.upsertUser({ user_id: 14 });
    await client.deleteUser({ user_id: 14 });
    await arrived;
    for (const user of ['11', '12', '13']) assert.ok(told.includes(user), told);
  });

  it('ends a watch when it is told to, or when its token is none', async () => {
    const control = new AbortController();
    for await (const event of client.watchProfiles(
      {}, { signal: control.signal })) {
      assert.ok(event.resume_token);
      control.abort();
    }
    await assert.rejects(
      client.watchProfiles({ resume_token: 'mine' }).next(),
      failure({ status: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' }));
  });

  it('waits for a server that is away, until its timeout', async () => {
    await server.kill();
    const hasty = createClient({ server: server.address, timeout: 300 });
    await assert.rejects(hasty.getProfile({ user_id: 1 }),
      failure({ status: 'DEADLINE_EXCEEDED', isRefused: false, reason: '' }));
    hasty.close();
    const waiting = client.upsertUser({ user_id: 1 });
    await server.start();
    assert.strictEqual(recognitionOf(await waiting), 'onboarded');
  });
});

it('a token is not sent for everybody to read', () => {
  assert.throws(() => createClient({ token: 'secret' }), TypeError);
});

it('a token is sent without its line end, and what is none is not told', () => {
  createClient({ token: 'secret\r\n', tls: true }).close();
  for (const token of ['sec\nret', 'secrét', 'sec ret', '\n']) {
    assert.throws(() => createClient({ token, tls: true }), (error) =>
      error instanceof TypeError && /^the token is no token/.test(error.message) &&
      !/sec/.test(error.message));
  }
});

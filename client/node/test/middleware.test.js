'use strict';

const assert = require('node:assert');
const { EventEmitter, once } = require('node:events');
const { it } = require('node:test');
const { UserProfileError, attach, userprofile } = require('..');

const UPDATE = {
  update_id: 1,
  message: { from: { id: 7, is_bot: false, first_name: 'Ada' },
    chat: { id: 7, type: 'private' }, text: 'x' },
};

// A service that answers each contact by what `answer` returns.
function serviceOf(answer) {
  const service = { calls: 0 };
  service.upsertUser = async (contact) => {
    service.calls += 1;
    service.event = contact.event_id;
    return answer(service.calls);
  };
  service.completeOnboarding = async (request) => ({
    profile: { user_id: '7', onboarding_completed: true, ...request.answers },
    already_completed: false,
  });
  service.updateProfile = async (request) => request;
  return service;
}

function known() {
  return { created: false, profile: { user_id: '7' } };
}

async function contactBy(client, update) {
  const ctx = { update };
  let handled = 0;
  await userprofile({ client })(ctx, async () => {
    handled += 1;
  });
  assert.strictEqual(handled, 1);
  return ctx.userprofile;
}

it('the next handler finds who it is', async () => {
  const contact = await contactBy(serviceOf(known), UPDATE);
  assert.strictEqual(contact.recognized, 'returning');
  await contact.complete({ real_name: 'Ada', nickname: 'ada' });
  assert.strictEqual(contact.recognized, 'onboarded');
  assert.strictEqual(contact.profile.real_name, 'Ada');
  const { profile } =
    await contact.update({ phone: '+98' }, { expected_revision: 3 });
  assert.deepStrictEqual(profile, { user_id: '7', phone: '+98' });
});

it('a contact names its update by the bot and its number', async () => {
  const service = serviceOf(known);
  for (const of of [
    { api: { token: '123:abc' } },
    { api: { transport: { token: '123:abc' } } },
    { telegram: { token: '123:abc' } },
  ]) {
    const ctx = { update: UPDATE, ...of };
    await userprofile({ client: service })(ctx, () => {});
    assert.strictEqual(service.event, '123:1');
  }
  await contactBy(service, UPDATE); // of a bot that is not known
  assert.strictEqual(service.event, undefined);
});

it('an update that the adapter has marked costs no call', async () => {
  const service = serviceOf(known);
  for (const userprofileOf of [
    { recognized: 'new', profile: { user_id: '7', nickname: 'a' } },
    { recognized: 'ignored' },
  ]) {
    const contact =
      await contactBy(service, { ...UPDATE, userprofile: userprofileOf });
    assert.strictEqual(contact.recognized, userprofileOf.recognized);
    assert.strictEqual(contact.profile, userprofileOf.profile);
  }
  assert.strictEqual(service.calls, 0);
});

it('a mark that says nothing is no answer', async () => {
  const service = serviceOf(known);
  const contact = await contactBy(
    service, { ...UPDATE, userprofile: { recognized: 'unknown' } });
  assert.strictEqual(contact.recognized, 'returning');
  assert.strictEqual(service.calls, 1);
});

it('an update that is nobody\'s costs no call', async () => {
  const service = serviceOf(known);
  const contact = await contactBy(service, { update_id: 1, poll: { id: '1' } });
  assert.strictEqual(contact.recognized, 'ignored');
  await assert.rejects(contact.complete({}), TypeError);
  assert.strictEqual(service.calls, 0);
});

it('without an answer no handler is called', async () => {
  const away = new UserProfileError(14, 'away');
  const client = serviceOf(() => Promise.reject(away));
  const ctx = { update: UPDATE };
  await assert.rejects(
    userprofile({ client })(ctx, () => assert.fail('was called')), away);
  assert.ok(!('userprofile' in ctx));
});

// As node-telegram-bot-api was before version 2.
class OldBot extends EventEmitter {
  processUpdate(update) {
    this.emit('message', update.message);
  }

  async getUpdates() {
    return [];
  }
}

it('an old bot emits what is stored, in order, before it asks on', async () => {
  const errors = [];
  const texts = [];
  const bot = new OldBot();
  bot.on('error', (error) => errors.push(error.message));
  bot.on('message', ({ text, userprofile: contact }) => {
    texts.push(`${text} ${contact.recognized}`);
  });
  attach(bot, { client: serviceOf((call) => (
    call === 1 ? Promise.reject(new UserProfileError(14, 'away')) : known())) });
  for (const text of ['a', 'b']) {
    bot.processUpdate({ ...UPDATE, message: { ...UPDATE.message, text } });
  }
  await once(bot, 'error');
  assert.deepStrictEqual(texts, []);
  await bot.getUpdates();
  assert.deepStrictEqual(texts, ['a returning', 'b returning']);
  assert.deepStrictEqual(errors, ['away']);
});

it('an old bot passes over what is refused for good', async () => {
  const bot = new OldBot();
  bot.on('error', () => {});
  bot.on('message', () => assert.fail('was emitted'));
  attach(bot, { client: serviceOf(
    () => Promise.reject(new UserProfileError(3, 'no'))) });
  bot.processUpdate(UPDATE);
  await bot.getUpdates();
});

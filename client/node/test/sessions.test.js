'use strict';

const assert = require('node:assert');
const { after, before, describe, it } = require('node:test');
const { UserProfileError, createClient, sessionStorage } = require('..');
const { PROGRAM, Server } = require('./server.js');

const TOKEN = '1:a';
const BOT = { id: 1, is_bot: true, first_name: 'Bot', username: 'a_bot' };

// A framework, if it is installed here.
function frameworkOf(name) {
  try {
    return require(name);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function message(id, user = 7) {
  const from = { id: user, is_bot: false, first_name: 'Ada' };
  return { update_id: id, message: { message_id: id, date: 1760000000, from,
    chat: { id: user, type: 'private', first_name: 'Ada' }, text: 'x' } };
}

it('a storage is told whose sessions it keeps', () => {
  assert.throws(() => sessionStorage(), TypeError);
  assert.throws(() => sessionStorage({ client: {} }), TypeError);
});

it('only that there is no session means that there is none', async () => {
  const failing = (reason) => sessionStorage({ bot: 'shop', client: {
    getSession: async () => {
      throw Object.assign(new UserProfileError(14, 'x', []), { reason });
    },
  } });
  assert.strictEqual(await failing('SESSION_NOT_FOUND').read('1'), undefined);
  for (const reason of ['USER_NOT_FOUND', 'SCHEMA_NOT_READY', '']) {
    await assert.rejects(failing(reason).read('1'), UserProfileError);
  }
});

describe('a storage of sessions', { skip: !PROGRAM, timeout: 240000 }, () => {
  const server = new Server();
  let client;
  let storage;

  before(async () => {
    await server.start();
    client = createClient({ server: server.address, timeout: 60000 });
    storage = sessionStorage({ bot: 'shop', client });
  });

  after(async () => {
    client.close();
    await server.remove();
  });

  it('returns what was written, after a kill too', async () => {
    const session = { step: 2, of: ['Ada', null, 'سارا'], deep: { x: 0.5 } };
    assert.strictEqual(await storage.read('chat:1'), undefined);
    await storage.write('chat:1', session);
    await server.kill();
    await server.start();
    assert.deepStrictEqual(await storage.read('chat:1'), session);
    assert.deepStrictEqual(await storage.get('chat:1'), session);
    await storage.set('chat:1', { step: 3 });
    assert.deepStrictEqual(await storage.get('chat:1'), { step: 3 });
    const other = sessionStorage({ bot: 'school', client });
    assert.strictEqual(await other.read('chat:1'), undefined);
    await storage.delete('chat:1');
    await storage.delete('chat:1');
    assert.strictEqual(await storage.read('chat:1'), undefined);
  });

  it('says when a session expires, and whose it is', async () => {
    const short = sessionStorage({ bot: 'shop', client, expiresAfter: 3600000,
      userIdOf: (key) => key.split(':')[1] });
    await short.write('user:7', {});
    const { session } = await client.getSession({ bot: 'shop', key: 'user:7' });
    assert.strictEqual(session.user_id, '7');
    assert.strictEqual(session.value, 'e30=');
    assert.ok(Date.parse(session.expires_at) > Date.now());
    await client.upsertUser({ user_id: 7 });
    await client.deleteUser({ user_id: 7 });
    assert.strictEqual(await short.read('user:7'), undefined);

    const past = sessionStorage({ bot: 'shop', client, expiresAfter: -3600000 });
    await past.write('chat:2', {});
    assert.strictEqual(await past.read('chat:2'), undefined);
  });

  const grammy = frameworkOf('grammy');
  it('keeps the sessions of grammY', { skip: !grammy }, async () => {
    const steps = [];
    for (const id of [1, 2, 3]) { // a bot that was started anew each time
      const bot = new grammy.Bot(TOKEN, { botInfo: BOT });
      bot.use(grammy.session({ initial: () => ({ step: 0 }), storage }));
      bot.on('message', (ctx) => {
        ctx.session.step += 1;
        steps.push(ctx.session.step);
        if (ctx.session.step === 2) ctx.session = undefined;
      });
      await bot.handleUpdate(message(id));
    }
    assert.deepStrictEqual(steps, [1, 2, 1]);
  });

  const telegraf = frameworkOf('telegraf');
  it('keeps the sessions of Telegraf', { skip: !telegraf }, async () => {
    const steps = [];
    for (const id of [1, 2, 3]) {
      const bot = new telegraf.Telegraf(TOKEN);
      bot.botInfo = BOT;
      bot.use(telegraf.session({ store: storage,
        defaultSession: () => ({ step: 0 }) }));
      bot.on('message', (ctx) => {
        ctx.session.step += 1;
        steps.push(ctx.session.step);
        if (ctx.session.step === 2) ctx.session = undefined;
      });
      await bot.handleUpdate(message(id, 8));
    }
    assert.deepStrictEqual(steps, [1, 2, 1]);
  });
});

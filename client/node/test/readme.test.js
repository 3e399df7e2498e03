'use strict';
// The bot of the README, with grammY if that is here, and stand-ins for Telegram
// and the service.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { it } = require('node:test');
const userprofile = require('..');

function grammy() {
  try {
    return require('grammy');
  } catch {
    return undefined;
  }
}

const README = fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8');
const [, BOT] = /```js\n(.*?)```/s.exec(README);

// How often the bot ended with an update of which the service says `answer`.
async function exitsWith(update, answer) {
  let bot;
  class QuietBot extends grammy().Bot {
    constructor() {
      super('123:abc', { botInfo: { id: 123, is_bot: true, username: 'a_bot' } });
      this.api.config.use(() => ({ // whoever writes has blocked the bot
        ok: false, error_code: 403, description: 'Forbidden' }));
      bot = this;
    }

    start() {}
  }
  const client = { upsertUser: async () => answer() };
  const modules = {
    grammy: { Bot: QuietBot },
    userprofile: { ...userprofile,
      userprofile: () => userprofile.userprofile({ client }) },
  };
  const exits = [];
  const run = new Function('require', 'process', 'console', BOT);
  run((name) => modules[name], { env: {}, exit: (code) => exits.push(code) },
    { error() {} });
  await bot.handleUpdates([update]);
  return exits;
}

function updateFrom(id, chat, more) {
  const from = { id, is_bot: false, first_name: 'Ada' };
  return { update_id: 1, message: { from, chat, text: 'x', date: 1, ...more } };
}

it('the bot ends for what may pass, and for nothing else',
  { skip: !grammy() }, async () => {
    const known = () => ({ created: false,
      profile: { user_id: '7', onboarding_completed: true } });
    const inPrivate = updateFrom(7, { id: 7, type: 'private' });
    const inGroup = updateFrom(1087968824, { id: -8, type: 'supergroup' },
      { sender_chat: { id: -8, type: 'supergroup' } });
    const failing = (code) => () => {
      throw new userprofile.UserProfileError(code, 'no');
    };
    assert.deepStrictEqual(await exitsWith(inGroup, known), []);
    assert.deepStrictEqual(await exitsWith(inPrivate, known), []);
    assert.deepStrictEqual(await exitsWith(inPrivate, failing(3)), []);
    assert.deepStrictEqual(await exitsWith(inPrivate, failing(14)), [1]);
  });

'use strict';

const { createClient } = require('./client.js');

// What grammY asks of a StorageAdapter, and Telegraf of a SessionStore: sessions as
// JSON, which the service keeps. index.d.ts says the rest.
function sessionStorage({ bot, client, expiresAfter, userIdOf, ...options } = {}) {
  if (!bot) throw new TypeError('say whose sessions these are, by bot');
  const service = client || createClient(options);

  async function read(key) {
    try {
      const { session } = await service.getSession({ bot, key });
      return JSON.parse(Buffer.from(session.value, 'base64').toString());
    } catch (error) {
      // No other error says that there is none.
      if (error.reason === 'SESSION_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async function write(key, value) {
    await service.putSession({
      session: {
        bot,
        key,
        value: Buffer.from(JSON.stringify(value)),
        user_id: userIdOf && userIdOf(key),
        expires_at: expiresAfter && new Date(Date.now() + expiresAfter),
      },
    });
  }

  async function remove(key) {
    await service.deleteSession({ bot, key, allow_missing: true });
  }

  return { read, write, get: read, set: write, delete: remove };
}

module.exports = { sessionStorage };

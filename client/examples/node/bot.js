#!/usr/bin/env node
'use strict';
// A bot that polls the Bot API and calls the service by itself, with
// @grpc/grpc-js and proto-loader.
//   BOT_TOKEN=... node bot.js [SERVICE [BOT_API_URL]]

const path = require('path');
const { promisify } = require('util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { Onboarding, Refused } = require('./onboarding.js');

const PROTO = process.env.PROTO_DIR || path.join(__dirname, '../../../proto');

const SERVICE_CONFIG = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [{
    name: [{ service: 'userprofile.v1.UserProfileService' }],
    waitForReady: true,
    timeout: { seconds: 10, nanos: 0 },
    retryPolicy: {
      maxAttempts: 5,
      initialBackoff: '0.1s',
      maxBackoff: '3s',
      backoffMultiplier: 3,
      retryableStatusCodes: ['UNAVAILABLE', 'CANCELLED'],
    },
  }],
};

// The service, with methods that return promises.
function connect(server) {
  const definition = protoLoader.loadSync(
    'userprofile/v1/user_profile_service.proto',
    { includeDirs: [PROTO], keepCase: true, longs: String, oneofs: true });
  const { UserProfileService } =
    grpc.loadPackageDefinition(definition).userprofile.v1;
  const stub = new UserProfileService(
    server, grpc.credentials.createInsecure(),
    { 'grpc.service_config': JSON.stringify(SERVICE_CONFIG) });
  const method = (name) => promisify((request, done) =>
    stub[name](request, { deadline: Date.now() + 10000 }, done));
  return {
    upsertUser: method('UpsertUser'),
    completeOnboarding: method('CompleteOnboarding'),
  };
}

class Bot {
  constructor(service, botApi) {
    this.service = service;
    this.botApi = botApi; // with the token: never to be printed
    this.onboarding = new Onboarding(
      (userId, answers) => this.complete(userId, answers));
  }

  async run() {
    for (let offset; ;) {
      const updates = await untilItWorks(
        () => this.call('getUpdates', { offset, timeout: 50 }));
      for (const update of updates) {
        // The offset confirms the update, and moves only once the contact and
        // the answers in it are stored.
        await untilItWorks(() => this.handle(update));
        offset = update.update_id + 1;
      }
    }
  }

  async handle({ update_id: updateId, message }) {
    const user = message && message.from;
    if (!user || user.is_bot || message.sender_chat) return;
    const contact = await this.recognize(user, message).catch((error) => {
      if (error.code !== grpc.status.INVALID_ARGUMENT) throw error;
      // It would be refused again and again, and hold everybody up.
      console.log('update', updateId, 'is passed over:', error.message);
    });
    if (!contact || message.chat.type !== 'private') return;
    const question = message.reply_to_message && message.reply_to_message.text;
    const text =
      await this.onboarding.reply(contact, user.id, message.text, question);
    await this.call('sendMessage', {
      chat_id: message.chat.id,
      text,
      reply_markup: text.endsWith('?') ? { force_reply: true } : undefined,
    });
  }

  recognize(user, { date, chat }) {
    // Only their own chat shows that the bot can reach the user.
    const isPrivate = chat.type === 'private';
    return this.service.upsertUser({
      user_id: user.id,
      identity: {
        first_name: user.first_name,
        // Absent means that the user has none. An absent language is only not
        // told: it stays absent.
        last_name: user.last_name || '',
        username: user.username || '',
        language_code: user.language_code,
      },
      occurred_at: { seconds: date },
      is_active: isPrivate || undefined,
      is_active_if_new: isPrivate,
    });
  }

  async complete(userId, answers) {
    try {
      await this.service.completeOnboarding({ user_id: userId, answers });
    } catch (error) {
      switch (error.code) {
        case grpc.status.ALREADY_EXISTS:
          throw new Refused(
            ['nickname'], 'Somebody has this nickname already.');
        case grpc.status.FAILED_PRECONDITION:
          throw new Refused([], 'You have told me all of this before.');
        case grpc.status.INVALID_ARGUMENT:
          throw new Refused(Object.keys(answers), "I can't store that.");
        default:
          throw error;
      }
    }
  }

  async call(method, parameters) {
    const answer = await fetch(`${this.botApi}/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(parameters),
    });
    const { ok, result, description } = await answer.json();
    if (ok) return result;
    if (method !== 'sendMessage' || ![400, 403].includes(answer.status)) {
      throw new Error(description);
    }
    // For good: the user has blocked the bot, for instance.
    console.log('a message was refused:', description);
    return undefined;
  }
}

async function untilItWorks(action) {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      console.log('trying again after:', error.message);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

const [server = '127.0.0.1:50051', botApiUrl = 'https://api.telegram.org'] =
  process.argv.slice(2);
const token = (process.env.BOT_TOKEN || '').trim();
// An error about a URL that is none would quote it, with the token.
if (!token || !/^https?:\/\//.test(botApiUrl)) {
  console.error('BOT_TOKEN must be set, and BOT_API_URL must be a URL');
  process.exit(2);
}
new Bot(connect(server), `${botApiUrl}/bot${token}`).run();

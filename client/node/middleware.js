'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { createClient } = require('./client.js');
const { contactOf } = require('./contact.js');
const { recognitionOf } = require('./recognition.js');

// Who an update is from: what the handlers are given.
class Contact {
  #client;

  constructor(client, recognized, profile) {
    this.recognized = recognized;
    this.profile = profile;
    this.#client = client;
  }

  // Stores the answers to the onboarding questions.
  async complete(answers) {
    const { profile, already_completed: alreadyCompleted } =
      await this.#client.completeOnboarding({ user_id: this.#id(), answers });
    this.profile = profile;
    this.recognized = 'onboarded';
    return { profile, already_completed: alreadyCompleted };
  }

  // Changes answers and attributes; `more` is the rest of UpdateProfileRequest.
  async update(changes, more = {}) {
    const { profile } = await this.#client.updateProfile(
      { ...more, profile: { ...changes, user_id: this.#id() } });
    this.profile = profile;
    return { profile };
  }

  #id() {
    if (this.profile) return this.profile.user_id;
    throw new TypeError('this update is nobody\'s contact');
  }
}

// What the adapter found out, if the update came through it.
function markOf({ userprofile: mark }) {
  if (!mark) return undefined;
  const isKnown = ['new', 'returning', 'onboarded'].includes(mark.recognized);
  return (isKnown && mark.profile) || mark.recognized === 'ignored'
    ? mark : undefined;
}

// The bot's token, where a context of grammY's, of node-telegram-bot-api's, or of
// Telegraf's has it.
function tokenOf({ api, telegram }) {
  return api?.token ?? api?.transport?.token ?? telegram?.token;
}

// A function from an update, and the token of the bot that was given it, to its
// Contact.
function lookUpBy({ client, ...options }) {
  const service = client || createClient(options);
  return async (update, token) => {
    const mark = markOf(update);
    if (mark) return new Contact(service, mark.recognized, mark.profile);
    const contact = contactOf(update, token);
    if (!contact) return new Contact(service, 'ignored');
    const response = await service.upsertUser(contact);
    return new Contact(service, recognitionOf(response), response.profile);
  };
}

// The middleware of grammY, Telegraf and node-telegram-bot-api from 2 on.
function userprofile(options = {}) {
  const lookUp = lookUpBy(options);
  return async (ctx, next) => {
    ctx.userprofile = await lookUp(ctx.update, tokenOf(ctx));
    return next();
  };
}

// For node-telegram-bot-api before 2, which has events and no middleware: a
// message, a callback query and the like is emitted once its contact is stored,
// with `userprofile` on it, one update after the other; and Telegram is asked for
// more, which confirms it, only then. What fails goes to the bot's "error" event,
// and is tried again unless it is refused for good.
function attach(bot, options = {}) {
  if (typeof bot.processUpdate !== 'function') {
    throw new TypeError('this bot takes middleware: bot.use(userprofile())');
  }
  const lookUp = lookUpBy(options);
  const processUpdate = bot.processUpdate.bind(bot);
  const getUpdates = bot.getUpdates.bind(bot);

  async function lookUpUntilItWorks(update) {
    for (;;) {
      try {
        return await lookUp(update, bot.token);
      } catch (error) {
        bot.emit('error', error);
        if (error.isRefused) return undefined;
        await sleep(1000);
      }
    }
  }

  async function handle(update) {
    const contact = await lookUpUntilItWorks(update);
    if (!contact) return;
    for (const event of Object.values(update)) {
      if (event === null || typeof event !== 'object') continue;
      Object.defineProperty(
        event, 'userprofile', { value: contact, configurable: true });
    }
    try {
      processUpdate(update);
    } catch (error) {
      bot.emit('error', error);
    }
  }

  let handled = Promise.resolve();
  bot.processUpdate = (update) => {
    handled = handled.then(() => handle(update));
  };
  bot.getUpdates = async (...parameters) => {
    await handled;
    return getUpdates(...parameters);
  };
}

module.exports = { attach, userprofile };

#!/usr/bin/env node
'use strict';
// A bot of node-telegram-bot-api, version 2.
//   BOT_TOKEN=... node node-telegram-bot-api.js [SERVICE [BOT_API_URL]]

const { Bot } = require('node-telegram-bot-api');
const { userprofile } = require('userprofile');
const { onError, optionsOf, replyTo, settings } = require('./onboarding.js');

const { token, server, apiRoot } = settings();
const bot = new Bot(token, { apiRoot });

bot.use(userprofile({ server }));

bot.on('message', async (ctx) => {
  if (ctx.chat.type !== 'private') return;
  const text = await replyTo(ctx.userprofile, ctx.message);
  await ctx.reply(text, optionsOf(text));
});

bot.catch((error) => onError(error, error.errorCode));
bot.startPolling();

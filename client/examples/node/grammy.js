#!/usr/bin/env node
'use strict';
// A bot of grammY.
//   BOT_TOKEN=... node grammy.js [SERVICE [BOT_API_URL]]

const { Bot } = require('grammy');
const { userprofile } = require('userprofile');
const { onError, optionsOf, replyTo, settings } = require('./onboarding.js');

const { token, server, apiRoot } = settings();
const bot = new Bot(token, { client: { apiRoot } });

bot.use(userprofile({ server }));

bot.chatType('private').on('message', async (ctx) => {
  const text = await replyTo(ctx.userprofile, ctx.message);
  await ctx.reply(text, optionsOf(text));
});

bot.catch(({ error }) => onError(error, error.error_code));
bot.start();

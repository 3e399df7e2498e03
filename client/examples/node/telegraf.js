#!/usr/bin/env node
'use strict';
// A bot of Telegraf.
//   BOT_TOKEN=... node telegraf.js [SERVICE [BOT_API_URL]]

const { Telegraf } = require('telegraf');
const { userprofile } = require('userprofile');
const { onError, optionsOf, replyTo, settings } = require('./onboarding.js');

const { token, server, apiRoot } = settings();
const bot = new Telegraf(token, { telegram: { apiRoot } });

bot.use(userprofile({ server }));

bot.on('message', async (ctx) => {
  if (ctx.chat.type !== 'private') return;
  const text = await replyTo(ctx.userprofile, ctx.message);
  await ctx.reply(text, optionsOf(text));
});

bot.catch((error) => onError(error, error.code));
bot.launch();

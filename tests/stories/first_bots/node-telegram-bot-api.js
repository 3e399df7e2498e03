// node-telegram-bot-api's own first example, of version 2. Only its API root is
// another, and the test hears of each update that the handlers get.
const { Bot } = require('node-telegram-bot-api');

const bot = new Bot(process.env.BOT_TOKEN, { apiRoot: process.env.API_ROOT });

bot.use((ctx, next) => {
  console.log(ctx.update.update_id, ctx.update.userprofile?.recognized);
  return next();
});

bot.command('start', (ctx) => ctx.reply('Hi! Send me anything.'));
bot.hears(/echo (.+)/, (ctx) => ctx.reply(ctx.match[1]));

bot.startPolling();

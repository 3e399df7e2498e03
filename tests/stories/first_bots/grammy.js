// grammY's own first example. Only its API root is another, and the test hears
// of each update that the handlers get.
const { Bot } = require('grammy');

const bot = new Bot(process.env.BOT_TOKEN, { client: { apiRoot: process.env.API_ROOT } });

bot.use((ctx, next) => {
  console.log(ctx.update.update_id, ctx.update.userprofile?.recognized);
  return next();
});

bot.command('start', (ctx) => ctx.reply('Welcome! Up and running.'));
bot.on('message', (ctx) => ctx.reply('Got another message!'));

bot.start();

"""The first example of python-telegram-bot 13. Only its base_url is another, and the
test hears of each update that the handlers get: without the member `userprofile`,
for this version leaves out what it does not know."""

import os

from telegram import Update
from telegram.ext import CallbackContext, CommandHandler, Updater


def hello(update: Update, context: CallbackContext) -> None:
    print(update.update_id, flush=True)
    update.message.reply_text(f"Hello {update.effective_user.first_name}")


updater = Updater(os.environ["BOT_TOKEN"], base_url=os.environ["API_ROOT"] + "/bot")

updater.dispatcher.add_handler(CommandHandler("start", hello))

updater.start_polling()
updater.idle()

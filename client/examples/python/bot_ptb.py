#!/usr/bin/env python3
"""A bot of python-telegram-bot 13."""

import argparse
import os
import sys

from telegram import ForceReply
from telegram.error import BadRequest, Unauthorized
from telegram.ext import Filters, MessageHandler, Updater
from userprofile import Client, ptb

from completion import complete_by
from onboarding import Onboarding


def on_message(update, context):
    contact = context.userprofile
    message = update.message
    question = message.reply_to_message
    text = context.bot_data["onboarding"].reply(
        contact.recognized,
        contact.profile.real_name or contact.profile.first_name,
        message.from_user.id,
        message.text,
        question and question.text,
    )
    markup = ForceReply() if text.endswith("?") else None
    message.reply_text(text, reply_markup=markup)


def on_error(_, context):
    """What is for good is passed over: the user has blocked the bot, say, or the
    service refuses the update. After anything else the bot ends, before it
    confirms the update: whoever starts it again gives it the update again."""
    error = context.error
    print(error, file=sys.stderr, flush=True)
    if getattr(error, "is_refused", False):
        return
    if not isinstance(error, (BadRequest, Unauthorized)):
        os._exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--bot-api-url", default="https://api.telegram.org")
    flags = parser.parse_args()
    token = os.environ.get("BOT_TOKEN", "").strip()
    if not token or not flags.bot_api_url.startswith(("http://", "https://")):
        sys.exit("BOT_TOKEN must be set, and --bot-api-url must be a URL")
    updater = Updater(token, base_url=f"{flags.bot_api_url}/bot")
    dispatcher = updater.dispatcher
    client = Client(flags.server)
    dispatcher.bot_data["onboarding"] = Onboarding(complete_by(client))
    ptb.install(dispatcher, client)
    dispatcher.add_handler(
        MessageHandler(Filters.update.message & Filters.chat_type.private, on_message)
    )
    dispatcher.add_error_handler(on_error)
    ptb.poll(dispatcher)


if __name__ == "__main__":
    main()

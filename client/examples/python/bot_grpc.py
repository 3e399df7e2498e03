#!/usr/bin/env python3
"""A bot that polls the Bot API and calls the service by itself, without a
framework."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request

from userprofile import Client, UserProfileError
from userprofile.lookup import look_up

from completion import complete_by
from onboarding import Onboarding


class Bot:
    def __init__(self, service, token, bot_api):
        self._service = service
        self._token = token
        self._bot_api = bot_api  # with the token: never to be printed
        self._onboarding = Onboarding(complete_by(service))

    def run(self):
        offset = None
        while True:
            for update in self.try_until_it_works(
                lambda: self.call("getUpdates", offset=offset, timeout=50)
            ):
                # The offset confirms the update, and moves only once the
                # contact and the answers in it are stored.
                self.try_until_it_works(lambda: self.handle(update))
                offset = update["update_id"] + 1

    def handle(self, update):
        try:
            contact = look_up(self._service, update, self._token)
        except UserProfileError as error:
            if not error.is_refused:
                raise
            # It would be refused again and again, and hold everybody up.
            print("update", update["update_id"], "is passed over:", error)
            return
        message = update.get("message")
        if not message or message["chat"]["type"] != "private":
            return
        text = self._onboarding.reply(
            contact.recognized,
            contact.profile.real_name or contact.profile.first_name,
            message["from"]["id"],
            message.get("text"),
            message.get("reply_to_message", {}).get("text"),
        )
        markup = {"force_reply": True} if text.endswith("?") else None
        self.call(
            "sendMessage",
            chat_id=message["chat"]["id"],
            text=text,
            reply_markup=markup,
        )

    def call(self, method, **arguments):
        arguments = {k: v for k, v in arguments.items() if v is not None}
        request = urllib.request.Request(
            f"{self._bot_api}/{method}",
            json.dumps(arguments).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            if method != "sendMessage" or error.code not in (400, 403):
                raise
            # For good: the user has blocked the bot, for instance.
            print("a message was refused:", error, flush=True)
            return None

    @staticmethod
    def try_until_it_works(action):
        while True:
            try:
                return action()
            except (OSError, UserProfileError) as error:
                print("trying again after:", error, flush=True)
                time.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--bot-api-url", default="https://api.telegram.org")
    flags = parser.parse_args()
    token = os.environ.get("BOT_TOKEN", "").strip()
    # An error about a URL that is none would quote it, with the token.
    if not token or not flags.bot_api_url.startswith(("http://", "https://")):
        sys.exit("BOT_TOKEN must be set, and --bot-api-url must be a URL")
    with Client(flags.server) as service:
        Bot(service, token, f"{flags.bot_api_url}/bot{token}").run()


if __name__ == "__main__":
    main()

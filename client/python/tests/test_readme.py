"""The bot of the README, with stand-ins for Telegram and the service."""

import os
import pathlib
import queue
import re
import unittest
import warnings
from unittest import mock

import grpc
from userprofile import UserProfileError, api

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import telegram
        import telegram.ext
    except ImportError:
        telegram = None

IS_13 = telegram is not None and telegram.__version__.startswith("13.")
README = pathlib.Path(__file__).parents[1] / "README.md"


class Bot:
    defaults = None
    token = "123:abc"

    def __init__(self, updates):
        self._updates = updates

    def get_updates(self, **_):
        if not self._updates:
            raise EOFError
        updates, self._updates = self._updates, []
        return updates

    def send_message(self, *_, **__):
        raise telegram.error.Unauthorized("the user has blocked the bot")


def update_of(user_id, chat, **more):
    person = {"id": user_id, "is_bot": False, "first_name": "Ada"}
    text = {"message_id": 1, "date": 1, "text": "x", "from": person, "chat": chat}
    return {"update_id": 1, "message": {**text, **more}}


@unittest.skipUnless(IS_13, "without python-telegram-bot 13")
class ReadmeTest(unittest.TestCase):
    def exits_with(self, update, answer):
        """The exit codes of the bot with one update, of which the service says
        `answer`, or fails with it."""
        bot = Bot([])
        bot._updates = [telegram.Update.de_json(update, bot)]
        dispatcher = telegram.ext.Dispatcher(bot, queue.Queue())
        client = mock.Mock()
        client.upsert_user.side_effect = [answer]
        code = re.search("```python\n(.*?)```", README.read_text(), re.S).group(1)
        updater = mock.Mock(dispatcher=dispatcher)
        with mock.patch("telegram.ext.Updater", return_value=updater), mock.patch(
            "userprofile.Client", return_value=client
        ), mock.patch.dict(os.environ, BOT_TOKEN=bot.token), mock.patch(
            "os._exit"
        ) as leave, mock.patch("builtins.print"):
            with self.assertRaises(EOFError):
                exec(code, {})
        return [call.args[0] for call in leave.call_args_list]

    def test_the_bot_ends_for_what_may_pass_and_for_nothing_else(self):
        profile = {"user_id": 7, "onboarding_completed": True}
        known = api.message("UpsertUserResponse")(profile=profile)
        private = update_of(7, {"id": 7, "type": "private"})
        group = {"id": -8, "type": "supergroup"}
        anonymous = update_of(1087968824, group, sender_chat=group)
        refused = UserProfileError(grpc.StatusCode.INVALID_ARGUMENT, "no")
        away = UserProfileError(grpc.StatusCode.UNAVAILABLE, "away")
        for update, answer, exits in (
            (anonymous, known, []),
            (private, known, []),
            (private, refused, []),
            (private, away, [1]),
        ):
            with self.subTest(answer):
                self.assertEqual(self.exits_with(update, answer), exits)


if __name__ == "__main__":
    unittest.main()

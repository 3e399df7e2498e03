#!/usr/bin/env python3
"""A bot that polls the Bot API and calls the service by itself, with grpcio."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request

import grpc
from google.rpc import error_details_pb2, status_pb2
from userprofile.v1 import user_profile_service_pb2 as api
from userprofile.v1.user_profile_service_pb2_grpc import UserProfileServiceStub

from onboarding import Onboarding, Refused

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "userprofile.v1.UserProfileService"}],
            "waitForReady": True,
            "timeout": "10s",
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "3s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}


class Bot:
    def __init__(self, service, bot_api):
        self._service = service
        self._bot_api = bot_api  # with the token: never to be printed
        self._onboarding = Onboarding(self.complete)

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
        message = update.get("message", {})
        user = message.get("from")
        if not user or user["is_bot"] or "sender_chat" in message:
            return
        try:
            contact = self._service.UpsertUser(contact_of(user, message))
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
                raise
            # It would be refused again and again, and hold everybody up.
            print("update", update["update_id"], "is passed over:", error.details())
            return
        if message["chat"]["type"] != "private":
            return
        profile = contact.profile
        text = self._onboarding.reply(
            recognition_of(contact),
            {"real_name": profile.real_name, "first_name": profile.first_name},
            user["id"],
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

    def complete(self, user_id, answers):
        try:
            self._service.CompleteOnboarding(
                api.CompleteOnboardingRequest(user_id=user_id, answers=answers)
            )
        except grpc.RpcError as error:
            raise refusal_of(error) or error

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
            except (OSError, grpc.RpcError) as error:
                print("trying again after:", error, flush=True)
                time.sleep(1)


def contact_of(user, message):
    # Only their own chat shows that the bot can reach the user.
    private = message["chat"]["type"] == "private"
    return api.UpsertUserRequest(
        user_id=user["id"],
        identity=api.Identity(
            first_name=user["first_name"],
            # Absent means that the user has none. An absent language is only
            # not told: it stays absent.
            last_name=user.get("last_name", ""),
            username=user.get("username", ""),
            language_code=user.get("language_code"),
        ),
        occurred_at={"seconds": message["date"]},
        is_active=True if private else None,
        is_active_if_new=private,
    )


def recognition_of(contact):
    if contact.created:
        return "new"
    return "onboarded" if contact.profile.onboarding_completed else "returning"


def refusal_of(error):
    """What an error of the service means to the user, if it is final."""
    if error.code() == grpc.StatusCode.ALREADY_EXISTS:
        return Refused(["nickname"], "Somebody has this nickname already.")
    if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
        return Refused([], "You have told me all of this before.")
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        return Refused(invalid_fields(error), "I can't store that.")
    return None


def invalid_fields(error):
    fields = []
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                bad_request = error_details_pb2.BadRequest()
                if detail.Unpack(bad_request):
                    fields += [
                        violation.field.split(".")[-1]
                        for violation in bad_request.field_violations
                    ]
    return fields


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--bot-api-url", default="https://api.telegram.org")
    flags = parser.parse_args()
    token = os.environ.get("BOT_TOKEN", "").strip()
    # An error about a URL that is none would quote it, with the token.
    if not token or not flags.bot_api_url.startswith(("http://", "https://")):
        sys.exit("BOT_TOKEN must be set, and --bot-api-url must be a URL")
    options = [("grpc.service_config", json.dumps(SERVICE_CONFIG))]
    with grpc.insecure_channel(flags.server, options) as channel:
        service = UserProfileServiceStub(channel)
        Bot(service, f"{flags.bot_api_url}/bot{token}").run()


if __name__ == "__main__":
    main()

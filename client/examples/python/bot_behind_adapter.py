#!/usr/bin/env python3
"""A bot behind userprofile-adapter, with nothing but Python itself.

The adapter posts each update here, says in headers who sent it, and hands the
answer to Telegram: this bot needs neither the bot token nor gRPC.
"""

import argparse
import base64
import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from onboarding import Onboarding, Refused


def complete_by(api):
    """A function that stores answers through the adapter's profile API."""

    def complete(user_id, answers):
        request = urllib.request.Request(
            api + "/userprofile.v1.UserProfileService/CompleteOnboarding",
            json.dumps({"user_id": user_id, "answers": answers}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=15).close()
        except urllib.error.HTTPError as error:
            raise refusal_of(json.load(error)) or error

    return complete


def refusal_of(error):
    """What an error of the profile API means to the user, if it is final."""
    if error["code"] == "already_exists":
        return Refused(["nickname"], "Somebody has this nickname already.")
    if error["code"] == "failed_precondition":
        return Refused([], "You have told me all of this before.")
    if error["code"] == "invalid_argument":
        fields = [
            violation["field"].split(".")[-1]
            for detail in error["details"]
            for violation in detail.get("debug", {}).get("field_violations", [])
        ]
        return Refused(fields, "I can't store that.")
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    onboarding = None  # set below

    def do_POST(self):
        update = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = self.answer_to(update)
        except OSError as error:  # the adapter will bring the update again
            self.log_error("update %s: %s", update["update_id"], error)
            return self.send(503, {})
        self.send(200, answer)

    def answer_to(self, update):
        message = update.get("message")
        if not message or message["chat"]["type"] != "private":
            return {}
        profile = self.profile()
        text = self.onboarding.reply(
            self.headers["X-User-Recognized"],
            profile.get("real_name") or profile.get("first_name"),
            message["from"]["id"],
            message.get("text"),
            message.get("reply_to_message", {}).get("text"),
        )
        answer = {
            "method": "sendMessage",
            "chat_id": message["chat"]["id"],
            "text": text,
        }
        if text.endswith("?"):  # the next message says what it is a reply to
            answer["reply_markup"] = {"force_reply": True}
        return answer

    def profile(self):
        header = self.headers["X-User-Profile"]
        return json.loads(base64.urlsafe_b64decode(header + "==")) if header else {}

    def send(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument(
        "--api", default="http://127.0.0.1:8089", help="the adapter's --api-listen"
    )
    flags = parser.parse_args()
    Handler.onboarding = Onboarding(complete_by(flags.api))
    ThreadingHTTPServer.request_queue_size = 128
    with ThreadingHTTPServer(("127.0.0.1", flags.port), Handler) as server:
        print(f"listening on http://127.0.0.1:{flags.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

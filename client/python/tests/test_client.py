import asyncio
import datetime
import threading
import unittest

import grpc
import server
from userprofile import (
    AsyncClient,
    Client,
    UserProfileError,
    client,
    recognition_of,
)

UTC = datetime.timezone.utc


@unittest.skipUnless(server.PROGRAM, "without a server")
class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server.Server()
        cls.client = Client(cls.server.address, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.remove()

    def test_recognizes_who_was_there_before(self):
        contact = {
            "user_id": 1,
            "identity": {"first_name": "Ada"},
            "occurred_at": datetime.datetime(2025, 10, 19, 8, tzinfo=UTC),
        }
        first = self.client.upsert_user(**contact)
        self.assertEqual(recognition_of(first), "new")
        self.assertEqual(first.profile.last_activity.ToSeconds(), 1760860800)
        again = self.client.upsert_user(**contact)
        self.assertEqual(recognition_of(again), "returning")
        self.client.complete_onboarding(
            user_id=1, answers={"real_name": "Ada", "nickname": "ada"}
        )
        again = self.client.upsert_user(**contact)
        self.assertEqual(recognition_of(again), "onboarded")

    def test_gives_errors_their_reason(self):
        with self.assertRaises(UserProfileError) as raised:
            self.client.get_profile(user_id=404)
        self.assertEqual(raised.exception.code, grpc.StatusCode.NOT_FOUND)
        self.assertEqual(raised.exception.reason, "USER_NOT_FOUND")
        self.assertEqual(raised.exception.metadata, {"user_id": "404"})
        self.assertTrue(raised.exception.is_refused)
        with self.assertRaises(UserProfileError) as raised:
            self.client.complete_onboarding(user_id=1, answers={"phone": "none"})
        fields = sorted(field for field, _ in raised.exception.field_violations)
        self.assertEqual(
            fields, ["answers.nickname", "answers.phone", "answers.real_name"]
        )
        with self.assertRaisesRegex(TypeError, "there is no UpsertUserRequest.userId"):
            self.client.upsert_user(userId=1)

    def test_takes_dicts_and_lists(self):
        self.client.upsert_user(user_id=3)
        attributes = {"text": "x", "number": 1.5, "list": [1.0, None, {"a": "b"}]}
        profile = self.client.update_profile(
            profile={"user_id": 3, "attributes": attributes, "study_track": "Art"},
            update_mask=["attributes", "study_track"],
        ).profile
        self.assertEqual(profile.study_track, "Art")
        self.assertEqual(profile.attributes["list"][2]["a"], "b")
        found = self.client.list_profiles(
            filter={"created_at": {"from": profile.created_at}}, read_mask=["user_id"]
        )
        self.assertIn(3, [profile.user_id for profile in found.profiles])
        results = self.client.batch_upsert_users(
            requests=[{"user_id": 4}, {"user_id": -4}]
        ).results
        self.assertTrue(results[0].response.created)
        error = UserProfileError.of_status(results[1].error)
        self.assertEqual(error.reason, "INVALID_FIELDS")

    def test_keeps_a_dialogue(self):
        session = {"bot": "shop", "key": "chat:1", "value": b"\0\xff"}
        put = self.client.put_session(session=session, expected_revision=0)
        got = self.client.get_session(bot="shop", key="chat:1").session
        self.assertEqual(got.value, b"\0\xff")
        self.assertEqual(got.revision, put.revision)
        with self.assertRaises(UserProfileError) as raised:
            self.client.put_session(session=session, expected_revision=0)
        self.assertEqual(raised.exception.reason, "REVISION_MISMATCH")
        self.client.delete_session(bot="shop", key="chat:1")
        with self.assertRaises(UserProfileError) as raised:
            self.client.get_session(bot="shop", key="chat:1")
        self.assertEqual(raised.exception.reason, "SESSION_NOT_FOUND")

    def test_watches_on_when_the_server_was_killed(self):
        token = self.client.list_profiles().watch_token
        told = []

        def watch():
            for event in self.client.watch_profiles(token):
                if event.HasField("profile"):
                    told.append(event.profile.user_id)
                if event.HasField("deleted_user_id"):
                    return

        watching = threading.Thread(target=watch)
        watching.start()
        for user in (11, 12, 13):
            self.client.upsert_user(user_id=user)
            self.server.kill()
            self.server.start()
        self.client.upsert_user(user_id=14)
        self.client.delete_user(user_id=14)
        watching.join(timeout=60)
        self.assertFalse(watching.is_alive())
        for user in (11, 12, 13):
            self.assertIn(user, told)

    def test_does_the_same_in_asyncio(self):
        async def main():
            async with AsyncClient(self.server.address, timeout=60) as client:
                token = (await client.list_profiles()).watch_token
                self.server.kill()
                first = asyncio.ensure_future(client.upsert_user(user_id=21))
                await asyncio.sleep(0)  # it waits for the server
                self.server.start()
                self.assertEqual(recognition_of(await first), "new")
                with self.assertRaises(UserProfileError) as raised:
                    await client.get_profile(user_id=404)
                self.assertEqual(raised.exception.reason, "USER_NOT_FOUND")
                async for event in client.watch_profiles(token):
                    if event.HasField("profile"):
                        return event.profile.user_id

        self.assertEqual(asyncio.run(main()), 21)

    def test_waits_until_its_timeout(self):
        with Client("unix:/nowhere/at/all", timeout=0.3) as hasty:
            with self.assertRaises(UserProfileError) as raised:
                hasty.get_profile(user_id=1)
        self.assertEqual(raised.exception.code, grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertFalse(raised.exception.is_refused)

    def test_ends_a_watch_whose_token_is_none(self):
        with self.assertRaises(UserProfileError) as raised:
            next(self.client.watch_profiles("mine"))
        self.assertEqual(raised.exception.reason, "INVALID_FIELDS")


class TokenTest(unittest.TestCase):
    def test_is_not_sent_for_everybody_to_read(self):
        with self.assertRaises(ValueError):
            Client(token="secret")

    def test_is_sent_without_its_line_end(self):
        credentials = client._Credentials(True, "secret\r\n")
        self.assertEqual(credentials.metadata, [("authorization", "Bearer secret")])

    def test_is_not_told_when_it_is_none(self):
        for token in ("sec\nret", "secr\u00e9t", "sec ret", "\n"):
            with self.assertRaisesRegex(ValueError, "the token is no token") as raised:
                Client(token=token, tls=True)
            self.assertNotIn("sec", str(raised.exception))


if __name__ == "__main__":
    unittest.main()

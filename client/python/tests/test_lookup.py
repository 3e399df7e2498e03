import asyncio
import types
import unittest

import grpc
from userprofile import UserProfileError
from userprofile.aiogram import UserProfileMiddleware
from userprofile.api import message
from userprofile.lookup import look_up, look_up_async

UPDATE = {
    "update_id": 1,
    "message": {
        "from": {"id": 7, "is_bot": False, "first_name": "Ada"},
        "chat": {"id": 7, "type": "private"},
    },
}


class Service:
    """A stand-in that knows user 7, and counts."""

    calls = 0

    def upsert_user(self, request):
        self.calls += 1
        self.event = request.event_id
        return message("UpsertUserResponse")(profile={"user_id": request.user_id})

    def complete_onboarding(self, user_id, answers):
        profile = {"user_id": user_id, "onboarding_completed": True, **answers}
        return message("CompleteOnboardingResponse")(profile=profile)

    def update_profile(self, profile, expected_revision):
        profile = {**profile, "revision": expected_revision + 1}
        return message("UpdateProfileResponse")(profile=profile)


class AwaySoon(Service):
    async def upsert_user(self, request):
        if self.calls:
            raise UserProfileError(grpc.StatusCode.UNAVAILABLE, "away")
        return super().upsert_user(request)

    async def complete_onboarding(self, **fields):
        return super().complete_onboarding(**fields)


class LookUpTest(unittest.TestCase):
    def test_finds_who_it_is(self):
        contact = look_up(Service(), UPDATE)
        self.assertEqual(contact.recognized, "returning")
        contact.complete(real_name="Ada", nickname="ada")
        self.assertEqual(contact.recognized, "onboarded")
        self.assertEqual(contact.profile.real_name, "Ada")
        contact.update({"phone": "+98"}, expected_revision=3)
        self.assertEqual(contact.profile.revision, 4)

    def test_a_contact_names_its_update_by_the_bot_and_its_number(self):
        service = Service()
        look_up(service, UPDATE, "123:abc")
        self.assertEqual(service.event, "123:1")
        for token in (None, "", "abc", ":abc"):  # of a bot that is not known
            look_up(service, UPDATE, token)
            self.assertEqual(service.event, "", token)

    def test_what_the_adapter_has_marked_costs_no_call(self):
        service = Service()
        profile = {"user_id": "7", "nickname": "a", "revision": "3", "later": 1}
        mark = {"recognized": "new", "profile": profile}
        contact = look_up(service, {**UPDATE, "userprofile": mark})
        self.assertEqual(contact.recognized, "new")
        self.assertEqual(contact.profile.revision, 3)
        mark = {"recognized": "ignored"}
        contact = look_up(service, {**UPDATE, "userprofile": mark})
        self.assertEqual(contact.recognized, "ignored")
        self.assertEqual(service.calls, 0)
        mark = {"recognized": "unknown"}  # which is no answer
        look_up(service, {**UPDATE, "userprofile": mark})
        self.assertEqual(service.calls, 1)

    def test_what_is_nobodys_costs_no_call(self):
        service = Service()
        contact = look_up(service, {"update_id": 1, "poll": {"id": "1"}})
        self.assertEqual(contact.recognized, "ignored")
        with self.assertRaises(TypeError):
            contact.complete(real_name="Ada")
        self.assertEqual(service.calls, 0)

    def test_does_the_same_in_asyncio(self):
        async def main():
            contact = await look_up_async(AwaySoon(), UPDATE)
            await contact.complete(real_name="Ada", nickname="ada")
            return contact

        self.assertEqual(asyncio.run(main()).recognized, "onboarded")


class AiogramTest(unittest.TestCase):
    def test_no_handler_runs_without_an_answer(self):
        # As aiogram's: it has defaults, which are nothing that JSON has.
        def model_dump(mode="python", by_alias=False, exclude_none=False):
            self.assertEqual((mode, by_alias), ("python", True))
            options = {"link_preview_options": object()}
            return {**UPDATE, "message": {**UPDATE["message"], **options}}

        event = types.SimpleNamespace(model_dump=model_dump)
        middleware = UserProfileMiddleware(AwaySoon())
        data = {"bot": types.SimpleNamespace(token="123:abc")}
        seen = []

        async def handler(event, data):
            seen.append(data["userprofile"].recognized)

        async def main():
            await middleware(handler, event, data)
            with self.assertRaises(UserProfileError):
                await middleware(handler, event, data)

        asyncio.run(main())
        self.assertEqual(seen, ["returning"])


if __name__ == "__main__":
    unittest.main()

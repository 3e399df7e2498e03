"""Who an update is from: what handlers of all frameworks are given."""

from google.protobuf import json_format

from . import api
from .contact import contact_of


def recognition_of(response):
    """What the answer to a contact says of who that is: "new" if this contact
    created the user, "onboarded" once they have answered the questions,
    "returning" else. Nobody who was known before is ever "new"."""
    if response.created:
        return "new"
    return "onboarded" if response.profile.onboarding_completed else "returning"


class _AnyContact:
    """recognized  "new", "returning" or "onboarded"; "ignored" if the update is
                   nobody's contact: a poll, a channel's post, another bot
    profile        as the service has it; None for "ignored"
    """

    def __init__(self, client, recognized, profile=None):
        self._client = client
        self.recognized = recognized
        self.profile = profile

    def _user_id(self):
        if self.profile is None:
            raise TypeError("this update is nobody's contact")
        return self.profile.user_id

    def _onboarding(self, answers):
        return {"user_id": self._user_id(), "answers": answers}

    def _changes(self, changes, more):
        return {**more, "profile": {**changes, "user_id": self._user_id()}}

    def _completed(self, response):
        self.recognized = "onboarded"
        return self._updated(response)

    def _updated(self, response):
        self.profile = response.profile
        return response


class Contact(_AnyContact):
    def complete(self, **answers):
        """Stores the answers to the onboarding questions."""
        return self._completed(
            self._client.complete_onboarding(**self._onboarding(answers))
        )

    def update(self, changes, **more):
        """Changes answers and attributes, a dict; `more` is the rest of the
        request, such as expected_revision."""
        return self._updated(
            self._client.update_profile(**self._changes(changes, more))
        )


class AsyncContact(_AnyContact):
    async def complete(self, **answers):
        """Stores the answers to the onboarding questions."""
        return self._completed(
            await self._client.complete_onboarding(**self._onboarding(answers))
        )

    async def update(self, changes, **more):
        """Changes answers and attributes, a dict; `more` is the rest of the
        request, such as expected_revision."""
        return self._updated(
            await self._client.update_profile(**self._changes(changes, more))
        )


def _known(contact_type, client, update, bot):
    """What is known without a call: what the adapter has marked, and what is
    nobody's; and else the request that asks."""
    mark = update.get("userprofile") if isinstance(update, dict) else None
    recognized = mark and mark.get("recognized")
    if recognized == "ignored":
        return contact_type(client, "ignored"), None
    if recognized in ("new", "returning", "onboarded") and mark.get("profile"):
        profile = json_format.ParseDict(
            mark["profile"], api.message("Profile")(), ignore_unknown_fields=True
        )
        return contact_type(client, recognized, profile), None
    request = contact_of(update, bot)
    return (None, request) if request else (contact_type(client, "ignored"), None)


def look_up(client, update, bot=None):
    """The Contact of an update, a dict, once it is stored; `bot` as for
    contact_of()."""
    contact, request = _known(Contact, client, update, bot)
    if contact:
        return contact
    response = client.upsert_user(request)
    return Contact(client, recognition_of(response), response.profile)


async def look_up_async(client, update, bot=None):
    """The AsyncContact of an update, a dict, once it is stored; `bot` as for
    contact_of()."""
    contact, request = _known(AsyncContact, client, update, bot)
    if contact:
        return contact
    response = await client.upsert_user(request)
    return AsyncContact(client, recognition_of(response), response.profile)

"""For aiogram 3. Written by its documented interface, and tested with a stand-in
for its Update only: Debian has no package of it.

    from userprofile import AsyncClient
    from userprofile.aiogram import UserProfileMiddleware

    client = AsyncClient("127.0.0.1:50051")
    dispatcher.update.outer_middleware(UserProfileMiddleware(client))

    @dispatcher.message()
    async def on_message(message, userprofile):
        if userprofile.recognized == "onboarded":
            await message.answer(f"Hello {userprofile.profile.nickname}!")

Handlers run once the contact is on disk. While the service is away that waits, for
the client's timeout; then a UserProfileError goes to the dispatcher's error
handlers, and no other handler runs.
"""

from .lookup import look_up_async


class UserProfileMiddleware:
    def __init__(self, client):
        self._client = client

    async def __call__(self, handler, event, data):
        # As JSON has it: times as numbers, and "from" under its name; but for
        # aiogram's own defaults, which the mode "json" would fail for. What the
        # adapter has marked is among the members that aiogram does not know.
        update = event.model_dump(by_alias=True, exclude_none=True)
        data["userprofile"] = await look_up_async(
            self._client, update, data["bot"].token
        )
        return await handler(event, data)

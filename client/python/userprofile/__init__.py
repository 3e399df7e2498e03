"""Who writes to a Telegram bot: the client of the user-profile service.

``Client`` and ``AsyncClient`` have every method of the API; ``contact_of`` makes
the request out of an update, ``recognition_of`` says what the answer means.
``userprofile.ptb`` and ``userprofile.aiogram`` are for frameworks.
"""

from .client import AsyncClient, Client
from .contact import contact_of
from .errors import UserProfileError
from .lookup import AsyncContact, Contact, recognition_of

__all__ = [
    "AsyncClient",
    "AsyncContact",
    "Client",
    "Contact",
    "UserProfileError",
    "contact_of",
    "recognition_of",
]

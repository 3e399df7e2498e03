"""From an update of Telegram's to the request that tells the service about it:
what client/telegram/update.cc does, which says why. Both pass
client/telegram/testdata/contacts.jsonl."""

import re

import grpc

from . import api
from .errors import UserProfileError


def _here(event):
    return event


def _under_the_button(event):
    return event.object("message")


# Kinds of updates; the fields of their events that say who and when; and what
# holds the chat in which it happened, if that is told.
_KINDS = {
    "message": ("from", "date", _here),
    "edited_message": ("from", "edit_date", _here),
    "channel_post": ("from", "date", None),
    "edited_channel_post": ("from", "edit_date", None),
    "business_message": ("from", "date", None),
    "edited_business_message": ("from", "edit_date", None),
    "business_connection": ("user", None, None),
    "callback_query": ("from", None, _under_the_button),
    "inline_query": ("from", None, None),
    "chosen_inline_result": ("from", None, None),
    "shipping_query": ("from", None, None),
    "pre_checkout_query": ("from", None, None),
    "purchased_paid_media": ("from", None, None),
    "poll_answer": ("user", None, None),
    "message_reaction": ("user", "date", None),
    "my_chat_member": ("from", "date", _here),
    "chat_member": ("from", "date", None),
    "chat_join_request": ("from", "date", None),
    "guest_message": ("from", "date", None),
    "managed_bot": ("user", None, None),
}

# An anonymous administrator, a channel, Telegram itself.
_PLACEHOLDERS = (1087968824, 136817688, 777000)

# A bot's token, which begins with its id, or the id alone.
_BOT = re.compile(r"[\t-\r ]*([1-9][0-9]{0,18})(?::|[\t-\r ]*\Z)")

_LARGEST_ID = 2**52 - 1
_LAST_SECOND = 253402300799  # of the year 9999

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# Telegram's own tags are few, but custom languages have any. By RFC 5646, and as
# ICU has it: no singleton, and no variant, twice.
_LANGUAGE_TAG = re.compile(
    r"(?!.*-([a-wy-z0-9])-.*-\1-)"
    r"(?!(?:[a-z0-9]{2,8}-)+([a-z0-9]{4,8})-(?:[a-z0-9]{2,8}-)*\2(?:-|$))"
    r"(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"  # language
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"  # script, region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*"  # extensions
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+"  # private use
    r"|art-lojban|cel-gaulish|en-gb-oed|no-bok|no-nyn|sgn-(?:be-fr|be-nl|ch-de)"
    r"|zh-(?:guoyu|hakka|min|min-nan|xiang)|i-(?:ami|bnn|default|enochian|hak"
    r"|klingon|lux|mingo|navajo|pwn|tao|tay|tsu))",
    re.ASCII | re.IGNORECASE,
)


class _ObjectReader:
    """Reads the fields of an object of Telegram's. One that is absent or None
    gives None; so does one of another type, and that is remembered in `faults`,
    which all readers of an update share."""

    def __init__(self, content, path="", faults=None):
        self._content = content
        self._path = path
        self.faults = [] if faults is None else faults

    def has(self, name):
        return self._content.get(name) is not None

    def text(self, name):
        return self._read(name, lambda v: isinstance(v, str), "a string")

    def bool(self, name):
        return self._read(name, lambda v: isinstance(v, bool), "a boolean")

    def integer(self, name):
        return self._read(
            name,
            lambda v: type(v) is int and -(2**63) <= v < 2**63,
            "a 64-bit integer",
        )

    def object(self, name):
        content = self._read(name, lambda v: isinstance(v, dict), "an object")
        if content is None:
            return None
        return _ObjectReader(content, self._path_of(name), self.faults)

    def fail(self, name, what):
        self.faults.append(f"{self._path_of(name)} {what}")

    def _path_of(self, name):
        return f"{self._path}.{name}" if self._path else name

    def _read(self, name, is_it, what):
        value = self._content.get(name)
        if value is None or is_it(value):
            return value
        self.fail(name, f"is not {what}")
        return None


def _acceptable(field, given):
    """The text as the service takes it in a field of Identity; None if it is to
    be left out. A strange name must not lock its user out for ever."""
    limits = api.limits_of(field)
    kind = api.kind_of(limits)
    text = _SURROGATE.sub("\ufffd", given)  # half of a pair is no text
    fit = _CONTROL.sub("", text)[: limits.max_code_points]
    is_tag = kind == "FIELD_KIND_LANGUAGE_TAG"
    if fit != text and (is_tag or kind == "FIELD_KIND_USERNAME"):
        return None
    if is_tag and not _LANGUAGE_TAG.fullmatch(text):
        return None
    return fit


def _read_identity(author, identity):
    for field in identity.DESCRIPTOR.fields:
        text = author.text(field.name)
        # Absent, these say that the user has none; the others say nothing.
        if text is None and field.name in ("last_name", "username"):
            text = ""
        fit = None if text is None else _acceptable(field, text)
        if fit is not None:
            setattr(identity, field.name, fit)


def _is_private(place, event):
    holder = place(event) if place else None
    chat = holder.object("chat") if holder else None
    return chat is not None and chat.text("type") == "private"


def _is_active(name, event):
    """Whether the event shows that the bot can reach the user in their private
    chat."""
    if name == "message":
        return True
    if name != "my_chat_member":
        return None
    member = event.object("new_chat_member")
    return {"member": True, "kicked": False}.get(member and member.text("status"))


def _read_contact(name, kind, event):
    author_field, time_field, place = kind
    if event.has("sender_chat") or event.has("sender_business_bot"):
        return None
    author = event.object(author_field)
    if author is None or author.bool("is_bot"):
        return None
    user_id = author.integer("id")
    if user_id is None or not 1 <= user_id <= _LARGEST_ID:
        author.fail("id", "is not a user id")
        return None
    if user_id in _PLACEHOLDERS:
        return None
    request = api.message("UpsertUserRequest")(user_id=user_id)
    request.identity.SetInParent()
    _read_identity(author, request.identity)
    if not _is_private(place, event):
        request.is_active_if_new = False
    else:
        active = _is_active(name, event)
        if active is not None:
            request.is_active = active
    time = (time_field and event.integer(time_field)) or 0
    if not 0 <= time <= _LAST_SECOND:
        event.fail(time_field, "is not a time")
    elif time:
        request.occurred_at.seconds = time
    return request


def _read_unknown_contact(update):
    """Of what looks like an event with one person behind it."""
    contacts = []
    for value in update.values():
        if not isinstance(value, dict):
            continue
        event = _ObjectReader(value)
        for author in ("from", "user"):
            person = event.object(author)
            if person is None:
                continue
            contacts.append(None)
            # Every user has that, and no chat.
            if person.bool("is_bot") is False:
                contacts[-1] = _read_contact("", (author, "date", None), event)
        if event.faults:
            return None
    return contacts[0] if len(contacts) == 1 else None


def contact_of(update, bot=None):
    """Who contacts the bot with an update, a dict as Telegram's JSON has it, as the
    request for upsert_user; None if it is nobody's contact. UserProfileError, with
    INVALID_ARGUMENT, if it is no update. `bot` says which bot was given it, by its
    token or id: whoever is new is so again when the bot is given the update again."""
    contact = _read_update(update)
    bot_id = _BOT.match("" if bot is None else str(bot))
    number = contact is not None and update.get("update_id")
    if bot_id and isinstance(number, int) and not isinstance(number, bool):
        contact.event_id = f"{bot_id.group(1)}:{number}"
    return contact


def _read_update(update):
    if not isinstance(update, dict):
        raise UserProfileError(
            grpc.StatusCode.INVALID_ARGUMENT, "an update is a JSON object"
        )
    reader = _ObjectReader(update)
    name = next((kind for kind in _KINDS if reader.has(kind)), None)
    if name is None:
        return _read_unknown_contact(update)
    event = reader.object(name)
    contact = None if event is None else _read_contact(name, _KINDS[name], event)
    if reader.faults:
        raise UserProfileError(grpc.StatusCode.INVALID_ARGUMENT, reader.faults[0])
    return contact

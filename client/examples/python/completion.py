"""Storing the answers, by the package userprofile."""

from userprofile import UserProfileError

from onboarding import Refused


def complete_by(client):
    """A function that stores answers by a Client."""

    def complete(user_id, answers):
        try:
            client.complete_onboarding(user_id=user_id, answers=answers)
        except UserProfileError as error:
            raise _refusal_of(error) or error

    return complete


def _refusal_of(error):
    """What an error means to the user, if it is final."""
    if error.reason == "NICKNAME_TAKEN":
        return Refused(["nickname"], "Somebody has this nickname already.")
    if error.reason == "ALREADY_ONBOARDED":
        return Refused([], "You have told me all of this before.")
    if error.reason == "INVALID_FIELDS":
        fields = [field.split(".")[-1] for field, _ in error.field_violations]
        return Refused(fields, "I can't store that.")
    return None

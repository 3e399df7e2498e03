"""Errors of calls, and of reading updates."""

import grpc
from google.protobuf.message import DecodeError

from . import api

_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
)


class UserProfileError(Exception):
    """What a call, or the reading of an update, failed with. No error says that a
    user is new, but for NOT_FOUND of get_profile and the like.

    code              a grpc.StatusCode
    reason            the service's, such as "USER_NOT_FOUND"; "" of gRPC's own
    metadata          of the reason, a dict
    field_violations  pairs of field and description, of INVALID_FIELDS
    retry_after       seconds, if the service says when to try again, or None
    """

    def __init__(self, code, message, details=()):
        super().__init__(message)
        self.code = code
        self.reason = ""
        self.metadata = {}
        self.field_violations = []
        self.retry_after = None
        for detail in details:
            try:
                self._add(detail)
            except DecodeError:
                pass  # no reason to lose the code

    @property
    def is_refused(self):
        """The service refuses this very request, whenever it is asked: to try
        again is of no use, and it says nothing about the user."""
        return self.code in _REFUSALS or self.reason == "ROW_REJECTED"

    @classmethod
    def of_call(cls, error):
        """From a grpc.RpcError."""
        details = []
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                try:
                    status = api.message("google.rpc.Status").FromString(value)
                    details = status.details
                except DecodeError:
                    pass  # no reason to lose the code
        return cls(error.code(), error.details(), details)

    @classmethod
    def of_status(cls, status):
        """From a google.rpc.Status: the error of one contact of many."""
        codes = {code.value[0]: code for code in grpc.StatusCode}
        code = codes.get(status.code, grpc.StatusCode.UNKNOWN)
        return cls(code, status.message, status.details)

    def _add(self, detail):
        name = detail.type_url.rpartition("/")[2]
        if name == "google.rpc.ErrorInfo":
            info = api.message(name).FromString(detail.value)
            self.reason = info.reason
            self.metadata = dict(info.metadata)
        elif name == "google.rpc.BadRequest":
            self.field_violations = [
                (violation.field, violation.description)
                for violation in api.message(name)
                .FromString(detail.value)
                .field_violations
            ]
        elif name == "google.rpc.RetryInfo":
            delay = api.message(name).FromString(detail.value).retry_delay
            self.retry_after = delay.seconds + delay.nanos / 1e9

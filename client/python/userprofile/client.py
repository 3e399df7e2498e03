"""The service, with a method for each of the API's, under its name in Python:
upsert_user, get_profile, and so on. Each takes the request's fields by name, or
the request, and gives the response, or raises UserProfileError.

A call waits for a server that is away, and is tried again while that is
UNAVAILABLE, as those of the client in C++ are, whose source says why. A watch
goes on by itself, from the last event that was dealt with.
"""

import asyncio
import json
import re
import threading
import time

import grpc

from . import api
from .errors import UserProfileError

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": api.SERVICE_NAME}],
            "waitForReady": True,
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

_OPTIONS = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.client_idle_timeout_ms", 60 * 1000),
    ("grpc.keepalive_time_ms", 20 * 1000),
    ("grpc.keepalive_timeout_ms", 5 * 1000),
]

_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
# These pass, too, unless they have a reason: then they are the service's word, and
# not that of something on the way.
_PASSING_WITHOUT_REASON = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
_LONGEST_WAIT = 3.0
# A watch that is told nothing for so many seconds, three times as long as the
# server ever waits, has lost it.
_SILENCE = 30


class _Credentials:
    """How to connect. `tls` is True, or a dict of the PEM files ca_file,
    certificate_file and key_file; a token needs it."""

    def __init__(self, tls, token):
        token = _token_of(token) if token else None
        if token and not tls:
            raise ValueError("a token needs tls: everybody on the way could read it")
        files = {} if tls in (None, True) else dict(tls)
        if bool(files.get("certificate_file")) != bool(files.get("key_file")):
            raise ValueError("a client certificate and its key are given together")
        self._pem = {name: _read(path) for name, path in files.items() if path}
        self._tls = bool(tls)
        self.metadata = [("authorization", f"Bearer {token}")] if token else None

    def channel_of(self, factory, server):
        """`factory` is grpc or grpc.aio."""
        if not self._tls:
            return factory.insecure_channel(server, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            self._pem.get("ca_file"),
            self._pem.get("key_file"),
            self._pem.get("certificate_file"),
        )
        return factory.secure_channel(server, credentials, options=_OPTIONS)


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _token_of(text):
    """As it may be sent. Read from a file, it has a line end; and gRPC's word about
    what it can't send would quote it."""
    token = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError("the token is no token: it has other than visible ASCII")
    return token


def _next_wait(wait):
    return min(wait * 3, _LONGEST_WAIT)


def _raise_unless_passing(error):
    """How a watch ends that does not go on after a grpc.RpcError."""
    failure = UserProfileError.of_call(error)
    if failure.code in _PASSING:
        return
    if failure.code not in _PASSING_WITHOUT_REASON or failure.reason:
        raise failure from None


class _Watchdog:
    """Cancels a call once it was awaited for _SILENCE seconds, by a thread."""

    def __init__(self, call):
        self._call = call
        self._changed = threading.Condition()
        self._deadline = None
        self._ended = False
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self):
        self._set(time.monotonic() + _SILENCE)

    def pause(self):
        self._set(None)

    def end(self):
        self._ended = True
        self.pause()

    def _set(self, deadline):
        with self._changed:
            self._deadline = deadline
            self._changed.notify()

    def _watch(self):
        with self._changed:
            while not self._ended:
                left = self._deadline and self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self._call.cancel()
                    return
                self._changed.wait(left)


class _Caller:
    """What both clients have: their methods, made of the API's."""

    def __init__(self, server="127.0.0.1:50051", *, tls=None, token=None, timeout=10):
        self._server = server
        self._credentials = _Credentials(tls, token)
        self._timeout = timeout
        self._channel = None
        self._closed = threading.Event()
        self._streams = set()  # the calls of watches, to be cancelled
        for method in api.METHODS:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
            make = self._stream if method.server_streaming else self._unary
            setattr(self, name, make(method))

    def _connect(self):
        if self._closed.is_set():
            raise UserProfileError(grpc.StatusCode.CANCELLED, "the client is closed")
        if self._channel is None:
            self._channel = self._credentials.channel_of(self._factory, self._server)
        return self._channel

    def _open(self, method):
        kind = "unary_stream" if method.server_streaming else "unary_unary"
        return getattr(self._connect(), kind)(
            f"/{api.SERVICE_NAME}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=api.message(method.output_type).FromString,
        )

    @staticmethod
    def _request(method, request, fields):
        if request is not None:
            return request
        return api.request_of(api.message(method.input_type).DESCRIPTOR, fields)

    def _arguments(self):
        return {"metadata": self._credentials.metadata, "wait_for_ready": True}


class Client(_Caller):
    """The service at `server`: HOST:PORT, or any other gRPC target. Thread-safe;
    make one per process. `timeout`, in seconds, includes waiting for the server
    and all tries."""

    _factory = grpc

    def _unary(self, method):
        def call(request=None, **fields):
            message = self._request(method, request, fields)
            try:
                return self._open(method)(
                    message, timeout=self._timeout, **self._arguments()
                )
            except grpc.RpcError as error:
                raise UserProfileError.of_call(error) from None

        return call

    def _stream(self, method):
        def events(resume_token=None, **fields):
            wait = 0.1
            while True:
                if resume_token is not None:
                    fields["resume_token"] = resume_token
                message = self._request(method, None, fields)
                call = self._open(method)(message, **self._arguments())
                self._streams.add(call)
                watchdog = _Watchdog(call)
                try:
                    watchdog.begin()
                    for event in call:
                        watchdog.pause()
                        yield event
                        resume_token, wait = event.resume_token, 0.1
                        watchdog.begin()
                except grpc.RpcError as error:
                    if not self._closed.is_set():
                        _raise_unless_passing(error)
                finally:
                    watchdog.end()
                    self._streams.discard(call)
                    call.cancel()
                if self._closed.wait(wait):
                    return
                wait = _next_wait(wait)

        return events

    def close(self):
        """Ends watches, quietly. Calls afterwards fail with a UserProfileError."""
        self._closed.set()
        for call in tuple(self._streams):
            call.cancel()
        if self._channel is not None:
            self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class AsyncClient(_Caller):
    """The same for asyncio; each method is to be awaited, and watch_profiles to be
    gone through by `async for`. Belongs to the loop that it is first used in."""

    _factory = grpc.aio

    def _unary(self, method):
        async def call(request=None, **fields):
            message = self._request(method, request, fields)
            try:
                return await self._open(method)(
                    message, timeout=self._timeout, **self._arguments()
                )
            except grpc.RpcError as error:
                raise UserProfileError.of_call(error) from None

        return call

    def _stream(self, method):
        async def events(resume_token=None, **fields):
            wait = 0.1
            while True:
                if resume_token is not None:
                    fields["resume_token"] = resume_token
                message = self._request(method, None, fields)
                call = self._open(method)(message, **self._arguments())
                self._streams.add(call)
                try:
                    while True:
                        event = await asyncio.wait_for(call.read(), _SILENCE)
                        if event is grpc.aio.EOF:
                            break
                        yield event
                        resume_token, wait = event.resume_token, 0.1
                except grpc.RpcError as error:
                    if not self._closed.is_set():
                        _raise_unless_passing(error)
                except asyncio.TimeoutError:
                    pass
                except asyncio.CancelledError:
                    # So ends what close() has cancelled, too.
                    if not self._closed.is_set():
                        raise
                finally:
                    self._streams.discard(call)
                    call.cancel()
                if not self._closed.is_set():
                    await asyncio.sleep(wait)
                if self._closed.is_set():
                    return
                wait = _next_wait(wait)

        return events

    async def close(self):
        """Ends watches, quietly. Calls afterwards fail with a UserProfileError."""
        self._closed.set()
        for call in tuple(self._streams):
            call.cancel()
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

"""How watches end, and go on, with a service that is made here."""

import asyncio
import concurrent.futures
import queue
import threading
import unittest
from unittest import mock

import grpc
from userprofile import AsyncClient, Client, UserProfileError, api, client

EVENT = api.message("WatchProfilesResponse")
REQUEST = api.message("WatchProfilesRequest")
LIMIT = 30


class Service(grpc.GenericRpcHandler):
    """Answers each stream by what `answer(number, context)` yields."""

    def __init__(self):
        self.requests = []
        self.answer = None

    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(
            self._watch,
            request_deserializer=REQUEST.FromString,
            response_serializer=EVENT.SerializeToString,
        )

    def _watch(self, request, context):
        self.requests.append(request)
        yield from self.answer(len(self.requests), context)


def fail(context, code, reason=""):
    if reason:
        status = api.message("google.rpc.Status")(code=code.value[0])
        detail = status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo")
        info = api.message("google.rpc.ErrorInfo")(reason=reason)
        detail.value = info.SerializeToString()
        context.set_trailing_metadata(
            [("grpc-status-details-bin", status.SerializeToString())]
        )
    context.abort(code, "failed")


def wait_for_the_end(context):
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait(LIMIT)


class WatchTest(unittest.TestCase):
    def setUp(self):
        self.service = Service()
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.server = grpc.server(self.pool, handlers=[self.service])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        self.addCleanup(lambda: self.server.stop(None).wait())

    def first_of(self, events):
        return next(events).resume_token

    def in_asyncio(self, use):
        async def main():
            async with AsyncClient(self.address) as asynchronous:
                return await use(asynchronous, asynchronous.watch_profiles())

        return asyncio.run(asyncio.wait_for(main(), LIMIT))

    def test_ends_with_what_the_service_says_is_for_good(self):
        def answer(_, context):
            fail(context, grpc.StatusCode.INTERNAL, "SCHEMA_UNFIT")
            yield

        self.service.answer = answer
        with Client(self.address) as synchronous:
            with self.assertRaises(UserProfileError) as raised:
                next(synchronous.watch_profiles())
        self.assertEqual(raised.exception.reason, "SCHEMA_UNFIT")

        async def use(_, events):
            await events.__anext__()

        with self.assertRaises(UserProfileError) as raised:
            self.in_asyncio(use)
        self.assertEqual(raised.exception.reason, "SCHEMA_UNFIT")

    def test_goes_on_after_an_error_without_a_reason(self):
        def answer(number, context):
            if number == 1:
                fail(context, grpc.StatusCode.INTERNAL)
            yield EVENT(resume_token="token")

        self.service.answer = answer
        with Client(self.address) as synchronous:
            self.assertEqual(self.first_of(synchronous.watch_profiles()), "token")

    def test_begins_another_stream_when_it_is_told_nothing(self):
        def answer(number, context):
            if number != 2:
                yield EVENT(resume_token=f"token {number}")
            wait_for_the_end(context)

        self.service.answer = answer

        def check(tokens):
            self.assertEqual(tokens, ["token 1", "token 3"])
            self.assertEqual(self.service.requests[2].resume_token, "token 1")
            self.service.requests.clear()

        async def use(_, events):
            tokens = [(await events.__anext__()).resume_token for _ in range(2)]
            await events.aclose()
            return tokens

        with mock.patch.object(client, "_SILENCE", 0.2):
            with Client(self.address) as synchronous:
                events = synchronous.watch_profiles()
                check([self.first_of(events) for _ in range(2)])
                events.close()
            check(self.in_asyncio(use))

    def test_ends_quietly_when_the_client_is_closed(self):
        def answer(_, context):
            yield EVENT(resume_token="token")
            wait_for_the_end(context)

        self.service.answer = answer
        synchronous = Client(self.address)
        told = queue.Queue()

        def watch():
            for event in synchronous.watch_profiles():
                told.put(event.resume_token)
            told.put(None)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        self.assertEqual(told.get(timeout=LIMIT), "token")
        synchronous.close()
        self.assertIsNone(told.get(timeout=LIMIT))
        with self.assertRaisesRegex(UserProfileError, "the client is closed"):
            synchronous.get_profile(user_id=1)

        async def use(asynchronous, events):
            await events.__anext__()
            rest = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0)  # it waits for the next
            await asynchronous.close()
            with self.assertRaises(StopAsyncIteration):
                await rest
            with self.assertRaisesRegex(UserProfileError, "the client is closed"):
                await asynchronous.get_profile(user_id=1)

        self.in_asyncio(use)


if __name__ == "__main__":
    unittest.main()

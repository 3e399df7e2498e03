import queue
import threading
import unittest
import warnings
from unittest import mock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import telegram
        from telegram import error
        from telegram.ext import Dispatcher, JobQueue, TypeHandler
    except ImportError:
        telegram = None

IS_13 = telegram is not None and telegram.__version__.startswith("13.")
if IS_13:
    from userprofile import ptb


class End(Exception):
    """Of what would poll for ever."""


class Bot:
    """Gives what it has, in order; an exception is raised."""

    defaults = None

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def get_updates(self, **options):
        self.asked.append(options)
        answer = self._answers.pop(0) if self._answers else End()
        if isinstance(answer, Exception):
            raise answer
        return answer


@unittest.skipUnless(IS_13, "without python-telegram-bot 13")
class PollTest(unittest.TestCase):
    def setUp(self):
        self.now = 0
        patch = mock.patch.object(ptb, "time")
        clock = patch.start()
        clock.monotonic.side_effect = lambda: self.now
        clock.sleep.side_effect = self.pass_time
        self.addCleanup(patch.stop)

    def pass_time(self, seconds):
        self.now += seconds

    def dispatcher_of(self, *answers, job_queue=None):
        self.bot = Bot(*answers)
        return Dispatcher(self.bot, queue.Queue(), job_queue=job_queue)

    def poll(self, dispatcher, **options):
        with self.assertRaises(End):
            ptb.poll(dispatcher, **options)

    def test_confirms_an_update_after_handlers_that_are_async(self):
        dispatcher = self.dispatcher_of([telegram.Update(7), telegram.Update(8)])
        done = []
        failures = []

        def handle(update, _):
            done.append((update.update_id, len(self.bot.asked)))
            raise ValueError("of a handler")

        def fail(_, context):
            failures.append(str(context.error))
            raise ValueError("of an error handler")

        dispatcher.add_handler(TypeHandler(object, handle, run_async=True))
        dispatcher.add_error_handler(fail, run_async=True)
        with self.assertLogs(ptb.__name__, "ERROR"):
            self.poll(dispatcher)
        self.assertEqual(done, [(7, 1), (8, 1)])
        self.assertEqual(failures, ["of a handler"] * 2)
        self.assertEqual(self.bot.asked[1]["offset"], 9)

    def test_starts_the_job_queue(self):
        job_queue = JobQueue()
        dispatcher = self.dispatcher_of(job_queue=job_queue)
        job_queue.set_dispatcher(dispatcher)
        ran = threading.Event()
        job_queue.run_repeating(lambda _: ran.set(), interval=0.01)
        self.poll(dispatcher)
        self.addCleanup(job_queue.stop)
        self.assertTrue(ran.wait(30))

    def test_hands_options_on(self):
        self.poll(self.dispatcher_of(), allowed_updates=["message"], timeout=3)
        self.assertEqual(
            self.bot.asked,
            [{"offset": None, "timeout": 3, "allowed_updates": ["message"]}],
        )

    def test_logs_failures_at_first_and_then_seldom(self):
        dispatcher = self.dispatcher_of(
            *[error.NetworkError("away")] * 100, [], error.Conflict("another polls")
        )
        with self.assertLogs(ptb.__name__, "WARNING") as logs:
            self.poll(dispatcher)
        self.assertEqual(self.now, 101)
        self.assertEqual(
            [record.getMessage().rpartition(": ")[2] for record in logs.records],
            ["away", "away", "another polls"],
        )


if __name__ == "__main__":
    unittest.main()

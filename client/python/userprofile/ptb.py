"""For python-telegram-bot.

    from userprofile import Client, ptb

    updater = Updater(TOKEN)
    ptb.install(updater.dispatcher, Client("127.0.0.1:50051"))
    updater.dispatcher.add_handler(MessageHandler(Filters.text, on_message))
    updater.dispatcher.add_error_handler(on_error)
    ptb.poll(updater.dispatcher)

    def on_message(update, context):
        if context.userprofile.recognized == "onboarded":
            update.message.reply_text(f"Hello {context.userprofile.profile.nickname}!")

From version 20 on, give the Application and an AsyncClient; that surface is the
same, but was not run: the tests have version 13.

Handlers run once the contact is on disk. While the service is away that waits, for
the client's timeout; then the error handlers are called with a UserProfileError,
and no other handler is. What userprofile-adapter has marked is taken as it is, from
version 20 on; version 13 loses the mark, and the service is asked again.
"""

import logging
import time

from telegram import Update, error
from telegram.ext import TypeHandler

from .client import AsyncClient
from .lookup import look_up, look_up_async


_LOGGER = logging.getLogger(__name__)
_SELDOM = 60  # seconds


def install(application, client, group=-1):
    """Lets all handlers of later groups find the Contact as context.userprofile."""
    callback = _async_callback if isinstance(client, AsyncClient) else _callback
    application.add_handler(TypeHandler(Update, callback(client)), group)


def poll(dispatcher, timeout=50, **options):
    """For version 13, in place of updater.start_polling(), which confirms updates
    that are still in its queue: a kill loses those. Handles one update at a time,
    and confirms it afterwards, whatever its handlers and error handlers did: one of
    these that wants the update to come again ends the process, by os._exit().

    `options` are those of get_updates(), such as allowed_updates. The job queue is
    started. What is to run by run_async runs in its turn, for an update is confirmed
    after all of its handlers. While Telegram can't be reached, or something else
    polls for the same bot, that is logged as a warning, once a minute."""
    dispatcher.run_async = _run_in_turn(dispatcher)
    if dispatcher.job_queue is not None:
        dispatcher.job_queue.start()
    offset = None
    logged = None
    while True:
        try:
            updates = dispatcher.bot.get_updates(
                offset=offset, timeout=timeout, **options
            )
            logged = None
        except error.RetryAfter as limit:
            time.sleep(limit.retry_after)
            continue
        except (error.NetworkError, error.Conflict) as failure:
            if isinstance(failure, error.BadRequest):
                raise
            if logged is None or time.monotonic() > logged + _SELDOM:
                _LOGGER.warning("no updates, trying again: %s", failure)
                logged = time.monotonic()
            time.sleep(1)
            continue
        for update in updates:
            dispatcher.process_update(update)
            offset = update.update_id + 1


# As the threads of the dispatcher would, which poll() does not start.
def _run_in_turn(dispatcher):
    from telegram.ext import DispatcherHandlerStop
    from telegram.utils.promise import Promise

    def run(function, *arguments, update=None, **named):
        promise = Promise(function, arguments, named, update=update)
        promise.run()
        failure = promise.exception
        if isinstance(failure, DispatcherHandlerStop):
            raise failure
        if failure is not None and function in dispatcher.error_handlers:
            _LOGGER.error("an error handler failed", exc_info=failure)
        elif failure is not None:
            dispatcher.dispatch_error(update, failure, promise=promise)
        return promise

    return run


# An exception would call the error handlers as well, but then the next groups.
def _callback(client):
    from telegram.ext import DispatcherHandlerStop

    def on_update(update, context):
        try:
            context.userprofile = look_up(
                client, update.to_dict(), context.bot.token
            )
        except Exception as failure:
            try:
                context.dispatcher.dispatch_error(update, failure)
            finally:
                raise DispatcherHandlerStop() from failure

    return on_update


def _async_callback(client):
    from telegram.ext import ApplicationHandlerStop

    async def on_update(update, context):
        try:
            context.userprofile = await look_up_async(
                client, update.to_dict(), context.bot.token
            )
        except Exception as failure:
            try:
                await context.application.process_error(update, failure)
            finally:
                raise ApplicationHandlerStop() from failure

    return on_update

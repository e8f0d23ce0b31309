"""Serves an app in memory, as it would be served on sockets: one life, whatever number of connections.

It must not know HTTP, nor what the connections are made of.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio

from ..app.app import App
from .error_log import ErrorLog
from .network import plain_nursery

__all__ = ["serving"]


class _Listener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what is handed over."""

    def __init__(self) -> None:
        self._offer, self._accept = trio.open_memory_channel[trio.abc.Stream](math.inf)

    async def hand_over(self, stream: trio.abc.Stream) -> None:
        """Connect; a listener that is closed refuses, as a socket would."""
        try:
            await self._offer.send(stream)
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)

    async def accept(self) -> trio.abc.Stream:
        return await self._accept.receive()

    async def aclose(self) -> None:
        await self._accept.aclose()


@asynccontextmanager
async def serving(app: App, errors: ErrorLog) -> AsyncIterator[Callable[[trio.abc.Stream], Awaitable[None]]]:
    """Serve `app` as long as the block lasts; gives what connects a stream to it.

    Leaving the block drains this one server, whatever else serves the app; what still runs after
    GRACEFUL_SHUTDOWN_TIMEOUT and CANCEL_GRACE is cancelled.

    Parameters:
      errors: hears the errors of the server.

    Raises:
      CompileError: the app has mistakes.
      Exception: what a lifespan, or a listener, raises while it starts.
      BaseExceptionGroup: of what they raise later.
    """
    app.compile()  # here, as on its way out of a nursery a group of one loses its name
    listener = _Listener()
    async with plain_nursery() as nursery:
        with errors.listening():
            await nursery.start(partial(app.serve, listeners=[listener]))
        life = app.state.lives[-1]
        try:
            yield listener.hand_over
        finally:
            life.stop()
        config = app.config
        nursery.cancel_scope.deadline = trio.current_time() + config.GRACEFUL_SHUTDOWN_TIMEOUT + config.CANCEL_GRACE

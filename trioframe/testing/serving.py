"""Serves an app in memory, as it would be served on sockets: one life, whatever number of connections.

It must not know HTTP, nor what the connections are made of.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from ..app.app import App
from .error_log import ErrorLog
from .network import Serve, plain_nursery

__all__ = ["serving"]


class _Listener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what is handed over."""

    def __init__(self) -> None:
        self._offer, self._accept = trio.open_memory_channel[trio.abc.Stream](math.inf)

    async def hand_over(self, stream: trio.abc.HalfCloseableStream) -> None:
        """Connect, and wait until that connection is over; a listener that is closed refuses, as a socket would."""
        served = _Served(stream)
        try:
            await self._offer.send(served)
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)
        else:
            await served.over.wait()

    async def accept(self) -> trio.abc.Stream:
        return await self._accept.receive()

    async def aclose(self) -> None:
        await self._accept.aclose()


class _Served(trio.abc.HalfCloseableStream):
    """Knows when the server is done with it: when it is closed by the task of its connection, which is the first to
    receive.  Others may close it before, and a handler may still run then.

    Attributes:
      over: set when it is.
    """

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.over = trio.Event()
        self._stream = stream
        self._task: trio.lowlevel.Task | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._task is None:
            self._task = trio.lowlevel.current_task()
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        if self._task is None or self._task is trio.lowlevel.current_task():
            self.over.set()
        await self._stream.aclose()


@asynccontextmanager
async def serving(app: App, errors: ErrorLog) -> AsyncIterator[Serve]:
    """Serve `app` as long as the block lasts; gives what serves it on one stream, until that is over.

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

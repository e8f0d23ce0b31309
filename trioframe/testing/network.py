"""Connects clients to an app in memory, and owns what that starts.

Each connection is a `memory_pair`: the client has one end, behind a `FaultyStream`; the other is given to the server.

Rules of this file:

* One nursery owns all connections of a network.  Leaving it closes the clients' ends, as leaving clients do, and waits
  for the server as long as a draining server would wait; what is left then is cancelled.
* What a test raises comes out as it was raised, not in an exception group because of that nursery.

It must not know HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from .error_log import ErrorLog
from .faults import FaultyStream
from .memory import BUFFER_SIZE, memory_pair

__all__ = ["Network", "Serve", "open_network", "plain_nursery"]

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class Network:
    """Connections in memory; made by `open_network`.

    Attributes:
      connections: the clients' ends of all connections so far, the newest last.
      errors: hears the errors of the server, while it is entered.
    """

    def __init__(self, serve: Serve, nursery: trio.Nursery, errors: ErrorLog, buffer_size: int) -> None:
        self._serve = serve
        self._nursery = nursery
        self._buffer_size = buffer_size
        self.errors = errors
        self.connections: list[FaultyStream] = []
        self._served: dict[FaultyStream, trio.Event] = {}

    def connect(self) -> FaultyStream:
        """A new connection; the client's end."""
        ours, theirs = memory_pair(self._buffer_size)
        stream = FaultyStream(ours)
        self._served[stream] = trio.Event()
        self.errors.run(self._nursery.start_soon, self._serve_one, theirs, self._served[stream])
        self.connections.append(stream)
        return stream

    async def wait_served(self, stream: FaultyStream) -> None:
        """Wait until the server is done with a connection."""
        await self._served[stream].wait()

    async def _serve_one(self, theirs: trio.abc.HalfCloseableStream, served: trio.Event) -> None:
        try:
            await self._serve(theirs)
        finally:
            served.set()


@asynccontextmanager
async def open_network(
    serve: Serve, *, leave_timeout: float, errors: ErrorLog | None = None, buffer_size: int = BUFFER_SIZE
) -> AsyncIterator[Network]:
    """A network, as long as the block lasts.

    Parameters:
      serve: serves one connection, until it is over.
      leave_timeout: seconds that connections may take to end once their clients have left.
      errors: hears the errors of the server.
      buffer_size: bytes that may be on their way in each direction of a connection.
    """
    async with plain_nursery() as nursery:
        network = Network(serve, nursery, errors or ErrorLog(), buffer_size)
        yield network
        for stream in network.connections:
            await stream.aclose()
        nursery.cancel_scope.deadline = trio.current_time() + leave_timeout


@asynccontextmanager
async def plain_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery whose block raises what it raised; a group only if tasks failed too."""
    raised: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as exc:  # noqa: BLE001 - raised below
                raised = exc
                nursery.cancel_scope.cancel(reason="the block has failed")
    except BaseExceptionGroup as group:
        if raised is None or isinstance(raised, trio.Cancelled):
            raise
        raise BaseExceptionGroup(group.message, [raised, *group.exceptions]) from None
    if raised is not None:
        raise raised

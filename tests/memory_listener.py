"""A listener without sockets: the test connects, or breaks it, at will."""

from __future__ import annotations

import math

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what `connect` offers; an exception given to `fail` is raised by `accept` in its turn."""

    def __init__(self) -> None:
        self._offer, self._accept = trio.open_memory_channel[trio.abc.Stream | BaseException](math.inf)
        self.accepts = 0
        self.closed = False

    def connect(self) -> MemoryStream:
        client, server = memory_stream_pair()
        self._offer.send_nowait(server)
        return client

    def offer(self, stream: trio.abc.Stream) -> None:
        self._offer.send_nowait(stream)

    def fail(self, error: BaseException) -> None:
        self._offer.send_nowait(error)

    async def accept(self) -> trio.abc.Stream:
        self.accepts += 1
        offered = await self._accept.receive()
        if isinstance(offered, BaseException):
            raise offered
        return offered

    async def aclose(self) -> None:
        self.closed = True
        self._accept.close()
        await trio.lowlevel.checkpoint()

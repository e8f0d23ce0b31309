"""A raw HTTP/1 peer for tests: an H1Driver on one end of a memory stream, the test's own bytes on the other."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from trioframe.config import Config
from trioframe.errors import RemoteProtocolError
from trioframe.http.alarm import Alarms
from trioframe.http.exchange import ConnInfo, Exchange, Handler
from trioframe.http.h1_connection import H1Driver
from trioframe.http.h1_settings import H1Settings
from trioframe.server.watched_stream import WatchedStream

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class Recorded(trio.abc.HalfCloseableStream):
    """The server's end of a memory stream; remembers each write."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self.send_stream = stream.send_stream
        self.writes: list[bytes] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


@dataclass
class Journal:
    """An observer that remembers."""

    statuses: list[int | None] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    rejections: list[tuple[int, str]] = field(default_factory=list)

    def record(self, exchange: Exchange) -> None:
        self.statuses.append(exchange.status)
        self.exchanges.append(exchange)

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        self.rejections.append((status, str(error)))


class Peer:
    """The client's end of a connection."""

    def __init__(self, stream: MemoryStream, writes: list[bytes], driver: H1Driver, journal: Journal) -> None:
        self.stream = stream
        self.writes = writes
        self.driver = driver
        self.journal = journal
        self.done = trio.Event()
        self.received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def read_to_end(self) -> bytes:
        """Everything until the server closes."""
        data = b""
        async for piece in self.stream.receive_stream:
            data += piece
        return data

    async def read_response(self) -> bytes:
        """One response with its head, by its Content-Length or chunks; the rest is kept for the next call."""
        while (size := _response_size(self.received)) is None:
            piece = await self.stream.receive_some()
            if not piece:
                raise AssertionError(f"the server closed within {self.received!r}")
            self.received += piece
        response, self.received = self.received[:size], self.received[size:]
        return response

    async def nothing_more(self) -> bool:
        """Whether the server has sent nothing that was not read, once nothing moves any more."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return not self.received

    async def _receive(self) -> None:
        self.received += await self.stream.receive_some()


def _response_size(data: bytes) -> int | None:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    status = int(head[9:12])
    if status < 200 or status in (204, 304):
        body = 0
    elif length:
        body = int(length[1])
    else:
        end = re.search(rb"(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n", rest)
        if end is None:
            return None
        body = end.end()
    size = len(head) + 4 + body
    return size if len(data) >= size else None


@asynccontextmanager
async def connected(handler: Handler, **options: Any) -> AsyncIterator[Peer]:
    """A connection served by `handler`; `options` are fields of `H1Settings` or names of `Config`."""
    config = Config(**{name: value for name, value in options.items() if name.isupper()})
    settings = H1Settings.from_config(config)
    settings = replace(settings, **{name: value for name, value in options.items() if name.islower()})
    journal = Journal()
    client, far_end = memory_stream_pair()
    server = Recorded(far_end)
    alarms = Alarms()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.run)
        driver = H1Driver(
            WatchedStream(server, nursery.start_soon),
            handler,
            conn=ConnInfo(),
            settings=settings,
            alarms=alarms,
            spawn=nursery.start_soon,
            observer=journal,
        )
        peer = Peer(client, server.writes, driver, journal)

        async def run() -> None:
            await driver.run()
            peer.done.set()

        nursery.start_soon(run)
        try:
            yield peer
        finally:
            nursery.cancel_scope.cancel()
            alarms.stop()

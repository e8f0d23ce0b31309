"""A client of one WebSocket, frame by frame, and what becomes of the handler at the other end.

The server is an app with one route, on a stream in memory or on a socket of the reactor.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing
from written_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

from trioframe import App, WebSocket, WebSocketClosed
from trioframe.server.reactor import Reactor
from trioframe.testing.memory import MemoryStream, memory_pair

__all__ = [
    "CLOSE_TIMEOUT",
    "CONFIG",
    "HANDSHAKE",
    "INTERVAL",
    "LINGER",
    "OPERATIONS",
    "TIMEOUT",
    "Frame",
    "Handler",
    "WebSocketPeer",
    "binary",
    "close",
    "closing",
    "first",
    "last",
    "more",
    "needs_epoll",
    "on_each",
    "on_each_that_leaves",
    "pieces",
    "ping",
    "pong",
    "settled",
    "text",
    "told",
    "websocket",
]

TOO_LONG = 24 * 60 * 60.0  # seconds: who hangs is found by an autojump clock
INTERVAL, TIMEOUT, CLOSE_TIMEOUT, LINGER = 20.0, 15.0, 5.0, 7.0  # seconds
CONFIG = {
    "WEBSOCKET_PING_INTERVAL": INTERVAL,
    "WEBSOCKET_PING_TIMEOUT": TIMEOUT,
    "WEBSOCKET_CLOSE_TIMEOUT": CLOSE_TIMEOUT,
    "LINGER_TIMEOUT": LINGER,
}
"""Times that are told apart by how long something took."""

SETTLED = 0.02  # seconds in which the kernel has delivered what it was given
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

needs_epoll = pytest.mark.skipif(not Reactor.available, reason="the reactor needs epoll")
on_each = pytest.mark.parametrize("transport", ["memory", pytest.param("unix", marks=needs_epoll)])
"""A stream that only knows how to wait, and a socket of the reactor that takes what it is given at once."""
on_each_that_leaves = pytest.mark.parametrize("transport", ["memory", pytest.param("tcp", marks=needs_epoll)])
"""The same, where FIN and RST are told apart."""


# --- frames -----------------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """What the server sends."""

    opcode: int
    payload: bytes = b""
    fin: bool = True


def text(message: str) -> bytes:
    """A message of the client."""
    return frame(TEXT, message.encode())


def binary(message: bytes) -> bytes:
    return frame(BINARY, message)


def first(octets: bytes, opcode: int = TEXT) -> bytes:
    """The first fragment of a message of the client."""
    return frame(opcode, octets, fin=False)


def more(octets: bytes, *, fin: bool = False) -> bytes:
    return frame(CONTINUATION, octets, fin=fin)


def last(octets: bytes) -> bytes:
    return more(octets, fin=True)


def ping(payload: bytes = b"") -> bytes:
    return frame(PING, payload)


def pong(payload: bytes = b"") -> bytes:
    return frame(PONG, payload)


def close(code: int = 1000, reason: str = "") -> bytes:
    """A close of the client."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def closing(code: int = 1000, reason: str = "") -> Frame:
    """A close of the server."""
    return Frame(CLOSE, struct.pack("!H", code) + reason.encode())


def _read_frame(octets: bytes | bytearray) -> tuple[Frame, int] | None:
    """The frame at the front, and its size; None if it has not come whole."""
    if len(octets) < 2:
        return None
    size, start = octets[1], 2
    assert size <= 127, "servers do not mask"
    if size > 125:
        start = 4 if size == 126 else 10
        size = int.from_bytes(octets[2:start])
    if len(octets) < start + size:
        return None
    payload = bytes(octets[start : start + size])
    return Frame(octets[0] & 0x0F, payload, bool(octets[0] & 0x80)), start + size


# --- the client -------------------------------------------------------------------------------------------------------


class Recorded(trio.abc.HalfCloseableStream):
    """The server's end in memory; remembers each write."""

    def __init__(self, stream: MemoryStream, writes: list[bytes]) -> None:
        self._stream = stream
        self._writes = writes

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._writes.append(bytes(data))
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


class WebSocketPeer:
    """The client's end of a WebSocket.

    Attributes:
      stream: the bytes.
      received: those that are no whole frame so far.
      writes: those of the server, in memory.
      head: of the response.
      ws, request: what the handler was given.
      fate: what became of the handler: "runs", "returned", "raised", or "cancelled as ..." with the reason.
      error: what it raised.
      opened: set when the WebSocket was accepted for it.
      ended: set when it has ended.
      served: set when its connection has.
    """

    head: bytes
    ws: WebSocket
    request: Any

    def __init__(self, app: App, stream: MemoryStream | trio.SocketStream) -> None:
        self.app = app
        self.stream = stream
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.fate = "runs"
        self.error: BaseException | None = None
        self.opened = trio.Event()
        self.ended = trio.Event()
        self.ended_at = 0.0
        self.served = trio.Event()

    # --- sending

    async def send(self, *frames: bytes) -> None:
        """Send them in one write."""
        await self.stream.send_all(b"".join(frames))

    def send_nowait(self, *frames: bytes) -> None:
        """Send them before anybody else has a turn."""
        octets = b"".join(frames)
        if isinstance(self.stream, MemoryStream):
            assert not self.stream._outgoing.put(memoryview(octets))
        else:
            assert os.write(self.stream.socket.fileno(), octets) == len(octets)

    # --- receiving

    async def read_head(self) -> None:
        """The response to the handshake, which accepts it."""
        while b"\r\n\r\n" not in self.received:
            piece = await self.stream.receive_some()
            assert piece, "the server has left"
            self.received += piece
        self.head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head
        self.received[:] = rest
        self.writes.clear()

    async def read(self) -> Frame:
        """The next frame."""
        while (found := _read_frame(self.received)) is None:
            piece = await self.stream.receive_some()
            if not piece:
                raise AssertionError(f"the server has left behind {bytes(self.received)!r}")
            self.received += piece
        frame, size = found
        del self.received[:size]
        return frame

    async def read_many(self, number: int) -> list[Frame]:
        return [await self.read() for _ in range(number)]

    async def read_to_end(self, *, stay: bool = False) -> list[Frame]:
        """All frames until the server leaves, in whatever way; what is no whole frame stays in `received`.

        Then this end leaves too, unless it is to `stay`.
        """
        try:
            while piece := await self.stream.receive_some():
                self.received += piece
        except trio.BrokenResourceError:
            pass
        if not stay:
            await self.stream.aclose()
        return self.read_nowait()

    def read_nowait(self) -> list[Frame]:
        frames = []
        while (found := _read_frame(self.received)) is not None:
            frames.append(found[0])
            del self.received[: found[1]]
        return frames

    async def read_now(self) -> list[Frame]:
        """What the server has sent when nothing moves any more."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            await settled()
            nursery.cancel_scope.cancel()
        return self.read_nowait()

    async def _receive(self) -> None:
        while piece := await self.stream.receive_some():
            self.received += piece

    # --- leaving

    def reset(self) -> None:
        """RST, at once."""
        if isinstance(self.stream, MemoryStream):
            self.stream.reset()
        else:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.stream.socket.close()

    async def leave(self) -> list[Frame]:
        """Close in order, and read to the end."""
        await self.send(close())
        return await self.read_to_end()


async def settled() -> None:
    """Wait until nothing moves any more, in this process or the kernel."""
    await trio.testing.wait_all_tasks_blocked(SETTLED)


# --- the server -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def websocket(
    handler: Callable[[WebSocket], Awaitable[object]],
    transport: str = "memory",
    *,
    early: bytes = b"",
    offer: str = "",
    accept: bool = True,
    buffer_size: int = 16 * 1024,
    route: dict[str, Any] | None = None,
    prepare: Callable[[App], object] = lambda app: None,
    **config: Any,
) -> AsyncIterator[WebSocketPeer]:
    """A client whose WebSocket is served by `handler`; it is open, unless it is not to be `accept`\\ ed for it.

    Parameters:
      transport: "memory", or "unix" or "tcp" on the reactor.
      early: what the client sends right behind its request.
      offer: an extension that it offers.
      buffer_size: bytes that are on their way in memory.
      route: keywords of `App.websocket`.
      prepare: declares whatever else the app is to have.
      config: of the app.
    """
    app = App("websocket", config, env_prefix=None)
    far: trio.abc.Stream
    if transport == "memory":
        near, far_end = memory_pair(buffer_size)
        peer = WebSocketPeer(app, near)
        far = Recorded(far_end, peer.writes)
    else:
        client, far = _socket_pair(transport)
        peer = WebSocketPeer(app, client)

    prepare(app)

    @app.websocket("/", **(route or {}))
    async def watched(request: Any, ws: WebSocket) -> None:
        peer.request, peer.ws = request, ws
        try:
            if accept:
                await ws.accept()
                peer.opened.set()
            await handler(ws)
        except BaseException as exc:
            is_cancelled = isinstance(exc, trio.Cancelled)
            peer.fate = f"cancelled as {request.exchange.lifetime.reason}" if is_cancelled else "raised"
            peer.error = exc.with_traceback(None)
            raise
        else:
            peer.fate = "returned"
        finally:
            peer.ended_at = trio.current_time()
            peer.ended.set()

    async def serve() -> None:
        await app.serve_stream(far)
        peer.served.set()

    clock = trio.lowlevel.current_clock()
    if transport != "memory" and isinstance(clock, trio.testing.MockClock):
        clock.autojump_threshold = SETTLED
    with trio.fail_after(TOO_LONG):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                await peer.send(_handshake(offer) + early)
                if accept:
                    await peer.read_head()
                    await peer.opened.wait()
                yield peer
                nursery.cancel_scope.cancel(reason="the test is over")
            finally:
                await trio.aclose_forcefully(peer.stream)


def _socket_pair(kind: str) -> tuple[trio.SocketStream, trio.SocketStream]:
    if kind == "unix":
        near, far = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            near = socket.create_connection(listening.getsockname())
            far, _ = listening.accept()
    return (
        trio.SocketStream(trio.socket.from_stdlib_socket(near)),
        trio.SocketStream(trio.socket.from_stdlib_socket(far)),
    )


# --- what handlers do -------------------------------------------------------------------------------------------------


def _handshake(offer: str) -> bytes:
    if not offer:
        return HANDSHAKE
    return HANDSHAKE.removesuffix(b"\r\n") + f"Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode()


Handler = Callable[[WebSocket], Awaitable[object]]


async def _receive_piece(ws: WebSocket) -> object:
    return await anext(ws.recv_streaming())


OPERATIONS: dict[str, Handler] = {
    "accept": WebSocket.accept,
    "recv": WebSocket.recv,
    "recv_streaming": _receive_piece,
    "send": lambda ws: ws.send("a"),
    "send pieces": lambda ws: ws.send(pieces("a")),
    "ping": WebSocket.ping,
    "pong": WebSocket.pong,
    "close": WebSocket.close,
}


async def pieces(*these: Any) -> AsyncIterator[Any]:
    """They; one that is an exception is raised."""
    for piece in these:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


def told(operation: Handler) -> tuple[Handler, list[WebSocketClosed]]:
    """A handler that sits in `operation`, then goes on; and what it is told."""
    errors: list[WebSocketClosed] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await operation(ws)
        except WebSocketClosed as error:
            errors.append(error)
        await trio.lowlevel.checkpoint()

    return handler, errors

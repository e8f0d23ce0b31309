"""A raw client that opens WebSockets to an app: openings as it likes, frames by hand, and every way of leaving."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import trio
from written_frames import BINARY, CLOSE, TEXT, frame

from trioframe import App
from trioframe.testing import FaultyStream, connect

__all__ = [
    "ACCEPT",
    "KEY",
    "LOST",
    "WAYS",
    "Answer",
    "Fate",
    "Visitor",
    "accepted",
    "opening",
    "receive",
    "refusal",
    "sleep",
    "visiting",
]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of the example in RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LOST = 1006
TOO_LONG = 24 * 60 * 60.0  # seconds: who hangs is found by an autojump clock

FIELDS = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


class Answer(NamedTuple):
    """What came back to an opening."""

    status: int
    headers: dict[str, str]
    body: bytes


def opening(path: str = "/ws", *, method: str = "GET", version: str = "1.1", **fields: str | None) -> bytes:
    """The request for a WebSocket; `fields` are added, with "-" for "_", or left out with None."""
    changed = {name.replace("_", "-").lower(): value for name, value in fields.items()}
    kept = {name: value for name, value in FIELDS.items() if name.lower() not in changed}
    lines = [f"{name}: {value}\r\n" for name, value in {**kept, **changed}.items() if value is not None]
    return f"{method} {path} HTTP/{version}\r\n{''.join(lines)}\r\n".encode()


class Visitor:
    """The client's end of one connection.

    Attributes:
      stream: the bytes, with all their faults.
    """

    def __init__(self, stream: FaultyStream) -> None:
        self.stream = stream
        self._received = b""

    async def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            piece = await self.stream.receive_some()
            if not piece:
                raise AssertionError(f"the server closed behind {self._received!r}")
            self._received += piece
        read, self._received = self._received[:size], self._received[size:]
        return read

    # --- HTTP

    async def ask(self, request: bytes | None = None, path: str = "/ws", **fields: Any) -> Answer:
        """Send an opening, or another request, and take the answer."""
        await self.stream.send_all(opening(path, **fields) if request is None else request)
        return await self.answer(fields.get("method", "GET"))

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, to a request with this method."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self._read(1)
        first, *lines = head.decode("latin-1").splitlines()[:-1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status, body = int(first.split()[1]), b""
        if method == "HEAD":
            return Answer(status, headers, body)
        if headers.get("transfer-encoding") == "chunked":
            while size := int((await self._line()), 16):
                body += await self._read(size)
                await self._line()
            await self._line()
        elif status != 101:
            body = await self._read(int(headers.get("content-length", 0)))
        return Answer(status, headers, body)

    async def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += await self._read(1)
        return line[:-2]

    async def open(self, path: str = "/ws", **fields: Any) -> Answer:
        """Open a WebSocket that will be accepted."""
        answer = await self.ask(path=path, **fields)
        assert answer.status == 101, answer
        return answer

    # --- frames

    async def send(self, *messages: str | bytes) -> None:
        frames = [
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        ]
        await self.stream.send_all(b"".join(frames))

    async def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        await self.stream.send_all(frame(CLOSE, payload))

    async def receive_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame, which must be whole."""
        first, size = await self._read(2)
        assert first & 0x80
        if size == 126:
            (size,) = struct.unpack("!H", await self._read(2))
        return first & 0x0F, await self._read(size)

    async def receive(self) -> str | bytes:
        """The next message."""
        opcode, payload = await self.receive_frame()
        assert opcode in (TEXT, BINARY), (opcode, payload)
        return payload.decode() if opcode == TEXT else payload

    async def receive_close(self) -> tuple[int, str]:
        """The server's close frame, which comes next."""
        opcode, payload = await self.receive_frame()
        assert opcode == CLOSE, (opcode, payload)
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    # --- the end

    async def take_leave(self) -> tuple[int, str]:
        """Let the server close: answer its close, and see that it ends the connection; the code and its words."""
        code, reason = await self.receive_close()
        await self.send_close(code)
        assert await self.rest() == b""
        return code, reason

    async def leave(self) -> None:
        """Close with 1000, and see that the server answers and ends the connection."""
        await self.send_close()
        assert await self.receive_close() == (1000, "")
        assert await self.rest() == b""

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection; then this end closes as well."""
        rest, self._received = self._received, b""
        try:
            while piece := await self.stream.receive_some():
                rest += piece
        except trio.BrokenResourceError:
            rest += b"(reset)"
        await self.stream.aclose()
        return rest

    async def vanish(self) -> None:
        """Leave without a close."""
        await self.stream.aclose()

    def reset(self) -> None:
        """Leave without anything."""
        self.stream.reset()


@asynccontextmanager
async def visiting(app: App) -> AsyncIterator[Visitor]:
    """A client of `app`, which is served as long as the block lasts, and has to end in time."""
    with trio.fail_after(TOO_LONG):
        async with connect(app) as peer:
            yield Visitor(peer.stream)


# --- handlers


class Fate:
    """A handler that does something, and how that ended."""

    def __init__(self, app: App, do: Callable[[Any, Any], Awaitable[object]], **options: Any) -> None:
        self.how = "runs"
        self.request: Any = None
        self.ws: Any = None
        self._do = do
        app.websocket("/ws", name="fate", **options)(self.handle)

    async def handle(self, request: Any, ws: Any) -> None:
        self.request, self.ws = request, ws
        await ws.accept()
        try:
            await self._do(request, ws)
        except BaseException as exc:
            self.how = type(exc).__name__
            raise
        self.how = "returned"


async def sleep(request: Any, ws: Any) -> None:
    await trio.sleep_forever()


async def receive(request: Any, ws: Any) -> None:
    async for _ in ws:
        pass


async def refusal(app: App, handler: Callable[..., Any], **options: Any) -> Answer:
    """What a client gets in place of a WebSocket; the connection serves another request then, if it may."""
    app.websocket("/ws", **options)(handler)
    async with visiting(app) as visitor:
        answer = await visitor.ask()
        assert answer.status != 101
        if answer.headers.get("connection") != "close":
            assert (await visitor.ask(path="/nowhere")).status == 404
    return answer


async def accepted(app: App, handler: Callable[..., Any], **options: Any) -> tuple[int, str]:
    """How a WebSocket was closed that was accepted."""
    app.websocket("/ws", **options)(handler)
    async with visiting(app) as visitor:
        await visitor.open()
        return await visitor.take_leave()


# --- what may stand around the handler of a WebSocket


async def passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def as_it_is(request: Any) -> AsyncIterator[None]:
    yield


WAYS: dict[str, Callable[[App], object]] = {
    "alone": lambda app: None,
    "listened to": lambda app: app.add_signal(lambda: None, "http.lifecycle.complete"),
    "middleware": lambda app: app.middleware(passing),
    "around the handler": lambda app: app.around("websocket.handler")(as_it_is),
    "around the request": lambda app: app.around("http.lifecycle")(as_it_is),
}
"""In the standing scope of the connection the first two, in a scope of its own the others."""

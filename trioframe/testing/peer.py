"""A raw peer: bytes to the server and bytes back, with every fault a client can have.

For what a real HTTP client would never send, or not like this: broken requests, pipelined ones, one byte at a time,
half a request and then silence.

Rules of this file:

* What is sent is sent as it is.  What comes back is read with h11, one response at a time.
* A server that answers with anything but HTTP raises `RemoteProtocolError`: from here, it is the peer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import trio

from ..app.app import App
from ..errors import RemoteProtocolError
from ..http.headers import Headers
from .error_log import ErrorLog
from .faults import FaultyStream
from .memory import BUFFER_SIZE
from .network import open_network
from .serving import serving

__all__ = ["Peer", "PeerResponse", "connect"]

MAX_HEAD = 1024 * 1024  # bytes of a head that are read before giving up


@dataclass
class PeerResponse:
    """A response, as it came.

    Attributes:
      body: empty where only the head was asked for.
      trailers: the fields behind a chunked body, once that has been read.
      interim: status and headers of the interim responses (1xx) that came before.
    """

    status: int
    reason: str
    http_version: str
    headers: Headers
    interim: list[tuple[int, Headers]]
    body: bytes = b""
    trailers: Headers = field(default_factory=Headers)


class Peer:
    """One connection to the server, and full control over it.

    Attributes:
      stream: the bytes; see `FaultyStream` for more faults.
    """

    def __init__(self, stream: FaultyStream) -> None:
        self.stream = stream
        self._unread = b""  # came after the response read last
        self._parser: h11.Connection | None = None  # reads the response that has begun
        self._response: PeerResponse

    # --- sending -----------------------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send `data`.

        Raises:
          trio.BrokenResourceError: the server has closed the connection.
        """
        await self.stream.send_all(data)

    async def dribble(self, data: bytes, seconds_per_byte: float) -> None:
        """Send `data` a byte at a time, and wait before each of them.  Raises as `send` does."""
        for offset in range(len(data)):
            await trio.sleep(seconds_per_byte)
            await self.stream.send_all(data[offset : offset + 1])

    # --- receiving ---------------------------------------------------------------------------------------------------

    async def receive_response(self, method: str = "GET") -> PeerResponse:
        """The next response, whole.

        Parameters:
          method: of the request it answers; a response to HEAD has no body, whatever its head says.

        Raises:
          RemoteProtocolError: it is not HTTP, or ends before its end, or does not come at all.
          trio.BrokenResourceError: the server has reset the connection.
        """
        response = await self.receive_head(method)
        pieces = []
        while piece := await self.receive_piece():
            pieces.append(piece)
        response.body = b"".join(pieces)
        return response

    async def receive_head(self, method: str = "GET") -> PeerResponse:
        """The next response as far as its head; `receive_piece` reads on.  Raises as `receive_response` does."""
        self._parser = parser = _parser(method)
        if self._unread:
            parser.receive_data(self._unread)
        interim: list[tuple[int, Headers]] = []
        event = await self._next_event(parser)
        # RFC 9110 section 15.2: any number of interim responses; 101 is not one of them.
        while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
            interim.append((event.status_code, Headers(tuple(event.headers))))
            event = await self._next_event(parser)
        self._response = PeerResponse(
            event.status_code,
            bytes(event.reason).decode("latin-1"),
            bytes(event.http_version).decode("ascii"),
            Headers(tuple(event.headers)),
            interim,
        )
        return self._response

    async def receive_piece(self) -> bytes:
        """The next piece of the body, as soon as it is there; b"" at its end.  Raises as `receive_response` does."""
        if self._parser is None:
            return b""
        event = await self._next_event(self._parser)
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            self._response.trailers = Headers(tuple(event.headers))
        self._unread, _ = self._parser.trailing_data
        self._parser = None
        return b""

    async def receive_until_close(self) -> bytes:
        """All that comes until the server closes the connection, unparsed, also from the middle of a response.

        Raises:
          trio.BrokenResourceError: the server has reset it instead.
        """
        if self._parser is not None:
            self._unread, _ = self._parser.trailing_data
            self._parser = None
        received, self._unread = bytearray(self._unread), b""
        while piece := await self.stream.receive_some():
            received += piece
        return bytes(received)

    async def _next_event(self, parser: h11.Connection) -> Any:
        try:
            while (event := parser.next_event()) is h11.NEED_DATA:
                data = bytes(await self.stream.receive_some())
                if not data and parser.their_state is h11.SEND_RESPONSE:
                    said = f"after {parser.trailing_data[0]!r}" if parser.trailing_data[0] else "without a response"
                    raise RemoteProtocolError(f"the server closed the connection {said}")
                parser.receive_data(data)
        except h11.RemoteProtocolError as exc:
            raise RemoteProtocolError(f"the response of the server is broken: {exc}") from exc
        return event

    # --- leaving -----------------------------------------------------------------------------------------------------

    async def disconnect(self) -> None:
        """Close the connection, as a program that leaves does (FIN)."""
        await self.stream.aclose()

    async def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading (FIN)."""
        await self.stream.send_eof()

    def reset(self) -> None:
        """Break the connection (RST): what the server receives or sends from now on fails."""
        self.stream.reset()

    def stop_reading(self) -> None:
        """Take nothing from the server any more: whatever it sends now blocks."""
        self.stream.stop_reading()

    def resume_reading(self) -> None:
        """Undo `stop_reading`."""
        self.stream.resume_reading()


def _parser(method: str) -> h11.Connection:
    """A client's h11 that has sent such a request."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    # With Upgrade, h11 takes a 101 for an answer; it changes nothing for others.
    headers = [("Host", "testserver"), ("Connection", "upgrade"), ("Upgrade", "any")]
    parser.send(h11.Request(method=method, target="/", headers=headers))
    parser.send(h11.EndOfMessage())
    return parser


@asynccontextmanager
async def connect(app: App, *, buffer_size: int = BUFFER_SIZE) -> AsyncIterator[Peer]:
    """A raw connection to `app`, as long as the block lasts: ``async with connect(app) as peer: ...``.

    Leaving the block disconnects and waits for the server's side to end, as long as a draining server would
    (GRACEFUL_SHUTDOWN_TIMEOUT).

    Parameters:
      buffer_size: bytes that may be on their way in each direction.

    Raises:
      CompileError: the app has mistakes.
    """
    async with (
        serving(app, ErrorLog()) as serve,
        # The server drains, and waits for what has to be waited for.
        open_network(serve, leave_timeout=0, buffer_size=buffer_size) as network,
    ):
        yield Peer(network.connect())

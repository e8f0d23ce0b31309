"""One request and its response, whoever carries it: the only thing that server and application share.

HTTP/1 makes one, later HTTP/2, HTTP/3 and a hosting ASGI server will; our application handles one, later a hosted ASGI
application will.  ``Handler = async (Exchange) -> None`` is the whole interface between the two.

Rules of this file:

* The head of a streamed response is held until the first bytes or the end: they leave in one write.  Until then the
  response has not begun, and another one may take its place.
* Every operation that finds the peer gone raises `RequestCancelled`; what the application does wrong raises
  `LocalProtocolError` before a byte is sent.
* `status` is what the access log will say.
* Behind `switch` the exchange only lends: transport and writer are those of whoever asked, until the request is over.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import trio

from .alarm import Alarm
from .body import RequestBody
from .events import RawHeaders, RequestHead
from .lifetime import Lifetime
from .switched import Switched

__all__ = ["ConnInfo", "Exchange", "Handler"]

_connection_ids = itertools.count(1)


class ConnInfo:
    """Facts about the connection an exchange came on.

    Parameters:
      socket: is asked for `sockname` when somebody wants to know.

    Attributes:
      peername: as the socket gives it: (host, port[, flow, scope]) or a path; None for other streams.
      tls: the `trio.SSLStream` of a TLS connection, None on a plain one.
      unix: whether it came on a unix socket.
      id: counts connections of this process.
    """

    __slots__ = ("_ctx", "_socket", "_sockname", "id", "peername", "tls", "unix")

    def __init__(
        self,
        peername: Any = None,
        *,
        sockname: Any = None,
        tls: Any = None,
        unix: bool = False,
        id: int | None = None,
        socket: Any = None,
    ) -> None:
        self.peername = peername
        self.tls = tls
        self.unix = unix
        self.id = next(_connection_ids) if id is None else id
        self._sockname = sockname
        self._socket = socket
        self._ctx: SimpleNamespace | None = None

    @property
    def sockname(self) -> Any:
        """The address of this side, as the socket gives it; None if there is none, or no longer."""
        if self._sockname is None and self._socket is not None:
            try:
                self._sockname = self._socket.getsockname()
            except OSError:
                self._socket = None
        return self._sockname

    @property
    def ctx(self) -> SimpleNamespace:
        """Room for the application, as long as the connection lives."""
        if self._ctx is None:
            self._ctx = SimpleNamespace()
        return self._ctx

    @property
    def scheme(self) -> str:
        """ "https" on TLS, otherwise "http"."""
        return "http" if self.tls is None else "https"

    @property
    def client_ip(self) -> str | None:
        """The peer's address as text; None on a unix socket or a stream that has none."""
        return self.peername[0] if isinstance(self.peername, tuple) else None

    @property
    def client_port(self) -> int | None:
        """The peer's port; None on a unix socket or a stream that has none."""
        return self.peername[1] if isinstance(self.peername, tuple) else None


class Exchange(ABC):
    """One request and its response.

    Attributes:
      head: the request's head.
      conn: facts about the connection.
      lifetime: when it ends, and how it ends early.
      responded: whether the head of a final response has been handed to the connection.
      finished: whether the response is complete.
      status: the status sent, or what the log says instead (499, 503); None so far.
      bytes_sent: bytes of response written so far, heads and framing included.
      started_at: `trio.current_time()` when the head was complete.
      on_send: awaited with the octets of each write before they are written; None for nobody.
      on_drain: called synchronously when the server begins to drain; None for nobody.
      close_code: how the WebSocket ended that this became, for the log; None as long as it has not.
      at_end: called, in order and in no scope, when the request is over, however it has ended; must not raise.
      now: `trio.current_time`.
      continuation: what is left to do outside the standing scope.  Set by a handler that left because of
        `Lifetime.unwinding`; awaited once, by the connection.
    """

    # What holds at first.
    responded = False
    finished = False
    status: int | None = None
    bytes_sent = 0
    on_send: Callable[[bytes | memoryview], Awaitable[None]] | None = None
    on_drain: Callable[[], object] | None = None
    close_code: int | None = None
    at_end: Sequence[Callable[[], object]] = ()
    continuation: Callable[[], Awaitable[None]] | None = None

    def __init__(self, head: RequestHead, conn: ConnInfo, lifetime: Lifetime) -> None:
        self.head = head
        self.conn = conn
        self.lifetime = lifetime
        self.started_at = trio.current_time()

    @property
    def now(self) -> Callable[[], float]:
        return trio.current_time

    @property
    def over(self) -> bool:
        """Whether the request is over: nothing reaches its client any more, and `at_end` was called."""
        return False

    @property
    @abstractmethod
    def body(self) -> RequestBody:
        """The request's body; made when it is first asked for, as most requests have none."""

    def take_body(self, limit: float) -> bytes | None:
        """The whole body, if it has come already, is no larger than `limit` bytes, and nothing of it was read; or None.

        Nothing of it is left for `body` then.
        """
        return None

    @abstractmethod
    async def send_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> None:
        """Send a whole response in one write.

        Takes the place of a head that `send_head` still holds.

        Raises:
          LocalProtocolError: headers or framing that HTTP cannot say, or a response that has already begun.
          RequestCancelled: the peer has gone, or reads nothing.

        If cancelled, an unknown part was sent and the connection is closed.
        """

    def start_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> Awaitable[None] | None:
        """As `send_response`, with all that need not wait done at once: None if that was all, else the rest of it.

        The rest has to be awaited.
        """
        return self.send_response(status, headers, body, reason)

    @abstractmethod
    def send_head(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        content_length: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Begin a streamed response; the head is held until the first `send_data` or `send_end`.

        Parameters:
          content_length: bytes of body to come, None if unknown.

        Raises:
          LocalProtocolError: the response has already begun.
        """

    @abstractmethod
    async def send_data(self, data: bytes) -> None:
        """Send a piece of the body, in one write; b"" sends the head alone if it is still held.  Raises as above."""

    async def write_data(self, data: bytes) -> bool:
        """As `send_data`, but a checkpoint only if it has to wait; whether it was one.

        For many pieces in a row, by whoever sees to it that others have their turn, and calls `push` before anything
        else is awaited than the next piece or the end.
        """
        await self.send_data(data)
        return True

    def push(self) -> None:  # noqa: B027 - not every connection holds anything back
        """Let leave what `write_data` has written, for nothing follows it now."""

    @abstractmethod
    async def send_end(self, trailers: RawHeaders = ()) -> None:
        """End a streamed response.

        Raises:
          LocalProtocolError: fewer bytes were sent than the length announced; the connection is closed.
        """

    @abstractmethod
    def abandon(self) -> None:
        """The response that has begun will not be completed; the connection ends so that the peer can tell."""

    @abstractmethod
    async def switch(self, headers: Sequence[tuple[bytes, bytes]]) -> Switched:
        """Send the 101 for which the request has asked, and go on in another protocol (RFC 9110 section 7.8).

        From then on whoever called it reads, writes and watches; the connection has nothing to say any more.  It lasts
        as long as the handler and what follows it; set `finished` if it has ended in order.

        Parameters:
          headers: those of the protocol.

        Raises:
          LocalProtocolError: the request did not ask for it, has not been read to its end, or has been answered.
          RequestCancelled: the peer has gone, or reads nothing.

        If cancelled, an unknown part was sent and the connection is closed.
        """

    @abstractmethod
    def open_alarm(self, ring: Callable[[], object]) -> Alarm:
        """An alarm of the server, to be stopped at the end; see `Alarms.alarm`."""

    @abstractmethod
    def spawn(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Start a task of the connection, that ends with it at the latest.

        What it raises is an error of the server, and ends the connection.
        """

    @abstractmethod
    async def send_informational(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send an interim response (RFC 9110 section 15.2); nothing to an HTTP/1.0 client, which knows none."""


Handler = Callable[[Exchange], Awaitable[None]]

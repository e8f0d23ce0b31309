"""A request that came on an HTTP/1 connection, and its response.

It translates between the `Exchange` that an application sees and the connection that carries it: what the application
sends becomes bytes by `h1`, and one write.

Rules of this file:

* Whether a response may be sent, and how it is framed, `h1` decides, before a byte is written.
* The head of a streamed response is held until something follows it (see `exchange`).
* The connection knows its exchange only while it serves it: nothing holds a request longer than its time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, cast

import trio

from ..errors import LocalProtocolError, RequestCancelled, reason_phrase
from .alarm import Alarm
from .body import RequestBody
from .events import RawHeaders, RequestHead
from .exchange import Exchange
from .h1_body import H1Body
from .lifetime import Lifetime
from .switched import Switched

if TYPE_CHECKING:
    from .h1_connection import H1Driver

__all__ = ["PLAIN_TEXT", "H1Exchange"]


logger = logging.getLogger("trioframe.http")

Held = tuple[int, Sequence[tuple[bytes, bytes]], int | None, str | None]  # status, headers, content_length, reason

PLAIN_TEXT: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"text/plain; charset=utf-8"),)
LARGE = 64 * 1024  # bytes of a body that are joined with their head


class H1Exchange(Exchange):
    """A request that came on an HTTP/1 connection.  See `Exchange` for what each operation does.

    Attributes:
      opened_body: the body, if anybody has asked for it.
    """

    opened_body: RequestBody | None = None
    _abandoned = False
    _held: Held | None = None

    def __init__(self, connection: H1Driver, head: RequestHead) -> None:
        # Not by way of the base class, as this is done for every request.
        self._connection = connection
        self.head = head
        self.conn = connection.conn
        self.lifetime = Lifetime(connection.spawn, connection.settings.terms, connection)
        self.started_at = connection.now()

    def __repr__(self) -> str:
        return f"<{self.head.method} {self.head.target.decode('ascii', 'backslashreplace')}>"

    @property
    def now(self) -> Callable[[], float]:
        return self._connection.now

    @property
    def over(self) -> bool:
        return self._connection.exchange is not self

    @property
    def body(self) -> RequestBody:
        if self.opened_body is None:
            self.opened_body = RequestBody(H1Body(self._connection, self.lifetime))
            if self.over:
                self.opened_body.expire()
        return self.opened_body

    def take_body(self, limit: float) -> bytes | None:
        length = self.head.content_length
        if length is None or length > limit or self.opened_body is not None:
            return None
        return self._connection.wire.take_body()

    # --- the response ------------------------------------------------------------------------------------------------

    async def send_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> None:
        rest = self.start_response(status, headers, body, reason)
        if rest is not None:
            await rest

    def start_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> Awaitable[None] | None:
        connection, lifetime = self._connection, self.lifetime
        writer, wire = connection.writer, connection.wire
        if writer.broken or lifetime.lost or connection.exchange is not self:
            self._check()
        close = connection.closing or (not wire.body_complete and self._too_much_unread())
        if len(body) > LARGE:
            return self._send_large(status, headers, body, close, reason)
        data = wire.send_response(status, headers, body, close, reason)
        self.responded, self.status, self._held = True, status, None
        if lifetime.running:  # else it has met its limit by ending
            lifetime.response_started()
        if self.on_send is not None:
            return self._send_told(data)
        self.bytes_sent += len(data)
        sent = writer.write_nowait(data, lifetime)
        if sent != len(data):
            return self._send_rest(memoryview(data)[sent:])
        self.finished = True
        return None  # no checkpoint: the connection has one for every request

    async def _send_told(self, data: bytes) -> None:
        await self._send(data)
        self.finished = True

    async def _send_rest(self, data: memoryview) -> None:
        await self._connection.writer.write(data, self.lifetime)
        self.finished = True

    async def _send_large(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, close: bool, reason: str | None
    ) -> None:
        """No copy of the whole is made to put the head before it."""
        wire = self._connection.wire
        first, rest = body[:LARGE], cast("bytes", memoryview(body)[LARGE:])
        data = wire.begin_response(status, headers, first, content_length=len(body), close=close, reason=reason)
        self._begin(status)
        await self._send(data, more=True)
        await self._send(wire.send_data(rest))
        await self._send(wire.send_end())
        self.push()  # to HEAD there was nothing but the head
        self.finished = True

    def send_head(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        content_length: int | None = None,
        reason: str | None = None,
    ) -> None:
        if self.responded:
            raise LocalProtocolError("the response has already begun")
        self._held = (status, headers, content_length, reason)

    async def send_data(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        # Nobody knows when the next piece comes: this one leaves now.
        if not await self._write_piece(data, more=False):
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def write_data(self, data: bytes) -> bool:
        return await self._write_piece(data, more=True)

    async def _write_piece(self, data: bytes, *, more: bool) -> bool:
        connection, lifetime = self._connection, self.lifetime
        writer = connection.writer
        if writer.broken or lifetime.lost or connection.exchange is not self:
            self._check()
        held = self._held
        data = connection.wire.send_data(data) if held is None else self._begin_with(held, data)
        if not data:
            return False
        if self.on_send is not None:
            await self.on_send(data)
        self.bytes_sent += len(data)
        sent = writer.write_nowait(data, lifetime, more=more)
        if sent == len(data):
            return False
        await writer.write(memoryview(data)[sent:], lifetime)
        return True

    def push(self) -> None:
        if self._connection.exchange is self:
            self._connection.transport.push()

    async def send_end(self, trailers: RawHeaders = ()) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check()
        held, wire = self._held, self._connection.wire
        end = wire.send_end(trailers) if held is None else self._begin_with(held, b"", end=True, trailers=trailers)
        await self._write(end)
        self.push()  # with a Content-Length, the end is nothing that could be sent
        self.finished = True

    async def send_informational(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check()
        await self._write(self._connection.wire.send_informational(status, headers))

    async def switch(self, headers: Sequence[tuple[bytes, bytes]]) -> Switched:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check()
        connection = self._connection
        data = connection.wire.send_switch(101, headers)
        self._begin(101)
        await self._write(data)
        connection.switched(self)
        return Switched(
            connection.transport,
            connection.writer,
            connection.wire.leftover(),
            connection.settings.buffer_size,
            connection.draining,
        )

    def open_alarm(self, ring: Callable[[], object]) -> Alarm:
        return self._connection.alarms.alarm(ring)

    def spawn(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        self._connection.spawn(async_fn)

    async def apologise(self, status: int) -> None:
        """Answer in the place of a handler that has failed, if it has not begun to."""
        if self.responded:
            return
        try:
            await self.send_response(status, PLAIN_TEXT, f"{status} {reason_phrase(status)}\n".encode())
        except (RequestCancelled, LocalProtocolError, trio.BusyResourceError) as exc:
            self.status = status
            logger.debug("connection %d: no answer for the failed handler: %s", self.conn.id, exc)

    def abandon(self) -> None:
        self._abandoned = True

    async def complete(self) -> None:
        """The handler has returned: see that it has answered, and end what it has begun.

        Raises:
          LocalProtocolError: it has not answered, or not with as many bytes as it announced.
        """
        if self.finished or self._abandoned:
            return
        if self.responded or self._held is not None:
            await self.send_end()
        else:
            raise LocalProtocolError("the handler returned without a response")

    async def conclude(self) -> None:
        """The standing scope was left: let the handler finish, or raise what it has ended with."""
        rest, self.continuation = self.continuation, None
        if rest is None:
            self.lifetime.outcome()
        else:
            await rest()

    def _check(self) -> None:
        """Whether anything may be sent at all, before `h1` is told of it."""
        if self._connection.exchange is not self:
            raise LocalProtocolError("this request is over: nothing can be sent to its client any more")
        self._connection.writer.check(self.lifetime)

    def _begin_with(self, held: Held, data: bytes, *, end: bool = False, trailers: RawHeaders = ()) -> bytes:
        """The head that was held, with what follows it."""
        status, headers, content_length, reason = held
        connection = self._connection
        first = connection.wire.begin_response(
            status,
            headers,
            data,
            content_length=content_length,
            close=connection.closing,
            reason=reason,
            end=end,
            trailers=trailers,
        )
        self._begin(status)
        return first

    def _begin(self, status: int) -> None:
        self._held = None
        self.responded = True
        self.status = status
        self.lifetime.response_started()

    async def _write(self, data: bytes) -> None:
        """One write of a handler, and so a schedule point; its cancel point was before."""
        if not await self._send(data):
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def _send(self, data: bytes | memoryview, *, more: bool = False) -> bool:
        """Send, without waiting if that is possible; whether it had to wait.  `more` as for `Transport.send_nowait`."""
        if not data:
            return False
        if self.on_send is not None:
            await self.on_send(data)
        writer = self._connection.writer
        sent = writer.write_nowait(data, self.lifetime, more)
        self.bytes_sent += len(data)
        if sent == len(data):
            return False
        await writer.write(data if not sent else memoryview(data)[sent:], self.lifetime)
        return True

    def _too_much_unread(self) -> bool:
        """Whether so much of the body may be left that closing is cheaper than reading it."""
        wire, settings = self._connection.wire, self._connection.settings
        if wire.expects_continue or self.head.content_length is None:
            return True
        return self.head.content_length - self.body.received > settings.drain_max_size

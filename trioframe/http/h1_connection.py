"""Drives one HTTP/1 connection: reads for the wire, writes for the exchange, keeps the time.

The whole life of a connection is one loop in one task: ask `h1` for an event, read when it needs data, make an
`Exchange` of a request head and await the handler right here, see to what is left of the request, and go round again if
`h1` allows it.

Rules of this file:

* No protocol rules: what may be sent, and whether the connection may be used again, is asked of `h1`.
* Time is absolute.  A scope of this file stands only around a single wait, so a handler is never cancelled by it.
* Whatever leaves the handler is contained here; only cancellation goes on.
* Nothing is lost by closing: unless the peer has gone, the last answer is followed by FIN and a moment of listening.

It must not know sockets, TLS, listeners or the application.
"""

from __future__ import annotations

import contextvars
import logging
import math
from collections.abc import Sequence
from typing import Protocol

import trio

from ..errors import LocalProtocolError, RemoteProtocolError, RequestCancelled, reason_phrase
from .closing import close_now
from .containment import split_fatal
from .events import NEED_DATA, Data, Event, IncompleteMessage, RequestHead
from .exchange import ConnInfo, Exchange, Handler
from .h1 import H1Connection
from .h1_exchange import H1Exchange
from .h1_settings import H1Settings
from .request_nursery import Spawn
from .transport import Transport
from .writer import Writer

__all__ = ["H1Driver", "Observer"]

logger = logging.getLogger("trioframe.http")

DRAIN_LINGER = 1.0  # seconds to linger at most while the server drains
GOODBYE = 0.1  # seconds to linger for a peer that owes us nothing, so that it sees a clean end
_PLAIN: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"text/plain; charset=utf-8"),)


class Observer(Protocol):
    """Hears what became of each request; the server's access log is one."""

    def record(self, exchange: Exchange) -> None:
        """The exchange is over."""

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        """Input was refused before it became an exchange."""


class H1Driver:
    """One HTTP/1 connection.

    Parameters:
      transport: the bytes; closed when `run` ends, however it ends.
      handler: awaited once per request, in the task of `run`.
      spawn: starts a task that this connection owns.
      observer: told of each request.
    """

    def __init__(
        self,
        transport: Transport,
        handler: Handler,
        *,
        conn: ConnInfo,
        settings: H1Settings,
        spawn: Spawn,
        observer: Observer,
    ) -> None:
        self.transport = transport
        self.conn = conn
        self.settings = settings
        self.wire = H1Connection(settings.limits)
        self.writer = Writer(transport, settings.send_timeout)
        self.spawn = spawn
        self.exchange: H1Exchange | None = None
        self._context = contextvars.copy_context()  # what each request begins with
        self._handler = handler
        self._observer = observer
        self._requests = 0
        self._draining = False
        self._head_scope: trio.CancelScope | None = None  # around the wait for a head
        self._idle = False  # nothing of that head has come
        self._parting: trio.CancelScope | None = None  # around the wait for what nobody wants any more
        self._last = False  # no request follows the one now served

    # --- the life of the connection ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until it is over.

        Raises nothing but cancellation (and what no server should survive, such as `KeyboardInterrupt`).
        """
        try:
            if (patience := await self._serve_requests()) > 0:
                await self._linger(patience)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            logger.debug("connection %d: %s", self.conn.id, exc)
        finally:
            await close_now(self.transport)

    async def _linger(self, patience: float) -> None:
        patience = min(patience, DRAIN_LINGER if self._draining else math.inf, self.settings.linger_timeout)
        with trio.CancelScope() as self._parting:
            await self.transport.linger(patience)

    async def _serve_requests(self) -> float:
        """Serve one request after the other; how many seconds to linger for the peer then."""
        try:
            while (head := await self._next_head()) is not None:
                if not await self._serve(H1Exchange(self, head)):
                    return 0 if self.writer.broken else self.settings.linger_timeout
        except IncompleteMessage as error:
            logger.debug("connection %d: %s", self.conn.id, error)
        except RemoteProtocolError as error:
            await self._reject(error)
            return 0 if self.writer.broken else self.settings.linger_timeout
        return GOODBYE

    async def _next_head(self) -> RequestHead | None:
        """The next request, or None when the connection ends between two of them."""
        event: Event | None = self.wire.next_event()
        if event is NEED_DATA:
            event = await self._wait_for_head()
        elif self._requests:
            # A pipelined request waits its turn, and the step makes the fresh context count.
            await trio.lowlevel.cancel_shielded_checkpoint()
        # Where a request begins h1 gives a head, or says that none will come.
        return event if isinstance(event, RequestHead) else None

    async def _wait_for_head(self) -> Event | None:
        """Read until there is an event; None if nothing came in time, or the server drains.

        The deadline of a head is counted from its first byte, and does not move when more of it comes.
        """
        settings, wire = self.settings, self.wire
        self._idle = not wire.buffered
        if self._idle and self._draining:
            return None
        patience = settings.keep_alive_timeout if self._idle and self._requests else settings.request_timeout
        self._head_scope = scope = trio.CancelScope(deadline=trio.current_time() + patience)
        try:
            with scope:
                while True:
                    await self.receive()
                    event = wire.next_event()
                    if event is not NEED_DATA:
                        return event
                    if self._idle:
                        self._idle = False
                        scope.deadline = trio.current_time() + settings.request_timeout
        finally:
            self._head_scope = None
        if self._idle or self._draining:
            return None
        raise RemoteProtocolError("the head of the request did not arrive in time", 408)

    async def _serve(self, exchange: H1Exchange) -> bool:
        """One request and its response; whether another may follow."""
        self._requests += 1
        self.exchange = exchange
        self.transport.watch(exchange.lifetime)
        try:
            await self._handler(exchange)
            await exchange.complete()
        except RequestCancelled as exc:
            if not exchange.finished:  # else the client has its answer, and only children were cancelled
                exchange.status = exc.status
            if exc.status == 503:
                await self._apologise(exchange, 503)
        except RemoteProtocolError as exc:
            await self._apologise(exchange, exc.status)
        except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - contained: one request never ends another
            self._report(exchange, exc)
            await self._apologise(exchange, 500)
        finally:
            self._end(exchange)
            if exchange.status is None:  # cancelled from outside: the program ends
                exchange.status = RequestCancelled(exchange.lifetime.reason or "shutdown").status
            self._observer.record(exchange)
        return await self._ready_for_next(exchange)

    def _end(self, exchange: H1Exchange) -> None:
        """From here on the exchange reaches neither the peer nor the next request, whoever still holds it."""
        self.transport.watch(None)
        self.exchange = None
        exchange.expire()
        # What the handler set in context variables ends with its request.  Trio looks at this at the task's next step.
        trio.lowlevel.current_task().context = self._context.copy()

    def _report(self, exchange: H1Exchange, error: Exception | BaseExceptionGroup[BaseException]) -> None:
        """Log what a handler should have answered itself; raise what is not ours to stop."""
        report, fatal = split_fatal(error)
        if report is not None:
            logger.error("unhandled error in the handler of %r", exchange, exc_info=report)
        if fatal is not None:
            raise fatal

    async def _apologise(self, exchange: H1Exchange, status: int) -> None:
        """Answer in the handler's place, if it has not begun to."""
        if exchange.responded:
            return
        try:
            await exchange.send_response(status, _PLAIN, f"{status} {reason_phrase(status)}\n".encode())
        except (RequestCancelled, LocalProtocolError, trio.BusyResourceError) as exc:
            exchange.status = status
            logger.debug("connection %d: no answer for the failed handler: %s", self.conn.id, exc)

    async def _ready_for_next(self, exchange: H1Exchange) -> bool:
        """See to what is left of the request; whether the connection may be used again."""
        if not exchange.finished:
            self.writer.broken = True
            if self.wire.ends_with_close:
                self.transport.abort()  # else the peer would take what it has for a whole answer
            return False
        if self.closing or self.writer.broken or self.wire.must_close or exchange.lifetime.lost:
            return False
        if not self.wire.body_complete and not await self._discard_body():
            return False
        self.wire.start_next_cycle()
        return True

    async def _discard_body(self) -> bool:
        """Read what the handler left of the body, if that is little; whether its end was reached."""
        left = self.settings.drain_max_size
        with trio.move_on_after(self.settings.linger_timeout) as self._parting:
            try:
                while not self.wire.body_complete:
                    event = self.wire.next_event()
                    if event is NEED_DATA:
                        await self.receive()
                    elif isinstance(event, Data) and (left := left - len(event.data)) < 0:
                        return False
            except RemoteProtocolError as exc:
                logger.debug("connection %d: unread body: %s", self.conn.id, exc)
                return False
            return True
        return False

    async def _reject(self, error: RemoteProtocolError) -> None:
        """Answer input that never became a request."""
        self._observer.rejected(self.conn, error, error.status)
        body = f"{error.status} {reason_phrase(error.status)}\n{error}\n".encode("ascii", "backslashreplace")
        try:
            await self.writer.write(self.wire.send_response(error.status, _PLAIN, body, close=True))
        except (RequestCancelled, LocalProtocolError) as exc:
            logger.debug("connection %d: the refusal was not sent: %s", self.conn.id, exc)

    # --- asked by the server -----------------------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether the response now sent is the connection's last."""
        return self._draining or self._last or self._requests >= self.settings.max_requests

    def refuse_more(self) -> None:
        """The rest of this request will not be read: no request can follow it."""
        self._last = True

    def drain(self) -> None:
        """Let the request that runs be the last; an idle connection closes now."""
        self._draining = True
        if self._head_scope is not None and self._idle:
            self._head_scope.cancel(reason="the server is stopping")
        if self._parting is not None:
            self._parting.deadline = min(self._parting.deadline, trio.current_time() + DRAIN_LINGER)

    def cancel(self) -> None:
        """Cancel the request that runs, as "shutdown"; a head half received is given up."""
        self._draining = True
        if self._head_scope is not None:
            self._head_scope.cancel(reason="the server is stopping")
        if self.exchange is not None:
            self.exchange.lifetime.cancel("shutdown")

    def force(self, within: float) -> None:
        """As `cancel`, and let nothing in the request hold it up for more than `within` seconds."""
        self.cancel()
        if self.exchange is not None:
            self.exchange.lifetime.force(within)

    # --- bytes -------------------------------------------------------------------------------------------------------

    async def receive(self) -> int:
        """Wait for bytes and give them to the wire; how many there were."""
        data = await self.transport.receive_some(self.settings.buffer_size)
        self.wire.receive_data(data)
        return len(data)

"""Drives one HTTP/1 connection: reads for the wire, writes for the exchange, keeps the time.

The whole life of a connection is one loop in one task: ask `h1` for an event, read when it needs data, make an
`Exchange` of a request head and await the handler right here, see to what is left of the request, and go round again if
`h1` allows it.

Rules of this file:

* No protocol rules: what may be sent, and whether the connection may be used again, is asked of `h1`.
* Time is absolute, and kept by one alarm.
* One scope stands around the loop.  It is lent to each request in turn (see `standing`), and cancelled only for the
  request that it is lent to, or while nothing but the head of the next one is awaited.
* Whatever leaves the handler is contained here; only cancellation goes on.
* Nothing is lost by closing: unless the peer has gone, the last answer is followed by FIN and a moment of listening.

It must not know sockets, TLS, listeners or the application.
"""

from __future__ import annotations

import contextvars
import logging
import math
from collections.abc import Callable

import trio

from ..errors import LocalProtocolError, RemoteProtocolError, RequestCancelled, reason_phrase
from .alarm import Alarms
from .closing import close_now
from .containment import contain
from .events import NEED_DATA, Data, Event, IncompleteMessage, RequestHead
from .exchange import ConnInfo, Handler
from .h1 import H1Connection
from .h1_exchange import PLAIN_TEXT, H1Exchange
from .h1_settings import H1Settings
from .observer import Observer
from .request_nursery import Spawn
from .transport import Transport
from .writer import Writer

__all__ = ["H1Driver"]

logger = logging.getLogger("trioframe.http")

DRAIN_LINGER = 1.0  # seconds to linger at most while the server drains
GOODBYE = 0.1  # seconds to linger for a peer that owes us nothing, so that it sees a clean end


class H1Driver:
    """One HTTP/1 connection.

    Parameters:
      transport: the bytes; closed when `run` ends, however it ends.
      handler: awaited once per request, in the task of `run`.
      alarms: keep the time of this connection.
      spawn: starts a task that this connection owns.
      observer: told of each request.

    Attributes:
      scope, alarm, task: what is lent to each request; see `standing.Standing`.
      exchange: the request that is served, None between two.
      closing: whether the response now sent is the connection's last.
      draining: whether no request follows the one that is served.
      now: `trio.current_time`, on a shorter way.
    """

    __slots__ = (  # a dictionary of so many would be a kilobyte
        "_cancelled",
        "_context",
        "_given_up",
        "_half_closed",
        "_handler",
        "_idle",
        "_late",
        "_observer",
        "_parting",
        "_pending",
        "_record",
        "_requests",
        "_reset",
        "_waiting",
        "alarm",
        "alarms",
        "closing",
        "conn",
        "draining",
        "exchange",
        "now",
        "scope",
        "settings",
        "spawn",
        "task",
        "transport",
        "wire",
        "writer",
    )
    scope: trio.CancelScope
    task: trio.lowlevel.Task
    now: Callable[[], float]

    def __init__(
        self,
        transport: Transport,
        handler: Handler,
        *,
        conn: ConnInfo,
        settings: H1Settings,
        alarms: Alarms,
        spawn: Spawn,
        observer: Observer,
    ) -> None:
        self.transport = transport
        self.conn = conn
        self.settings = settings
        self.wire = H1Connection(settings.limits)
        self.writer = Writer(transport, settings.send_timeout)
        self.spawn = spawn
        self.alarms = alarms
        self.alarm = alarms.alarm(self._ring)
        self.exchange: H1Exchange | None = None
        self.closing = False
        self._context = contextvars.copy_context()  # what each request begins with
        self._handler = handler
        self._observer = observer
        self._record = observer.record
        self._requests = 0
        self.draining = False
        self._cancelled = False  # by the server, that is past waiting
        self._pending = False  # something of the next request is here
        self._waiting = False  # for a head
        self._given_up = False  # that wait was cancelled
        self._late: RequestHead | None = None  # the head that came all the same, in that very moment
        self._idle = False  # nothing of that head has come
        self._half_closed = self._reset = False  # the peer has gone
        self._parting: trio.CancelScope | None = None  # around the wait for what nobody wants any more

    # --- the life of the connection ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until it is over.

        Raises nothing but cancellation (and what no server should survive, such as `KeyboardInterrupt`).
        """
        self.task = trio.lowlevel.current_task()
        self.now = trio.lowlevel.current_clock().current_time
        try:
            if (patience := await self._serve_requests()) > 0:
                await self._linger(patience)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            logger.debug("connection %d: %s", self.conn.id, exc)
        finally:
            self.alarm.stop()
            self.transport.watch(None)
            await close_now(self.transport)

    async def _linger(self, patience: float) -> None:
        patience = min(patience, DRAIN_LINGER if self.draining else math.inf, self.settings.linger_timeout)
        with trio.CancelScope(deadline=self.now() + patience) as self._parting:
            await self.transport.linger()

    async def _serve_requests(self) -> float:
        """Serve one request after the other; how many seconds to linger for the peer then.

        The scope around them is left only when it was cancelled; then the request that it was lent to is concluded.
        """
        try:
            while True:
                try:
                    with trio.CancelScope() as self.scope:
                        ended = await self._serve_in_turn()
                        if self.exchange is None and self._late is None:
                            return GOODBYE if ended else self._last_patience
                except BaseException as exc:
                    if self.exchange is None or not self.exchange.lifetime.unwinding:
                        raise
                    self.exchange.lifetime.unwound(exc)
                if self._late is not None:
                    continue
                if self.exchange is None:
                    return self._give_up_waiting()
                if not await self._conclude(self.exchange):
                    return self._last_patience
        except IncompleteMessage as error:
            logger.debug("connection %d: %s", self.conn.id, error)
            return GOODBYE
        except RemoteProtocolError as error:
            await self._reject(error)
            return self._last_patience

    @property
    def _last_patience(self) -> float:
        """Seconds to linger behind a last answer."""
        return 0 if self.writer.broken else self.settings.linger_timeout

    async def _serve_in_turn(self) -> bool:  # noqa: C901, PLR0912 - in one piece, and so in one coroutine
        """Serve requests in the standing scope; whether a goodbye is all that is left, as no request is unanswered."""
        wire, settings, receive_some = self.wire, self.settings, self.transport.receive_some
        buffer_size, max_requests = settings.buffer_size, settings.max_requests
        late, self._late, self._given_up = self._late, None, False
        while True:
            event: Event = late or (wire.next_event() if self._pending else NEED_DATA)
            late = None
            if event is NEED_DATA:
                if not self._begin_to_wait():
                    return True
                # The first request has often come before its connection was accepted.
                data = None if self._requests else self.transport.receive_nowait(buffer_size)
                while event is NEED_DATA:
                    event = wire.receive_head(await receive_some(buffer_size) if data is None else data)
                    data = None
                    if self._idle and event is NEED_DATA:
                        # The deadline of a head is counted from its first byte, and does not move when more comes.
                        self._idle = False
                        self.alarm.deadline = self.now() + settings.request_timeout
                self._waiting = False
            else:
                # A pipelined request waits its turn, and the step makes the fresh context count.
                await trio.lowlevel.cancel_shielded_checkpoint()
            if not isinstance(event, RequestHead):  # h1 says that none will come
                return True
            if self._given_up:  # a scope that was cancelled serves nobody: the next one does
                self._late = event
                return True
            self.exchange = exchange = H1Exchange(self, event)
            self._requests += 1
            if self._requests == 1 or self._half_closed or self._cancelled or self._requests >= max_requests:
                self._begin_unusually(exchange)
            try:
                await self._handler(exchange)
                if exchange.lifetime.unwinding:
                    return False
                if not exchange.finished:
                    await exchange.complete()
            except BaseException as exc:
                if exchange.lifetime.unwinding:
                    raise
                await self._failed(exchange, exc)
            if not self._end(exchange) or not (wire.body_complete or await self._discard_body()):
                return False
            self._pending = wire.start_next_cycle()

    def _begin_to_wait(self) -> bool:
        """Set the alarm for the next head; whether one is to be waited for."""
        self._idle = not self._pending
        if self._idle and self.draining:
            return False
        settings = self.settings
        patience = settings.keep_alive_timeout if self._idle and self._requests else settings.request_timeout
        self.alarm.deadline = self.now() + patience
        self._waiting = True
        return True

    def _give_up_waiting(self) -> float:
        """The wait for a head was cancelled: an idle connection just ends."""
        self._waiting = False
        if self._idle or self.draining:
            return GOODBYE
        raise RemoteProtocolError("the head of the request did not arrive in time", 408)

    def _ring(self) -> None:
        """The deadline of the standing scope has passed."""
        if self.exchange is not None:
            self.exchange.lifetime.ring()
            if self.exchange.lifetime.unwinding:
                logger.error(
                    "%r: what stands around the handler - middleware, receivers - took too long", self.exchange
                )
        elif self._waiting:
            self._stop_waiting("no request came in time")

    def _stop_waiting(self, why: str) -> None:
        """End the wait for a head; one that is on its way already is still served, in a scope that is not cancelled."""
        self._given_up = True
        self.scope.cancel(reason=why)

    # --- one request -------------------------------------------------------------------------------------------------

    def _begin_unusually(self, exchange: H1Exchange) -> None:
        if self._requests >= self.settings.max_requests:
            self.closing = True
        if self._requests == 1:
            self.transport.watch(self)
        elif self._half_closed:
            self._tell(exchange)
        if self._cancelled:
            exchange.lifetime.cancel("shutdown")

    async def _conclude(self, exchange: H1Exchange) -> bool:
        """What is left to do for a request when the standing scope has been left; whether another may follow."""
        try:
            await exchange.conclude()
            if not exchange.finished:
                await exchange.complete()
        except BaseException as exc:  # noqa: BLE001 - raised again unless it is contained
            await self._failed(exchange, exc)
        if not self._end(exchange) or not (self.wire.body_complete or await self._discard_body()):
            return False
        self._pending = self.wire.start_next_cycle()
        return True

    async def _failed(self, exchange: H1Exchange, error: BaseException) -> None:
        """Answer in the place of a handler that has raised `error`."""
        try:
            if isinstance(error, RequestCancelled):
                if not exchange.finished:  # else the client has its answer, and only children were cancelled
                    exchange.status = error.status
                if error.status == 503:
                    await exchange.apologise(503)
            elif isinstance(error, RemoteProtocolError):
                await exchange.apologise(error.status)
            elif isinstance(error, Exception | BaseExceptionGroup):  # one request never ends another
                contain(error, logger, "unhandled error in the handler of %r", exchange)
                await exchange.apologise(500)
            else:
                raise error
        except BaseException:
            self._end(exchange)
            raise
        finally:
            del error  # its traceback may hold this frame

    def _end(self, exchange: H1Exchange) -> bool:
        """The request is over; whether another may follow, as far as its response goes.

        From here on the exchange reaches neither the peer nor the next request, whoever still holds it.
        """
        self.exchange = None
        lifetime = exchange.lifetime
        if lifetime.left is not None:
            lifetime.end()
        if exchange.opened_body is not None:
            exchange.opened_body.expire()
        for call in exchange.at_end:
            call()
        # What the handler set in context variables ends with its request.  Trio looks at this at the task's next step.
        self.task.context = self._context.copy()
        if exchange.status is None:  # cancelled from outside: the program ends
            exchange.status = RequestCancelled(lifetime.reason or "shutdown").status
        if self._record is not None:
            self._record(exchange)
        if not exchange.finished:
            self.writer.broken = True
            if self.wire.ends_with_close:
                self.transport.abort()  # else the peer would take what it has for a whole answer
            return False
        return not (self.closing or self.writer.broken or self.wire.must_close or lifetime.lost)

    def switched(self, exchange: H1Exchange) -> None:
        """The connection speaks another protocol, until `exchange` is over."""
        if self._record is not None:
            self._record(exchange)

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
            await self.writer.write(self.wire.send_response(error.status, PLAIN_TEXT, body, close=True))
        except (RequestCancelled, LocalProtocolError) as exc:
            logger.debug("connection %d: the refusal was not sent: %s", self.conn.id, exc)

    # --- asked by the server -----------------------------------------------------------------------------------------

    def refuse_more(self) -> None:
        """No request can follow the one that runs, or comes: its answer says so, and ends the connection."""
        self.closing = True

    def drain(self) -> None:
        """Let the request that runs be the last; an idle connection closes now."""
        self.draining = self.closing = True
        if self._waiting and self._idle:
            self._stop_waiting("the server is stopping")
        if self._parting is not None:
            self._parting.deadline = min(self._parting.deadline, trio.current_time() + DRAIN_LINGER)
        if self.exchange is not None and self.exchange.on_drain is not None:
            self.exchange.on_drain()

    def cancel(self) -> None:
        """Cancel the request that runs, as "shutdown"; a head half received is given up."""
        self.draining = self.closing = self._cancelled = True
        if self._waiting:
            self._stop_waiting("the server is stopping")
        if self.exchange is not None:
            self.exchange.lifetime.cancel("shutdown")

    def force(self, within: float) -> None:
        """As `cancel`, and let nothing in the request hold it up for more than `within` seconds."""
        self.cancel()
        if self.exchange is not None:
            self.exchange.lifetime.force(within)

    def fail(self, error: Exception) -> None:
        """A task of this connection, other than its own, has failed: nothing of it can be relied on any more."""
        logger.error("connection %d: failed in the server's own code", self.conn.id, exc_info=error)
        self.transport.abort()
        self.force(0)

    # --- told by the transport ---------------------------------------------------------------------------------------

    def peer_half_closed(self) -> None:
        """See `PeerListener`."""
        self._half_closed = True
        if self.exchange is not None:
            self._tell(self.exchange)

    def peer_reset(self) -> None:
        """See `PeerListener`."""
        self._half_closed = self._reset = True
        if self.exchange is not None:
            self._tell(self.exchange)

    def _tell(self, exchange: H1Exchange) -> None:
        if self._reset:
            exchange.lifetime.peer_reset()
        else:
            exchange.lifetime.peer_half_closed()

    # --- bytes -------------------------------------------------------------------------------------------------------

    async def receive(self) -> int:
        """Wait for bytes and give them to the wire; how many there were."""
        data = await self.transport.receive_some(self.settings.buffer_size)
        self.wire.receive_data(data)
        return len(data)

"""What a WebSocket does by itself: it begins, and comes to its end.

One alarm keeps the time; what it rings for depends on the state:

    state           set to                                      what is done
    CONNECTING      a moment after the handler was called       the handshake is accepted: the handler does not refuse
    OPEN            when the peer has been silent for long      see `keep_alive`
    CLOSE_SENT      as long as an answer may take               the connection is lost
    CLOSED, LOST    at once                                     what a handler that has returned left running is
                                                                cancelled; the connection is hung up, unless it ends
                                                                by itself before

CLOSE_RECEIVED has no row: `_peer_closed` leaves it at once.

Rules of this file:

* What may be sent and received tells `close_state`.  The code is that of the first close frame, whoever has sent it.
* If a task of the request sits in an operation of the WebSocket, it learns from it that the WebSocket has ended, and
  nobody is cancelled.  If none does, the request is cancelled when the connection was lost; after a clean close only
  where that is wanted.
* Nothing here waits, but for `_wait_ended` and the tasks that are started.

It must not know how frames are encoded, nor what a handler is.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Never

import trio
from wsproto.extensions import Extension

from ..errors import WebSocketClosed
from ..http.closing import close_now
from ..http.exchange import Exchange
from ..http.switched import Switched
from .close_codes import STOPPING, CloseCode, answer_code
from .close_state import ACCEPT, LOSE, OVER, RECEIVE_CLOSE, SEND_CLOSE, State
from .ended import HERE, Broken, Ended
from .events import Close
from .keep_alive import KeepAlive
from .outbox import Outbox
from .terms import WebSocketTerms

__all__ = ["Connection"]

HEADER_SIZE = 14  # octets of a frame's header, at most
ACCEPT_PATIENCE = 1.0  # seconds a handler has to refuse the handshake, before it is taken to accept it


class Connection(KeepAlive):
    """The floor of a `WebSocket` that comes to its end; a `PeerListener`.  Parameters are those of `Reading`."""

    __slots__ = (
        "__weakref__",
        "_close_code",
        "_close_reason",
        "_closed_here",
        "_ended",
        "_failed_aloud",
        "_finishing",
        "_left_to_children",
        "_occupants",
        "_waits",
    )

    def __init__(self, exchange: Exchange, terms: WebSocketTerms, extensions: Sequence[Extension] = ()) -> None:
        super().__init__(exchange, terms, extensions)
        self._alarm = exchange.open_alarm(self._ring)
        self._occupants: tuple[trio.lowlevel.Task, ...] = ()  # in operations other than receiving and sending
        self._waits: tuple[trio.CancelScope, ...] = ()  # for what may never come
        self._close_code: int | None = None
        self._close_reason = ""
        self._closed_here = False  # by the handler, or a task of it
        self._failed_aloud = False  # given up, and the peer was told why: so its end is in order
        self._ended: trio.Event | None = None
        self._left_to_children = False  # the handler has returned; what it has started is waited for
        self._finishing = False  # all of that has ended

    @property
    def accepted(self) -> bool:
        """Whether the handshake was answered with 101."""
        return hasattr(self, "_outbox")

    # --- the beginning, and the end of all ---------------------------------------------------------------------------

    @abstractmethod
    async def accept(self) -> None:
        """Accept the handshake."""

    @abstractmethod
    async def accept_silently(self) -> None:
        """Accept the handshake for a handler that has not refused it."""

    def expect_refusal(self) -> None:
        """The handler is called: from now on it has a moment to refuse."""
        if self._state is State.CONNECTING:
            self._alarm.deadline = self._now() + ACCEPT_PATIENCE

    def _begin(self, switched: Switched) -> None:
        """The 101 was sent."""
        exchange, transport = self._exchange, switched.transport
        self._state = ACCEPT[self._state]
        self._transport = transport
        # So that a message of that size comes in one read, which is then known to have been all.
        self._buffer_size = switched.buffer_size + HEADER_SIZE + 1
        self._outbox = Outbox(switched.writer, exchange, self._lose)
        self._heard_at = self._now()
        self._alarm.deadline = self._heard_at + self._terms.ping_interval
        if switched.leftover:
            self._wire.receive_data(switched.leftover)
        exchange.on_drain = self._go_away
        if switched.draining:
            self._go_away()
        transport.watch(self)
        transport.when_readable(self._bytes_came)
        if switched.leftover:
            self._bytes_came()  # of these bytes the transport does not tell

    def _refused(self, refused: WebSocketClosed) -> None:
        """The handshake was answered with another response."""
        self._note(refused.code, refused.reason)
        self._state = LOSE[self._state]
        self._alarm.stop()

    def detach(self) -> None:
        """The request is over, and with it all of this; to be called at its end, by whoever has made it.

        What is still open then was cancelled together with the server: the peer is told as far as that takes no time.
        """
        if self._state not in OVER:
            if self.accepted and self._state in SEND_CLOSE and self._exchange.lifetime.reason in (None, "shutdown"):
                going_away = CloseCode.GOING_AWAY, STOPPING
                if self._outbox.send_last(self._wire.send_close(*going_away)):
                    self._note(*going_away)
            self._note(CloseCode.ABNORMAL_CLOSURE, "")
            self._state = LOSE[self._state]
            self._wake()
        self._alarm.stop()
        if self.accepted:
            self._outbox.detach()
            self._exchange.bytes_sent += self._outbox.sent
            self._exchange.close_code = self._close_code
            self._transport.when_readable(None)
        self._exchange.on_drain = None  # which holds this

    # --- keeping the time --------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        """See the table at the top."""
        exchange = self._exchange
        if self._state is State.OPEN:
            self._keep_alive()
        elif self._state is State.CONNECTING:
            if exchange.lifetime.running and not exchange.responded:
                with suppress(RuntimeError):  # its tasks were cancelled: the handler accepts by itself, or ends
                    exchange.lifetime.start_child(self.accept_silently)
        elif self._state in OVER:
            if self._left_to_children:
                exchange.lifetime.cancel_children()
            exchange.spawn(self._hang_up)
        else:
            self._lose()

    # --- ending ------------------------------------------------------------------------------------------------------

    def _close_now(self, code: int, reason: str) -> None:
        """Begin to close.  Raises `LocalProtocolError` for what cannot be sent; then nothing has happened."""
        frame = self._wire.send_close(code, reason)
        self._state = SEND_CLOSE[self._state]
        self._note(code, reason)
        self._alarm.deadline = self._now() + self._terms.close_timeout
        self._outbox.send_soon(frame)
        if self._paused:  # messages that come are dropped from now on, and the answer may be behind them
            self._paused = False
            self._bytes_came()

    def leave_to_children(self) -> None:
        """The handler has returned; what it has left in the nursery of its request lasts as long as this is open.

        Nobody else would end a task that waits for something that is to be sent.
        """
        self._left_to_children = True
        if self._state is not State.OPEN:
            self._exchange.lifetime.cancel_children()

    def _go_away(self) -> None:
        """The server drains."""
        if self._state in SEND_CLOSE:
            self._close_now(CloseCode.GOING_AWAY, STOPPING)

    def _peer_closed(self, close: Close) -> None:
        self._state = RECEIVE_CLOSE[self._state]
        self._note(close.code, close.reason)
        is_owed = self._state in SEND_CLOSE
        if is_owed:  # it ended in order, also if the peer has gone without waiting for the answer
            self._state = SEND_CLOSE[self._state]
        self._send_answers()
        if is_owed:
            code = answer_code(close.code)
            # With its words, as a browser tells its page those of our frame.
            self._outbox.send_soon(self._wire.send_close(code, close.reason if code == close.code else ""))
        self._end(clean=True)

    def _fail(self, code: int, reason: str) -> None:
        # RFC 6455 section 7.1.7
        is_owed = self._state in SEND_CLOSE
        self._state = LOSE[self._state]
        self._note(code, reason)
        self._failed_aloud = True
        self._send_answers()
        if is_owed:
            self._outbox.send_soon(self._wire.send_close(code, reason))
        self._end(clean=False)

    def _lose(self) -> None:
        if self._state not in OVER:
            self._note(CloseCode.ABNORMAL_CLOSURE, "")
            self._state = LOSE[self._state]
            self._end(clean=False)
        self._failed_aloud = False  # what was to be told may not have left
        if not self._transport.close_nowait() and not self._exchange.over:
            self._exchange.spawn(partial(close_now, self._transport))

    def _note(self, code: int, reason: str) -> None:
        if self._close_code is None:
            self._close_code, self._close_reason = int(code), reason

    def _end(self, *, clean: bool) -> None:
        """It is over: tell everybody whom it concerns."""
        lifetime = self._exchange.lifetime
        self._wake()
        # If the handler ends with it, so does the connection, before this rings.
        self._alarm.deadline = math.inf if self._finishing else self._now()
        if self._is_told() or (clean and not self._terms.cancel_on_close):
            lifetime.peer_left()
        elif not clean:
            lifetime.peer_reset()
        else:
            lifetime.peer_left()
            if lifetime.on_disconnect == "cancel":
                lifetime.cancel("disconnect")

    def _is_told(self) -> bool:
        """Whether a task of the request sits in an operation, and so will be told.  Others may sit there as well."""
        receiving = () if self._receiver is None else (self._receiver,)
        return any(map(self._exchange.lifetime.owns, (*receiving, *self._occupants, *self._outbox.waiting)))

    @contextmanager
    def _occupying(self) -> Iterator[None]:
        """The current task will be told that it has ended."""
        task = trio.lowlevel.current_task()
        self._occupants = (*self._occupants, task)
        try:
            yield
        finally:
            self._occupants = tuple(other for other in self._occupants if other is not task)

    @contextmanager
    def _until_ended(self) -> Iterator[None]:
        """Within this a task may wait for what may never come: when it has ended, that is given up.

        Raises `WebSocketClosed` in this case.
        """
        with trio.CancelScope() as scope:
            self._waits = (*self._waits, scope)
            if self._state in OVER:
                scope.cancel(reason="the WebSocket has ended")
            try:
                yield
            finally:
                self._waits = tuple(other for other in self._waits if other is not scope)
        if scope.cancelled_caught:
            self._raise_closed()

    def _raise_closed(self, kind: type[Ended | Broken] = Broken) -> Never:
        code = CloseCode.ABNORMAL_CLOSURE if self._close_code is None else self._close_code
        closed = (HERE[kind] if self._closed_here else kind)(code, self._close_reason)
        closed.websocket = self
        try:
            raise closed
        finally:
            del closed  # its traceback holds this frame

    def _wake(self) -> None:
        if self._ended is not None:
            self._ended.set()
        if self._pings is not None:
            self._pings.give_up_all()
        for scope in self._waits:
            scope.cancel(reason="the WebSocket has ended")

    async def _wait_ended(self) -> None:
        """Wait until it is over; what comes is read meanwhile.  No checkpoint if it is."""
        if self._state not in OVER:
            self._bytes_came()
        if self._state not in OVER:
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()

    async def _hang_up(self) -> None:
        """The peer waits for the end of the connection, and the handler goes on (RFC 6455 section 7.1.1).

        If the handler ends meanwhile, the connection waits for this, as long as it would linger by itself.
        """
        try:
            with trio.move_on_after(self._terms.linger_timeout):
                await self._outbox.settled()
                await self._transport.linger()
        finally:
            if not self._finishing:
                await close_now(self._transport)  # the handler may go on for long

    # --- told by the transport ---------------------------------------------------------------------------------------

    def peer_half_closed(self) -> None:
        """See `PeerListener`.  It is seen by whoever reads, behind what the peer has sent before."""
        if self._receiver is not None:
            self._unseen = True

    def peer_reset(self) -> None:
        """See `PeerListener`.  What the peer has sent before still counts."""
        if self._receiver is not None:  # the transport tells that task as well
            self._unseen = True
            return
        if self._outbox.writing:  # so does the error of that write
            return
        if not (self._paused or self._state in OVER):
            self._read_some()
        if self._state not in OVER:
            self._lose()

"""How the frames of a WebSocket are read, by whoever has to.

Whoever waits reads.  A handler that sits in `recv` reads from the connection and parses in its own task, without a
queue or another task between.  Only what comes while nobody waits for it is read ahead, right where the transport tells
of it: control frames are answered, messages wait in a queue.  When that is full, or a message that is not whole takes
too much memory, nothing more is read, and TCP pushes back.

    who reads                               when
    the task that receives                  there is one
    whoever is told of it by the transport  no task receives
    a task of the connection                that was too much at once
    nobody                                  there is no room, or it is over

Rules of this file:

* Nothing here waits, but for the task that goes on, and lets others have their turn.  All others parse a bounded number
  of events.
* Where a task receives, nothing is read ahead: that would take what the task waits for.  What it may have missed is
  looked for when it leaves.
* Who has received a message can answer it first: what came right behind it, and is no message - a ping, a close, an
  error, the end - waits until that task has had its turn.
* Every ping is answered.  Pongs of one go leave together; where they cannot leave at once, the last one answers for all
  (see `outbox`).

It must not know how the WebSocket ends.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal

import trio
from wsproto.extensions import Extension

from ..http.exchange import Exchange
from ..http.transport import Transport
from .close_state import OVER, RECEIVE, SEND_PONG, State
from .events import NEED_DATA, Close, Event, Fragment, Message, Ping, Pong, WebSocketError
from .outbox import Outbox
from .pings import Pings
from .protocol import WebSocketProtocol
from .terms import WebSocketTerms

__all__ = ["PAUSE", "Reading"]

MUCH = 64 * 1024  # characters or octets of a message, behind which others have their turn as well
EVENTS_AT_ONCE = 16  # control frames, or messages read ahead, before others have their turn


class _Pause(Enum):
    PAUSE = "there is more, and others have their turn first"


PAUSE: Final = _Pause.PAUSE
Next = Message | Fragment | Literal[_Pause.PAUSE] | None


class Reading(ABC):
    """The floor of a `WebSocket` that reads.

    Parameters:
      exchange: the request that asks for it.
      terms: what holds for it.
      extensions: of wsproto, as they will be accepted.
    """

    __slots__ = (
        "_answers",
        "_buffer_size",
        "_exchange",
        "_fragmenting",
        "_heard_at",
        "_held",
        "_now",
        "_outbox",
        "_paused",
        "_paused_at",
        "_pings",
        "_queue",
        "_queued_size",
        "_reading_on",
        "_receiver",
        "_skipping",
        "_state",
        "_terms",
        "_transport",
        "_unseen",
        "_wire",
    )
    # From the moment that it is open:
    _transport: Transport
    _buffer_size: int
    _outbox: Outbox
    _heard_at: float  # when something was last received

    def __init__(self, exchange: Exchange, terms: WebSocketTerms, extensions: Sequence[Extension]) -> None:
        self._exchange = exchange
        self._terms = terms
        self._state = State.CONNECTING
        self._wire = WebSocketProtocol(terms.limits, extensions)
        self._now = exchange.now
        self._receiver: trio.lowlevel.Task | None = None  # the task that receives
        self._unseen = False  # something came meanwhile, of which that task may not know
        self._fragmenting = False  # the message that comes is taken in fragments
        self._skipping = terms.send_only  # it is dropped, or what is left of it
        self._held: Event | None = None  # was read, and waits
        self._queue: deque[Message | Fragment] | None = None
        self._queued_size = 0  # octets of memory
        self._paused = False  # there is no room: nothing is read
        self._paused_at = 0.0  # when that began
        self._reading_on = False  # a task goes on with what was too much at once
        self._answers: Sequence[bytes] = ()  # pongs that are to be sent
        self._pings: Pings | None = None

    @abstractmethod
    def _peer_closed(self, close: Close) -> None:
        """The peer closes, or answers our close."""

    @abstractmethod
    def _fail(self, code: int, reason: str) -> None:
        """Give up, and tell the peer why."""

    @abstractmethod
    def _lose(self) -> None:
        """Nothing more reaches the peer, or comes from it."""

    @abstractmethod
    def _reading_resumed(self, missed: float) -> None:
        """Reading goes on, after it had been paused for so many seconds."""

    # --- what comes --------------------------------------------------------------------------------------------------

    def _next(self, hold: bool = False) -> Next:
        """The next message, or some of it; `PAUSE`; None if nothing more is here, or will come.

        Control frames are answered here, and messages that come behind our close dropped (see `close_state`).

        Parameters:
          hold: what is no message is held back, and `PAUSE` said; the next call acts on it.
        """
        try:
            for _ in range(EVENTS_AT_ONCE):
                event = self._ask()
                if isinstance(event, Message | Fragment):
                    if self._admit(event):
                        return event
                    if len(event.data) > MUCH:
                        return PAUSE
                elif event is NEED_DATA:
                    return None
                elif event is None:
                    continue
                elif hold:
                    self._held = event
                    return PAUSE
                elif not self._obey(event):
                    return None
        except WebSocketError as error:
            if not hold:  # else it will be raised again by the next question
                self._fail(error.code, str(error))
                return None
        finally:
            self._send_answers()
        return PAUSE

    def _obey(self, event: Event) -> bool:
        """Do what is to be done about what is no message; whether more may come."""
        if isinstance(event, Ping):
            if self._state in SEND_PONG:
                self._answers = (*self._answers, self._wire.send_pong(event.payload))
        elif isinstance(event, Pong):
            if self._pings is not None:
                self._pings.answer(event.payload)
        elif isinstance(event, Close):
            self._peer_closed(event)
            return False
        else:
            self._lose()  # the peer has left without a close
            return False
        return True

    def _ask(self) -> Event | None:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        return self._wire.next_step(fragments=not self._collects())

    def _collects(self) -> bool:
        """Whether a message is put together as it comes; what is dropped need not be."""
        return not (self._fragmenting or self._skipping or self._state is not State.OPEN)

    def _admit(self, event: Message | Fragment) -> bool:
        """Whether the handler is to get it; notes where a message ends."""
        final = not isinstance(event, Fragment) or event.final
        skipped = self._skipping
        if final:
            self._skipping = self._terms.send_only
            self._fragmenting = self._fragmenting and skipped  # then it is the next one that is taken in fragments
        return not skipped and self._state in RECEIVE

    def _send_answers(self) -> None:
        if self._answers:
            answers, self._answers = self._answers, ()
            self._outbox.send_pongs(answers)

    # --- reading ahead -----------------------------------------------------------------------------------------------

    def _bytes_came(self) -> None:
        """Something came, or may have, for which nobody waits: read it ahead."""
        if self._receiver is not None:
            self._unseen = True
        else:
            self._read_ahead()

    def _read_ahead(self, hold: bool = False) -> None:
        if not (self._reading_on or self._paused or self._state in OVER) and self._read_some(hold):
            self._reading_on = True
            self._exchange.spawn(self._read_on)

    async def _read_on(self) -> None:
        """Go on reading ahead, for what was too much at once."""
        try:
            await trio.lowlevel.checkpoint()
            while not (self._receiver is not None or self._paused or self._state in OVER) and self._read_some():
                await trio.lowlevel.checkpoint()
        finally:
            self._reading_on = False

    def _read_some(self, hold: bool = False) -> bool:
        """Read a bounded amount of what is here into the queue; whether there may be more."""
        for _ in range(EVENTS_AT_ONCE):
            if self._wire.held >= self._terms.most_held and self._collects():
                self._pause()
                return False
            event = self._next(hold)
            if event is PAUSE:
                return True
            if event is not None:
                self._enqueue(event)
                if self._paused or self._state in OVER:  # an answer may have found out that the peer has gone
                    return False
                if len(event.data) > MUCH:
                    return True
            elif self._state in OVER or not self._receive_nowait():
                return False
        return True

    def _receive_nowait(self) -> bool:
        """Whether anything is here; it is given to the wire."""
        try:
            data = self._transport.receive_nowait(self._buffer_size)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose()
            return False
        if data is None:
            return False
        self._heard_at = self._now()
        self._wire.receive_data(data)
        return True

    def _enqueue(self, event: Message | Fragment) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(event)
        self._queued_size += sys.getsizeof(event.data)  # a character of text may take four
        full = len(self._queue) >= self._terms.max_queue
        if full or self._queued_size >= self._terms.read_ahead:
            self._pause()

    def _dequeue(self) -> Message | Fragment | None:
        """What waits longest, None if nothing does."""
        if not self._queue:
            return None
        event = self._queue.popleft()
        self._queued_size -= sys.getsizeof(event.data)
        if self._paused:
            self._resume()
        return event

    def _pause(self) -> None:
        self._paused, self._paused_at = True, self._now()

    def _resume(self) -> None:
        """A task receives: there is room again."""
        self._paused = False
        self._unseen = True  # so that it looks again when it leaves
        if self._state is State.OPEN:  # else nobody is to be pinged
            self._reading_resumed(self._now() - self._paused_at)

"""Events for one who waits for them, as they come: a channel with a bounded buffer.

It is a channel of its own, and not one of Trio's memory channels, for one reason: a signal may also be sent by code
that cannot wait, and what that sends must neither be lost nor be an error.

Rules of this file:

* Events are received in the order in which they happened.  One that waits for room keeps its place.
* Whoever waits for room is freed by a receiver, or by the closing of the channel, and then goes on as if the channel
  had never been there.  If he is cancelled, his event is taken back, and nothing else has happened.

It must not know signals.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import trio

from .signal_keywords import Keywords
from .signal_link import Link

__all__ = ["Event", "EventChannel"]

_EVERYTHING = Keywords(frozenset(), frozenset(), (), others=True)


class Event(dict[str, Any]):
    """What has happened: the context, by keyword.

    Parameters:
      name: of three words; what happened, not the pattern by which it was heard.
      context: with what it was sent, and the parameters of the pattern.
    """

    def __init__(self, name: str, context: Mapping[str, Any]) -> None:
        super().__init__(context)
        self.name = name

    @property
    def context(self) -> Event:
        """The context, which is the event itself."""
        return self

    def __repr__(self) -> str:
        return f"<Event {self.name!r} {super().__repr__()}>"


class EventChannel(trio.abc.ReceiveChannel[Event]):
    """The events that one has subscribed to; made by `Signals.events`.

    Parameters:
      max_buffer: events that are kept for the receiver; at the next one, whoever dispatches it waits.
      condition: take only what is dispatched with a condition that has all of these items.

    Raises:
      ValueError: `max_buffer` is negative.
    """

    def __init__(self, max_buffer: float, condition: Mapping[str, Any] | None = None) -> None:
        if max_buffer < 0:
            raise ValueError(f"max_buffer is a number of events, and cannot be {max_buffer!r}")
        self._max_buffer = max_buffer
        self._condition = condition
        self._buffer: deque[Event] = deque()
        self._late: dict[trio.Event, Event] = {}  # by what frees those who wait for room
        self._readers = trio.lowlevel.ParkingLot()
        self._closed = False

    # --- for the receiver --------------------------------------------------------------------------------------------

    async def receive(self) -> Event:
        """The next event; waits for it.

        Raises:
          trio.ClosedResourceError: the subscription has ended.

        If cancelled, no event is lost.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._closed and not self._buffer and not self._late:
            await self._readers.park()
        if self._closed:
            raise trio.ClosedResourceError("the subscription to these events has ended")
        self._let_in(self._max_buffer + 1)  # as one leaves
        event = self._buffer.popleft()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return event

    async def aclose(self) -> None:
        """End the subscription; a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """End the subscription: nothing is received any more, and nobody waits for room."""
        self._closed = True
        self._let_in(math.inf)
        self._buffer.clear()
        self._readers.unpark_all()

    def _let_in(self, room: float) -> None:
        while self._late and len(self._buffer) < room:
            freed = next(iter(self._late))
            self._buffer.append(self._late.pop(freed))
            freed.set()

    # --- for the signals ---------------------------------------------------------------------------------------------

    def link(self, event: str) -> Link:
        """What tells the channel of the event with this name."""
        return Link(partial(self.hear, event), _EVERYTHING, condition=self._condition)

    def hear(self, name: str, /, **context: Any) -> Awaitable[None] | None:
        """Take an event; if there is no room, gives what has to be awaited for that."""
        if self._late or len(self._buffer) >= self._max_buffer:
            return self._wait_for_room(Event(name, context))
        self._take(Event(name, context))
        return None

    def put(self, name: str, context: Mapping[str, Any]) -> None:
        """Take an event of one who can neither wait nor name a condition, whether there is room or not."""
        if not self._condition:
            self._take(Event(name, context))

    def _take(self, event: Event) -> None:
        if self._closed:
            return
        if self._late:
            self._late[trio.Event()] = event  # behind those that came earlier; nobody waits with it
        else:
            self._buffer.append(event)
        self._readers.unpark()

    async def _wait_for_room(self, event: Event) -> None:
        if self._closed:
            return
        freed = trio.Event()
        self._late[freed] = event
        self._let_in(self._max_buffer)  # there may be room by now
        self._readers.unpark()
        try:
            await freed.wait()
        finally:
            self._late.pop(freed, None)

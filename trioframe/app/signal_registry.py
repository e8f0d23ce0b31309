"""All the signals of an app, by name: who hears an event, and how to wait for one.

Rules of this file:

* Nothing is made for an event that nobody has asked for: names may be made of data, and would pile up.
* Who hears an event is found out once and kept, a bounded number of answers; every change throws all of them away.  It
  throws away the dictionary itself, so an answer that was being found out meanwhile goes where nobody looks.
* A signal with a pattern for name hears events of the user alone.  Events of the framework are sent many times for each
  request, and are for those who name them, or wait for them.
* A change may be told by the garbage collector, in any thread: next to nothing is done then.

It must not know what an app is, nor when the framework sends something.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from .reserved import RESERVED
from .signal_channel import Event, EventChannel
from .signal_hook import Hook, Report, make_hook
from .signal_link import Audience, Results, Step, run
from .signal_names import NameIndex, check_reserved, is_backwards, is_pattern, split, split_event
from .signals import Signal

__all__ = ["Signals"]

D = TypeVar("D")

_KEPT = 1024  # answers; more events than that are made of data

_FRAMEWORK: Final = NameIndex({name: name for name in RESERVED})

Matching = tuple[tuple[Signal, Mapping[str, str]], ...]


class _Answer(NamedTuple):
    """Who hears an event."""

    signals: Matching
    audience: Audience


class Signals(Mapping[str, Signal]):
    """The signals of an app, by name; one is made when it is first asked for.

    Parameters:
      sender: what receivers that take a sender are given.
      on_change: called with the name of each event of the framework whose `hook` may have become another one; at any
        moment and in any thread.

    `dispatch` reaches all who hear an event.  A signal that is sent by itself, as libraries do that know only blinker,
    reaches its own receivers and those who wait for it.

    The names of the framework always exist, and there are no others in its namespaces.  The events of the framework are
    not heard by signals with a pattern for name.

    While somebody waits for an event, by its name or a pattern, the signal with just that name is truthy in its
    `receivers`.  Those of signals that hear it by a pattern are not; `matching` finds these.
    """

    def __init__(self, sender: object, *, on_change: Callable[[str], None]) -> None:
        self._sender = sender
        self._on_change = on_change
        self._signals: NameIndex[Signal] = NameIndex()
        self._waiting: NameIndex[dict[EventChannel, None]] = NameIndex()
        self._audiences: dict[str, _Answer] = {}

    # --- signals by name ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Signal:
        """The signal with this name.

        Raises:
          ValueError: it is no name.
          KeyError: the framework has no such signal, in a namespace of its own.
        """
        return self.signal(name)

    def signal(self, name: str, doc: str | None = None) -> Signal:
        """The same, made with this documentation if it is made now.

        Raises:
          ValueError: it is no name.
          KeyError: the framework has no such signal, in a namespace of its own.
        """
        return self._signals.values.get(name) or self._make(name, doc)

    def get(self, name: str, default: D | None = None) -> Signal | D | None:  # type: ignore[override]
        """The signal with this name if it exists; makes none."""
        return self[name] if name in self else default  # noqa: SIM401 - this is that method

    def __contains__(self, name: object) -> bool:
        return name in RESERVED or name in self._signals.values

    def __iter__(self) -> Iterator[str]:
        yield from RESERVED
        yield from (name for name in self._signals.values if name not in RESERVED)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, name: str, doc: str | None) -> Signal:
        parts = split(name)
        try:
            check_reserved(name, parts)
        except ValueError as exc:
            raise KeyError(str(exc)) from None
        when = RESERVED[name].when if name in RESERVED else None
        signal = Signal(doc or when, name=name, backwards=is_backwards(name))
        if not is_pattern(parts):
            for channels, parameters in self._waiting.find(name):
                for channel in channels:
                    signal.admit(channel, parameters)
        signal.changed = partial(self._changed, name)
        self._signals.add(name, signal)
        self._audiences = {}
        return signal

    def _changed(self, name: str) -> None:
        self._audiences = {}
        if name in RESERVED:
            self._on_change(name)

    # --- who hears an event ------------------------------------------------------------------------------------------

    def matching(self, event: str) -> Matching:
        """The signals that hear an event, each with the parameters that its name finds in that of the event.

        Raises:
          ValueError: it is no name of an event.
        """
        return self._audience(event).signals

    def _audience(self, event: str) -> _Answer:
        audiences = self._audiences
        audience = audiences.get(event)
        if audience is None:
            split_event(event)
            audience = self._find_audience(event)
            if len(audiences) >= _KEPT:
                audiences.clear()
            audiences[event] = audience
        return audience

    def _find_audience(self, event: str) -> _Answer:
        signals = ((self[event], {}),) if event in RESERVED else tuple(self._signals.find(event))
        steps = [
            Step(link, parameters)
            for signal, parameters in signals
            if not signal.is_muted
            for link, _ in signal.audience.receivers
        ]
        steps.sort(key=lambda step: step.link.order, reverse=is_backwards(event))
        own = self._signals.values.get(event)
        waiters = () if own is not None and own.is_muted else self._waiting.find(event)
        waiting = tuple(
            Step(channel.link(event), parameters) for channels, parameters in waiters for channel in channels
        )
        return _Answer(signals, Audience(waiting, tuple(steps)))

    # --- telling them ------------------------------------------------------------------------------------------------

    async def dispatch(
        self, event: str, context: Mapping[str, Any] | None = None, condition: Mapping[str, Any] | None = None
    ) -> Results:
        """Tell all who hear an event: first those who wait, then the receivers of all `matching` signals in one order.

        Parameters:
          event: a name of three words; one that nobody hears is no error.
          context: the keywords; the parameters that the name of a signal finds in the event are added, and go before.
          condition: what holds; receivers with a condition of their own hear only what has all of its items.

        Returns:
          the receivers that were called, each with what it has returned.

        Raises:
          ValueError: it is no name of an event, or unknown in a namespace of the framework.

        An exception of a receiver, or cancellation, comes out at once, and those behind it are not called.
        """
        return await run(self._audience(event).audience, self._sender, context or {}, condition)

    def hook(
        self,
        event: str,
        condition: Mapping[str, Any] | None = None,
        *,
        report: Report | None = None,
        patience: float = math.inf,
    ) -> Hook | None:
        """What to call when the framework comes to an event of its own; None if nobody would hear it.

        Parameters:
          event: a name in the table of reserved signals.
          condition: which holds whenever the hook is called.
          report: is given each exception of a receiver, and the next ones are called all the same; without it the first
            one ends the run.
          patience: seconds that each receiver may take; with `report`, which is told of who takes longer.

        Call it with just the keywords that the table names.  If what it returns can be awaited, that has to be done.  A
        lone receiver may be the hook itself, and what it returns otherwise means nothing.

        It stays as it is; when something changes, `on_change` is called, and there is another one.

        Raises:
          ValueError: it is no such event.
        """
        if event not in RESERVED:
            raise ValueError(f"{event!r} is no event of the framework, and only those have hooks")
        waiters, receivers = self._audience(event).audience
        return make_hook(
            (*waiters, *receivers), self._sender, condition, RESERVED[event].context, report=report, patience=patience
        )

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def event(self, event: str, condition: Mapping[str, Any] | None = None) -> Event:
        """The next event with this name; waits for it.

        Parameters:
          event: a name or a pattern, also of the framework.
          condition: wait for one that is dispatched with a condition that has all of these items.

        Raises:
          ValueError: it is no name, or unknown in a namespace of the framework.

        If cancelled, nothing is left behind.
        """
        async with self.events(event, max_buffer=math.inf, condition=condition) as channel:
            return await channel.receive()

    @asynccontextmanager
    async def events(
        self, event: str, max_buffer: float = 16, *, condition: Mapping[str, Any] | None = None
    ) -> AsyncIterator[EventChannel]:
        """All events with this name, as long as the block lasts: ``async with signals.events("user.*.*") as channel``.

        Parameters:
          event: a name or a pattern, also of the framework.
          max_buffer: events that are kept; at the next one, whoever dispatches it waits.  Only what is sent by
            `Signal.send`, which cannot wait, is kept beyond that.
          condition: take only what is dispatched with a condition that has all of these items.

        Whoever dispatches may be the framework, and then a request waits for room.  Do not dispatch such events
        yourself between receiving them, as nobody makes room then.

        Raises:
          ValueError: it is no name, or unknown in a namespace of the framework; or `max_buffer` is negative.

        When the block is left, or cancelled, the subscription ends, and whoever waits for room goes on.
        """
        channel = EventChannel(max_buffer, condition)
        self._admit(event, channel)
        try:
            yield channel
        finally:
            channel.close()
            self._release(event, channel)

    def _admit(self, event: str, channel: EventChannel) -> None:
        reserved = _FRAMEWORK.heard_by(event)
        if not reserved:
            check_reserved(event, split(event))
        for name, _ in reserved:
            self[name]  # made now, so that it tells of the change
        if event not in self._waiting.values:
            self._waiting.add(event, {})
        self._waiting.values[event][channel] = None
        self._audiences = {}
        for signal, parameters in self._signals.heard_by(event):
            signal.admit(channel, parameters)

    def _release(self, event: str, channel: EventChannel) -> None:
        channels = self._waiting.values[event]
        del channels[channel]
        if not channels:
            self._waiting.remove(event)
        self._audiences = {}
        for signal, _ in self._signals.heard_by(event):
            signal.release(channel)

"""Deadlines that are moved far more often than they pass.

A connection has one deadline at a time - for the next head, for the start of a response - and a busy one moves it
twice a request, nearly always further away.  To move the deadline of a Trio scope takes a microsecond; here it takes
storing a number.

How it works:

* An `Alarm` is queued for some moment, and its deadline is that moment or a later one.  Moving it further away touches
  nothing.  When the moment comes and the deadline has moved on, the alarm is queued for its deadline of then.
* Only an alarm whose deadline moves before the moment it is queued for is queued again; what is left in the queue of
  its former place is dropped when its turn comes, or when such remains are the larger part of the queue.
* One task, `Alarms.run`, waits for the earliest moment.  So a deadline is as exact as one of Trio's, and thousands of
  connections cost one task, and each of them hardly more than one operation on a heap for each timeout.

It must not know what a deadline is for.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
from collections.abc import Callable

import trio

__all__ = ["Alarm", "Alarms"]

logger = logging.getLogger("trioframe.http")

_TIDY = 64  # remains that are not worth clearing away


class Alarm:
    """Calls `ring` when its `deadline` has passed; made by `Alarms.alarm`."""

    __slots__ = ("_alarms", "_deadline", "_moment", "ring")

    def __init__(self, alarms: Alarms, ring: Callable[[], object]) -> None:
        self.ring = ring
        self._alarms = alarms
        self._deadline = math.inf
        self._moment = math.inf  # what it is queued for

    @property
    def deadline(self) -> float:
        """When it rings, in seconds of `trio.current_time()`; inf for never."""
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._moment:
            self._alarms._queue(self, deadline)

    def stop(self) -> None:
        """It will not be used any more."""
        self._deadline = math.inf
        self.ring = _silence  # what it rings for may hold the alarm
        if self._moment != math.inf:
            self._moment = math.inf
            self._alarms._leave_remains()


def _silence() -> None:
    """What a stopped alarm does."""


class Alarms:
    """The alarms of a server; they ring as long as `run` runs."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()  # so that alarms of one moment ring in the order in which they were queued
        self._remains = 0
        self._sleep = trio.CancelScope()
        self._stopped = False

    def alarm(self, ring: Callable[[], object]) -> Alarm:
        """An alarm without a deadline.

        Parameters:
          ring: called without arguments, in the task of `run`; must neither block nor raise.
        """
        return Alarm(self, ring)

    async def run(self) -> None:
        """Ring, until `stop`.  Cancellation does not end it: connections that clean up, shielded, have deadlines."""
        while not self._stopped:
            earliest = self._heap[0][0] if self._heap else math.inf
            self._sleep = trio.CancelScope(deadline=earliest, shield=True)
            with self._sleep:
                await trio.sleep_forever()
            self._ring_until(trio.current_time())

    def stop(self) -> None:
        """End `run`."""
        self._stopped = True
        self._sleep.cancel(reason="the server has stopped")

    def _ring_until(self, now: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now:
            moment, _, alarm = heapq.heappop(heap)
            if moment != alarm._moment:
                self._remains -= 1
                continue
            alarm._moment = math.inf
            if alarm._deadline > now:
                alarm.deadline = alarm._deadline
            else:
                alarm._deadline = math.inf
                try:
                    alarm.ring()
                except Exception:
                    logger.exception("an alarm failed; the others ring on")

    def _queue(self, alarm: Alarm, moment: float) -> None:
        queued, alarm._moment = alarm._moment != math.inf, moment
        if queued:
            self._leave_remains()
        heapq.heappush(self._heap, (moment, next(self._numbers), alarm))
        self._sleep.deadline = min(self._sleep.deadline, moment)

    def _leave_remains(self) -> None:
        self._remains += 1
        if self._remains > _TIDY and self._remains > len(self._heap) // 2:
            self._heap[:] = [entry for entry in self._heap if entry[0] == entry[2]._moment]
            heapq.heapify(self._heap)
            self._remains = 0

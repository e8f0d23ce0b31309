"""Counts the checkpoints of one request while it runs, and acts at one of them.

A checkpoint is a place where a task hands control to Trio, and so where it can be cancelled.  An instrument of Trio's
is told of each step of each task; a step that ends without the task having ended is a checkpoint.

Rules of this file:

* Counted are the tasks of the request: the one that runs its handler, while it does, and what that starts below itself.
  A task that it starts elsewhere, in a nursery of the app, is remembered as started but not counted: a cancellation of
  the request does not concern it.
* The action is taken between two steps, so the request stands exactly at its n-th checkpoint.
* It is known whether the handler was really interrupted: Trio cancels a waiting task by scheduling it, either in the
  moment of the cancellation or, later, as soon as it waits again.

It must not know what a request does at its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType

import trio
from trio.lowlevel import Task

from ..http.lifetime import Lifetime
from .place import place_of

__all__ = ["Checkpoints"]

_WAIT: CodeType = trio.lowlevel.wait_task_rescheduled.__code__


class Checkpoints(trio.abc.Instrument):
    """Counts, and acts once.

    Parameters:
      target: the checkpoint to act at, counted from 1; 0 for none.
      act: called there, with the task that stands there.

    Attributes:
      passed: how many there were so far.
      place: where the task stood when `act` was called; None before.
      interrupted: whether the task of the handler was given a `Cancelled` because the request was cancelled.
      started: tasks that the request has started and that have not ended.
    """

    def __init__(self, target: int, act: Callable[[Task], None]) -> None:
        self.passed = 0
        self.place: str | None = None
        self.interrupted = False
        self.started: set[Task] = set()
        self._target = target
        self._act = act
        self._handler: Task | None = None  # while it runs the handler
        self._lifetime: Lifetime | None = None
        self._stepping: Task | None = None
        self._was_cancelled = False  # when the current step began, or the last one ended
        self._exits = trio.lowlevel.ParkingLot()

    def begin(self, lifetime: Lifetime) -> None:
        """The current task begins to run the handler of a request."""
        self._handler, self._lifetime = trio.lowlevel.current_task(), lifetime

    def end(self) -> None:
        """It has ended."""
        self._handler = None

    def owns(self, task: Task) -> bool:
        """Whether `task` runs the handler, or was started by it."""
        return task is self._handler or task in self.started

    @property
    def handler_place(self) -> str | None:
        """Where the handler stands; None if it has ended."""
        return None if self._handler is None else place_of(self._handler)

    async def wait_started_exited(self) -> None:
        """Wait until no task is left in `started`."""
        while self.started:
            await self._exits.park()

    # --- trio.abc.Instrument -----------------------------------------------------------------------------------------

    def before_task_step(self, task: Task) -> None:
        self._stepping = task
        self._was_cancelled = self._cancelled

    def after_task_step(self, task: Task) -> None:
        self._stepping = None
        if self._is_counted(task):
            self.passed += 1
            if self.passed == self._target:
                self.place = place_of(task)
                self._act(task)
        self._was_cancelled = self._cancelled

    def task_spawned(self, task: Task) -> None:
        if self._stepping is not None and self.owns(self._stepping):
            self.started.add(task)

    def task_exited(self, task: Task) -> None:
        self.started.discard(task)
        self._exits.unpark_all()

    def task_scheduled(self, task: Task) -> None:
        if task is self._handler and self._cancelled:
            at_once = not self._was_cancelled
            on_waiting_again = task is self._stepping and _is_waiting(task)
            self.interrupted = self.interrupted or at_once or on_waiting_again

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _cancelled(self) -> bool:
        return self._lifetime is not None and self._lifetime.reason is not None

    def _is_counted(self, task: Task | None) -> bool:
        if self._handler is None or task is None or not self.owns(task):
            return False
        while task is not None and task is not self._handler:
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
        return task is not None


def _is_waiting(task: Task) -> bool:
    """Whether `task` waits for something, and not only for its turn."""
    return any(frame.f_code is _WAIT for frame, _ in task.iter_await_frames())

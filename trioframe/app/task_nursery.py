"""A nursery whose children harm nobody: what one of them raises is reported, and the others go on.

A plain nursery is the right thing where tasks are parts of one work.  Those that live as long as a server does have
nothing in common but their owner, who must not end because one of them fails.

Rules of this file:

* It is used as a `trio.Nursery`, and is one beneath.  What a child raises before it has called `started` is raised by
  `start`, and not reported: there is somebody who waits for it.
* The owner decides when it ends: until it is closed it stays open, also when it was cancelled; a task that is started
  then sees that it is cancelled, as in any nursery.
* What is no `Exception` goes out through it.
* Closing waits for every child.  One that shields itself cannot be ended by anybody; the log says which it is.

It must not know who owns it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, TypeVarTuple, cast

import trio

from .failures import split_cancelled
from .report import Reporter

__all__ = ["Status", "TaskNursery", "check_not_called"]

logger = logging.getLogger("trioframe.app")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TaskNursery:
    """Tasks whose exceptions are reported and contained; use it as you would a `trio.Nursery`.

    Parameters:
      name: what the user calls it.
      reporter: told what children raise.

    Attributes:
      cancel_scope: around all children.
    """

    def __init__(self, name: str, reporter: Reporter) -> None:
        self.cancel_scope = trio.CancelScope()
        self._name = name
        self._reporter = reporter
        self._nursery: trio.Nursery | None = None
        self._released = trio.Event()
        self._closed = trio.Event()

    # --- for those who start tasks -----------------------------------------------------------------------------------

    @property
    def child_tasks(self) -> frozenset[trio.lowlevel.Task]:
        """The children running now."""
        return frozenset() if self._nursery is None else self._nursery.child_tasks

    def start_soon(self, async_fn: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: object = None) -> None:
        """Start a child and do not wait for it; see `trio.Nursery.start_soon`.

        Raises:
          TypeError: `async_fn` has been called already.
          RuntimeError: the nursery is not open.
        """
        check_not_called(async_fn, f"{self._name}.start_soon")
        self._opened().start_soon(self._contain, async_fn, args, name=name or async_fn)

    async def start(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: object = None) -> Any:
        """Start a child and wait until it calls ``task_status.started(value)``; see `trio.Nursery.start`.

        Raises:
          TypeError: `async_fn` has been called already.
          RuntimeError: the nursery is not open, or the child ended without calling `started`.
          BaseException: what the child has raised before.

        If cancelled before the child has called `started`, the child is cancelled.
        """
        check_not_called(async_fn, f"{self._name}.start")
        return await self._opened().start(self._contain_started, async_fn, args, name=name or async_fn)

    def _opened(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError(f"{self._name} is open only while the server runs, and it does not run now")
        return self._nursery

    async def _contain(self, async_fn: Callable[[*Ts], Awaitable[object]], args: tuple[*Ts]) -> None:
        try:
            await async_fn(*args)
        except BaseException as exc:  # noqa: BLE001 - reported; what is no Exception is raised again
            await self._report(exc)

    async def _contain_started(
        self, async_fn: Callable[..., Awaitable[object]], args: tuple[object, ...], *, task_status: trio.TaskStatus[Any]
    ) -> None:
        status = Status(task_status)
        try:
            await async_fn(*args, task_status=status)
        except BaseException as exc:
            if not status.has_started:
                raise
            await self._report(exc)

    async def _report(self, error: BaseException) -> None:
        try:
            await self._reporter.report(error)
        except BaseException as fatal:
            if split_cancelled(fatal)[1] is not None:
                self._released.set()  # the program ends
            raise
        finally:
            del error  # its traceback holds this frame

    # --- for its owner -----------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be open, until `close`.  To be started shielded: a cancellation does not end it.

        Raises:
          BaseExceptionGroup: of what children have raised that is no `Exception`.
        """
        try:
            with self.cancel_scope:
                async with trio.open_nursery() as self._nursery:
                    task_status.started()
                    # Shielded without a deadline: the owner closes it in any case.
                    with trio.CancelScope(shield=True):
                        await self._released.wait()
        finally:
            self._nursery = None
            self._closed.set()

    async def close(self, *, within: float, grace: float) -> None:
        """Wait for the children, and end `run`.

        Parameters:
          within: seconds until they are cancelled.
          grace: seconds from then until the log names those that still run.

        If cancelled, the children are cancelled, and waited for.
        """
        self.cancel_scope.deadline = min(self.cancel_scope.deadline, trio.current_time() + within)
        self._released.set()
        try:
            with trio.move_on_after(within + grace):
                await self._closed.wait()
                return
            names = sorted(task.name for task in self.child_tasks)
            logger.warning("cancelled more than %g s ago, and still waiting for: %s", grace, ", ".join(names))
            await self._closed.wait()
        finally:
            self.cancel_scope.cancel(reason=f"{self._name} is closed")
            # Shielded without a deadline, as a nursery's own exit is: it waits only for tasks that have been cancelled.
            with trio.CancelScope(shield=True):
                await self._closed.wait()


class Status(trio.TaskStatus[T], Generic[T]):
    """Passes on that a task has started, and remembers that it has."""

    def __init__(self, task_status: trio.TaskStatus[T]) -> None:
        self.has_started = False
        self._task_status = task_status

    def started(self, value: T | None = None) -> None:
        """See `trio.TaskStatus.started`."""
        self.has_started = True
        self._task_status.started(cast("T", value))


def check_not_called(async_fn: object, caller: str) -> None:
    """Refuse what has been called already.

    Raises:
      TypeError: it is not a function but the coroutine that it has returned.
    """
    if inspect.iscoroutine(async_fn):
        async_fn.close()  # so that nobody is told that it was never awaited
        raise TypeError(f"give {caller} the function and its arguments, not what it returns: {caller}(fn, *args)")

"""The nursery of one request, opened only if it is used.

A nursery cannot be opened from inside an expression: `request.nursery` is an attribute, and the handler may stand in
any number of scopes when it is first touched.  So the real nursery is opened by a *host*, a task of the connection, and
the handler holds this front of it.

Rules of this file:

* To the handler it behaves as if ``async with trio.open_nursery()`` stood around it: the children are joined before the
  request ends; a child that fails cancels its siblings and the handler; a handler that fails cancels the children;
  what failed comes out as one exception group.
* The host never outlives the request: whoever owns the request awaits `join` or, on the way out with an exception,
  `close`.  That wait is shielded, as every nursery's is, for the children have been cancelled by then.
* A failure of the handler alone is raised as it is, not in a group: an `HTTPError` stays an `HTTPError`.

It must not know what a request is.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVarTuple, cast

import trio

from ..errors import CancelReason
from .why import WHY

__all__ = ["RequestNursery", "Spawn"]

Ts = TypeVarTuple("Ts")


class Spawn(Protocol):
    """Starts a task that ends with the connection, at the latest."""

    def __call__(self, async_fn: Callable[[], Awaitable[object]], /) -> object: ...


class RequestNursery:
    """Children of a request; use it as you would a `trio.Nursery`.

    Parameters:
      spawn: starts the host in the connection's nursery.
      child_failed: called once, when a child has failed.

    Attributes:
      host: the task that holds the children, while it does.
    """

    __slots__ = (
        "_child_failed",
        "_done",
        "_expired",
        "_failures",
        "_nursery",
        "_opened",
        "_queued",
        "_released",
        "cancel_scope",
        "host",
    )

    def __init__(self, spawn: Spawn, child_failed: Callable[[], None]) -> None:
        self.cancel_scope = trio.CancelScope()
        self.host: trio.lowlevel.Task | None = None
        self._child_failed = child_failed
        self._nursery: trio.Nursery | None = None
        self._queued: list[Callable[[trio.Nursery], None]] = []
        self._opened = trio.Event()
        self._released = trio.Event()
        self._done = trio.Event()
        self._failures: list[BaseException] = []
        self._expired = False
        spawn(self._host)

    # --- for the handler ---------------------------------------------------------------------------------------------

    @property
    def child_tasks(self) -> frozenset[trio.lowlevel.Task]:
        """The children running now."""
        return frozenset() if self._nursery is None else self._nursery.child_tasks

    def start_soon(self, async_fn: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: object = None) -> None:
        """Start a child and do not wait for it; see `trio.Nursery.start_soon`.

        Raises:
          RuntimeError: the request is over.
        """
        self._check_open()
        if self._nursery is not None:
            self._nursery.start_soon(async_fn, *args, name=name)
            return
        # The host has not run yet.  The child inherits the context variables of now, as in any nursery.
        context = contextvars.copy_context()
        self._queued.append(lambda nursery: context.run(_start_soon, nursery, async_fn, args, name))

    async def start(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: object = None) -> Any:
        """Start a child and wait until it calls ``task_status.started(value)``; see `trio.Nursery.start`.

        Raises:
          RuntimeError: the request is over, or the child ended without calling `started`.
        """
        self._check_open()
        await self._opened.wait()
        self._check_open()
        return await cast("trio.Nursery", self._nursery).start(async_fn, *args, name=name)

    def _check_open(self) -> None:
        if self._done.is_set() and not self._expired:
            raise RuntimeError("request.nursery has been cancelled, and no task can be started in it any more")
        if self._expired:
            raise RuntimeError("the handler of this request does not run, and request.nursery is only for its children")

    # --- for the owner of the request --------------------------------------------------------------------------------

    def arrange(self, cut: float, reason: CancelReason | None) -> None:
        """The children are cancelled at `cut`, or now if there is a reason."""
        if reason is None:
            self.cancel_scope.deadline = cut
        else:
            self.cancel_scope.cancel(reason=WHY[reason])

    async def join(self) -> None:
        """The handler has returned: wait for the children.

        Raises:
          BaseExceptionGroup: of what children have raised.

        If cancelled, cancels the children and waits for them.
        """
        self._released.set()
        try:
            await self._done.wait()
        except trio.Cancelled as exc:
            await self.close(exc)
            raise
        if self._failures:
            raise self._take_failures()

    async def close(self, error: BaseException) -> None:
        """The handler has raised `error`: cancel the children and wait for them.

        Raises:
          BaseExceptionGroup: of `error` and what children have raised, if any has.
        """
        self._released.set()
        self.cancel_scope.cancel(reason="the handler of this request has ended")
        # Shielded without a deadline, as a nursery's own exit is: it waits only for tasks that have been cancelled.
        with trio.CancelScope(shield=True):
            await self._done.wait()
        if self._failures:
            raise self._take_failures(error) from None

    def _take_failures(self, *others: BaseException) -> BaseExceptionGroup[BaseException]:
        # Taken, as their tracebacks hold the frames that hold this object.
        failures, self._failures = self._failures, []
        return BaseExceptionGroup("tasks in request.nursery failed", [*others, *failures])

    def expire(self) -> None:
        """The request is over; let the host go and refuse further children."""
        self._expired = True
        self._released.set()
        self._child_failed = _nobody  # it holds the request

    # --- the host ----------------------------------------------------------------------------------------------------

    async def _host(self) -> None:
        self.host = trio.lowlevel.current_task()
        try:
            with self.cancel_scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    self._opened.set()
                    for start in self._queued:
                        start(nursery)
                    self._queued.clear()
                    await self._released.wait()
        except BaseExceptionGroup as group:
            cancelled, failed = group.split(trio.Cancelled)
            if failed is not None:
                self._failures.extend(failed.exceptions)
                self._child_failed()
            if cancelled is not None:
                raise cancelled from None
        finally:
            self.host = self._nursery = None
            self._opened.set()
            self._done.set()


def _nobody() -> None:
    """Who hears of a failure when the request is over."""


def _start_soon(nursery: trio.Nursery, async_fn: Callable[..., Awaitable[object]], args: Any, name: object) -> None:
    nursery.start_soon(async_fn, *args, name=name)

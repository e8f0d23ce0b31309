"""The tasks that a connection has beside its own, in a nursery that is opened when the first of them is started.

Most connections never start one, and a nursery costs more memory than all else that an idle connection holds.  So the
nursery is opened by a *host*, a task beside that of the connection, when it is first needed.

Rules of this file:

* The host never outlives the connection: whoever owns the connection awaits `aclose` in any case.
* What one of the tasks raises ends the others, and is told to `failed`, who ends the connection; no other hears of it.

It must not know what the tasks do.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable, Callable

import trio

from ..http.containment import split_fatal

__all__ = ["ConnectionTasks"]

logger = logging.getLogger("trioframe.server")


def _log(error: Exception) -> None:
    logger.error("a connection failed in the server's own code", exc_info=error)


class ConnectionTasks:
    """See the top of this file.

    Parameters:
      nursery: where the host runs.

    Attributes:
      failed: called with what a task has raised, in the task of the host.
    """

    __slots__ = ("_closed", "_host", "_nursery", "failed")

    def __init__(self, nursery: trio.Nursery) -> None:
        self.failed: Callable[[Exception], None] = _log
        self._closed = False
        self._nursery = nursery
        self._host: _Host | None = None

    def start_soon(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Start a task and do not wait for it; see `Spawn`.

        Raises:
          RuntimeError: the connection has ended.
        """
        if self._closed:
            raise RuntimeError("the connection has ended: no task can be started in it any more")
        if self._host is None:
            self._host = _Host(self)
            # Without the context of whoever is first: it would be held as long as the connection.
            contextvars.Context().run(self._nursery.start_soon, self._host.run)
        self._host.start_soon(async_fn)

    async def aclose(self) -> None:
        """Cancel the tasks and wait for them; as in any nursery, nothing cancels that wait."""
        self._closed = True
        if self._host is not None:
            self._host.release()
            with trio.CancelScope(shield=True):
                await self._host.done.wait()
            self._host = None
        self.failed = _log  # the connection's own, which holds its tasks


class _Host:
    """The task that holds the nursery.

    It holds it until it is released, also when all has been cancelled from outside: a connection that still cleans up
    may start a task then, which sees that it is cancelled, as in any nursery.
    """

    def __init__(self, tasks: ConnectionTasks) -> None:
        self.done = trio.Event()
        self._scope = trio.CancelScope()
        self._released = trio.Event()
        self._tasks = tasks
        self._nursery: trio.Nursery | None = None
        self._queued: list[Callable[[], Awaitable[object]]] = []

    def start_soon(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        if self._nursery is None:
            self._queued.append(async_fn)
        else:
            self._nursery.start_soon(self._run_task, async_fn)

    def release(self) -> None:
        self._released.set()
        self._scope.cancel(reason="the connection has ended")

    async def run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    for async_fn in self._queued:
                        self._nursery.start_soon(self._run_task, async_fn)
                    self._queued.clear()
                    # Shielded without a deadline: who owns the connection releases it in any case.
                    with trio.CancelScope(shield=True):
                        await self._released.wait()
        finally:
            self.done.set()

    async def _run_task(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        try:
            await async_fn()
        except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - `failed` tells
            errors, fatal = split_fatal(exc)
            if errors is not None:
                self._scope.cancel(reason="a task of this connection has failed")
                self._tasks.failed(errors)
            if fatal is not None:
                raise fatal from None
        except trio.Cancelled:
            raise
        except BaseException:
            self._released.set()  # the program ends
            raise

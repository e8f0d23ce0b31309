"""The life of one server, from its first lifespan to its last: in which order everything begins and ends.

What has begun is undone, in the opposite order, however far the start has come and whatever ends it:

===  =======================================  ============================================================  ===========
     beginning                                is undone by                                                  bounded by
===  =======================================  ============================================================  ===========
1    each lifespan is entered                 its exit                                                      patience
2    `server.init.before`                     `server.shutdown.after`                                       patience
3    the nurseries of the background open,    they close: `after_response` is waited for, app tasks are     the rest of
     for 2 already; app tasks start behind 2  cancelled                                                     the drain
4    the server listens                       it drains                                                     the server
5    `server.init.after`                      `server.shutdown.before`                                      patience
===  =======================================  ============================================================  ===========

Rules of this file:

* A lifespan has begun when it has been entered; a signal already when its first receiver is called.  So a receiver of
  `server.shutdown.after` that closes what one of `server.init.before` has opened is called also when another one of
  these failed.  It may find that there is nothing to close.
* What fails while starting ends the start; what fails while serving - a lifespan, a listener - stops the server; what
  fails while stopping keeps nothing else from stopping.  In the end it leaves: alone as it is, several as a group.
* Stopping is asked for and takes its time.  A cancellation from outside reaches at once what starts and serves; what
  stops goes on, shielded.  Patience is GRACEFUL_SHUTDOWN_TIMEOUT for each step, CANCEL_GRACE once all is cancelled.
* Up to and in `server.shutdown.before` the server accepts connections: whoever stands before it can be told first.

It must not know what a server is: it is given something to await that tells when it listens, and something to call that
makes it drain.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Protocol

import trio

from ..config import Config
from .background import AppTasks
from .failures import Failures
from .lifespan import Lifespan
from .state import State
from .task_nursery import Status

__all__ = ["Life"]

logger = logging.getLogger("trioframe.app")


class Starts(Protocol):
    """Something to await that calls ``task_status.started``."""

    def __call__(self, *, task_status: trio.TaskStatus[Any]) -> Awaitable[object]: ...


class Life:
    """One serving of an app.

    Parameters:
      lifespans: to stand around it, in order.
      run: awaited with the name of each `server.init` and `server.shutdown` signal; calls its receivers.
      tasks: run in the background.
      state: is told that it lives.

    Attributes:
      background: where requests leave tasks behind.
    """

    def __init__(
        self,
        config: Config,
        *,
        lifespans: Iterable[Lifespan],
        run: Callable[[str], Awaitable[object]],
        tasks: AppTasks,
        state: State,
    ) -> None:
        self.background = tasks.background()
        self._lifespans = lifespans
        self._run = run
        self._state = state
        self._graceful_timeout = config.GRACEFUL_SHUTDOWN_TIMEOUT
        self._cancel_grace = config.CANCEL_GRACE
        self._patience = self._graceful_timeout
        self._drained_by = 0.0  # when what requests have left behind is cancelled
        self._failures = Failures(self._failed)
        self._begun: list[Callable[[], Awaitable[object]]] = []  # what undoes it
        self._starting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._undoing = trio.CancelScope()
        self._listens = False
        self._stopping = trio.Event()
        self._ended = trio.Event()

    @property
    def is_serving(self) -> bool:
        """Whether it listens, and has not been asked to stop."""
        return self._listens and not self._stopping.is_set()

    def stop(self) -> None:
        """Stop as soon as it has started; calling it again changes nothing."""
        self._stopping.set()

    async def live(
        self,
        serve: Starts,
        shutdown: Callable[[], object],
        *,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start, serve until `stop` is called or `serve` returns, and stop.

        Parameters:
          serve: tells by `task_status` that it listens, and returns when it has drained.
          shutdown: makes it drain.
          task_status: told, with what `serve` has told, when `server.init.after` is over.

        Raises:
          BaseException: what has failed; a group of them, if several have.

        If cancelled, it has stopped all the same, within the limits of the table; errors go before the cancellation.
        """
        self._state.begin(self)
        try:
            async with trio.open_nursery() as nursery:
                # In a task of its own: here arrives what comes from outside, and must not tear what stops.
                nursery.start_soon(self._live, serve, shutdown, task_status)
                try:
                    await self._ended.wait()
                except trio.Cancelled:
                    self._hurry()
                    raise
                except KeyboardInterrupt as exc:  # which Trio raises in the main task, and that may be this one
                    self._failures.keep(exc)
        finally:
            self._state.end(self)
            self._failures.leave("several things failed in the life of the server")

    # --- the order ---------------------------------------------------------------------------------------------------

    async def _live(self, serve: Starts, shutdown: Callable[[], object], task_status: trio.TaskStatus[Any]) -> None:
        self.background.settle()
        try:
            # Shielded without a deadline, as each of its parts has one once the whole is cancelled.
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    with self._starting:
                        await self._failures.attempt(self._start, nursery, serve, shutdown, task_status)
                    await self._stopping.wait()
                    while self._begun:
                        await self._failures.attempt(self._begun.pop())
        finally:
            self._ended.set()

    async def _start(
        self, nursery: trio.Nursery, serve: Starts, shutdown: Callable[[], object], task_status: trio.TaskStatus[Any]
    ) -> None:
        """The table at the top."""
        for lifespan in self._lifespans:
            entered = self._part(lifespan.run)
            await nursery.start(entered.run)
            self._begun.append(partial(self._patiently, str(lifespan), entered.end, lifespan.release))

        self._begun.append(partial(self._signal, "server.shutdown.after"))
        # Shielded without a deadline, as it waits for nobody; so either both are open or none.
        with trio.CancelScope(shield=True):
            for tasks in (self.background.nursery, self.background.left_behind):
                await nursery.start(self._part(tasks.run).run)
        self._begun.append(self._close_background)
        await self._run("server.init.before")
        await trio.lowlevel.checkpoint_if_cancelled()  # which a receiver may have kept away
        self.background.start_queued()

        server = self._part(serve, self._serving)
        listens = await nursery.start(server.run)
        self._begun.append(partial(self._drain, server, shutdown))
        self._listens = True

        self._begun.append(partial(self._signal, "server.shutdown.before"))
        await self._run("server.init.after")
        task_status.started(listens)

    def _part(self, async_fn: Starts, scope: trio.CancelScope | None = None) -> _Part:
        return _Part(async_fn, self._failures.keep, self.stop, scope or trio.CancelScope())

    # --- undoing -----------------------------------------------------------------------------------------------------

    async def _signal(self, event: str) -> None:
        await self._patiently(event, self._run, event)

    async def _patiently(self, what: str, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Await something of the user's, not for ever."""
        with trio.CancelScope(deadline=trio.current_time() + self._patience) as self._undoing:
            await async_fn(*args)
        if self._undoing.cancelled_caught:
            logger.error("%s took longer than %g s to stop, and was cancelled", what, self._patience)

    async def _drain(self, server: _Part, shutdown: Callable[[], object]) -> None:
        self._drained_by = trio.current_time() + self._patience
        await server.end(shutdown)

    async def _close_background(self) -> None:
        rest = max(0, self._drained_by - trio.current_time())
        await self.background.left_behind.close(within=rest, grace=self._cancel_grace)
        await self.background.nursery.close(within=0, grace=self._cancel_grace)

    # --- when it does not go as planned ------------------------------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        self._starting.cancel(reason="the server cannot start")
        self.stop()
        if not isinstance(error, Exception):
            self._hurry()

    def _hurry(self) -> None:
        """Cancel everything but what stops; that has CANCEL_GRACE from now."""
        reason = "the server has been cancelled"
        self.stop()
        self._patience = min(self._patience, self._cancel_grace)
        self._undoing.deadline = min(self._undoing.deadline, trio.current_time() + self._patience)
        for scope in (
            self._starting,
            self._serving,
            self.background.nursery.cancel_scope,
            self.background.left_behind.cancel_scope,
        ):
            scope.cancel(reason=reason)


class _Part:
    """A task of a life, which stops when one of its parts ends.

    Parameters:
      async_fn: awaited with `task_status`.
      keep: called with what it raises once it has started.
      ended: called when it has ended.
      scope: around it.
    """

    def __init__(
        self,
        async_fn: Starts,
        keep: Callable[[BaseException], object],
        ended: Callable[[], object],
        scope: trio.CancelScope,
    ) -> None:
        self._async_fn = async_fn
        self._keep = keep
        self._tell_ended = ended
        self._scope = scope
        self._ended = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[Any]) -> None:
        """Its task.

        Raises:
          BaseException: what it raises before it has started.
        """
        status = Status(task_status)
        try:
            with self._scope:
                await self._async_fn(task_status=status)
        except BaseException as exc:
            if not status.has_started:
                raise
            self._keep(exc)
        finally:
            self._ended.set()
            self._tell_ended()

    async def end(self, ask: Callable[[], object]) -> None:
        """Ask it to end, and wait until it has.

        If cancelled, it is cancelled, and waited for.
        """
        ask()
        try:
            await self._ended.wait()
        finally:
            self._scope.cancel(reason="the server has to stop")
            # Shielded without a deadline, as a nursery's own exit is: it waits only for a task that has been cancelled.
            with trio.CancelScope(shield=True):
                await self._ended.wait()

"""What runs beside the requests: tasks of the app, and tasks that outlive the answer that started them.

=====================  ============================  ===================================================================
started by             runs from                     until
=====================  ============================  ===================================================================
`app.add_task`,        `server.init.before` is over  the server has drained; cancelled then
`app.every`
`app.nursery`          it is started; there is none  the same
                       before `server.init.before`
`after_response`       the response is complete      it ends; cancelled GRACEFUL_SHUTDOWN_TIMEOUT after draining began
=====================  ============================  ===================================================================

Rules of this file:

* What is added while no server runs is a declaration: it is started with each server.  What is added while one runs is
  started once.
* An app may be served several times at the same time.  What belongs to one of its servers uses the background of that
  one: requests, tasks, listeners, lifespans.  Everybody else uses that of the server that has begun last.
* A task that fails is reported and ends nothing but itself; a tick that fails not even the next one.
* A name, if one was given, belongs to one task at a time.

It must not know when a server starts, drains or ends: it is told.
"""

from __future__ import annotations

import contextvars
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import trio

from .calling import call, describe, is_async
from .report import Reporter
from .state import State
from .task_nursery import TaskNursery, check_not_called

if TYPE_CHECKING:
    from ..http.exchange import Exchange

__all__ = ["AppTasks", "Background", "check_async_function"]

F = TypeVar("F", bound=Callable[..., Any])

_here: contextvars.ContextVar[Background | None] = contextvars.ContextVar("background", default=None)


class AppTask(NamedTuple):
    """A task as it was added.

    Parameters:
      name: which no other task may have at the same time; None for a task without one.
      shown: what Trio calls it.
    """

    async_fn: Callable[..., Awaitable[object]]
    args: tuple[object, ...]
    name: str | None
    shown: object


class Background:
    """What runs in the background of one server.

    Parameters:
      declared: started with the server.
      reporter: told of what fails.

    Attributes:
      nursery: for tasks of the app.
      left_behind: for tasks that requests have left behind.
    """

    def __init__(self, declared: Sequence[AppTask], reporter: Reporter) -> None:
        self.nursery = TaskNursery("app.nursery", reporter)
        self.left_behind = TaskNursery("request.after_response", reporter)
        self._queued: list[AppTask] | None = list(declared)
        self._names = {task.name for task in declared}

    def settle(self) -> None:
        """The current task, and what it starts from now on, belongs to the server of this background."""
        _here.set(self)

    def add(self, task: AppTask) -> None:
        """Start a task, as soon as tasks are started.

        Raises:
          ValueError: its name belongs to another one.
          RuntimeError: the server has ended.
        """
        _check_name(task, self._names)
        if self._queued is None:
            self._start(task)
        else:
            self._queued.append(task)
        self._names.add(task.name)

    def after_response(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that a request leaves behind, now that its response is complete or will never be.

        Raises:
          RuntimeError: the server has ended.
        """
        self.left_behind.start_soon(async_fn, *args)

    def start_queued(self) -> None:
        """Start the tasks that wait for it, and from now on those that are added."""
        queued, self._queued = self._queued or (), None
        for task in queued:
            self._start(task)

    def _start(self, task: AppTask) -> None:
        self.nursery.start_soon(self._run, task, name=task.shown)

    async def _run(self, task: AppTask) -> None:
        try:
            await task.async_fn(*task.args)
        finally:
            self._names.discard(task.name)


class AppTasks:
    """The tasks of an app, over all its servers; what `App` offers is passed on to it.

    Parameters:
      app: given to ticks that want it.
      reporter: told of what fails.
      state: knows which servers live.
    """

    def __init__(self, app: object, reporter: Reporter, state: State) -> None:
        self._app = app
        self._reporter = reporter
        self._state = state
        self._declared: list[AppTask] = []

    @property
    def nursery(self) -> TaskNursery:
        """The nursery of the server at hand.

        Raises:
          RuntimeError: no server runs.
        """
        return self._served("app.nursery").nursery

    def background(self) -> Background:
        """What is to run in the background of a new server."""
        return Background(self._declared, self._reporter)

    def add_task(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        """Run ``async_fn(*args)`` as long as the server serves; it is cancelled when that has drained.

        Added before the app is served, it is started with each server, once `server.init.before` is over.

        Parameters:
          name: names it in the log; no two tasks have the same name at the same time.

        Raises:
          TypeError: `async_fn` is not an async function, or has been called already.
          ValueError: there is a task with that name.
        """
        check_async_function(async_fn, "add_task")
        self._add(AppTask(async_fn, args, name, shown=name or async_fn))

    def every(self, seconds: float) -> Callable[[F], F]:
        """Decorates what is called each `seconds` seconds as long as the server serves, for the first time after that.

        It takes the app, or nothing; it may be async or not.  One that fails is reported, and called again when its
        time comes.  One that takes longer than `seconds` is called next at the multiple of `seconds` that follows.

        Raises:
          ValueError: `seconds` is not above 0, or not finite.
          TypeError: it cannot be called with the app, nor with nothing.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"app.every needs a number of seconds above 0, not {seconds!r}")

        def declare(tick: F) -> F:
            args = _arguments(tick, self._app)
            self._add(AppTask(self._repeat, (seconds, tick, args), name=None, shown=tick))
            return tick

        return declare

    def _add(self, task: AppTask) -> None:
        background = self._at_hand()
        if background is not None:
            background.add(task)
            return
        _check_name(task, {declared.name for declared in self._declared})
        self._declared.append(task)

    def follow(self, exchange: Exchange, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run ``async_fn(*args)`` when `exchange` is over, however it ends; in the context that it has then.

        Raises:
          TypeError: `async_fn` is not an async function, or has been called already.
          RuntimeError: no server runs.
        """
        check_async_function(async_fn, "after_response")
        follow = partial(self._served("after_response").after_response, async_fn, *args)
        exchange.at_end = (*exchange.at_end, follow)

    def _served(self, what: str) -> Background:
        background = self._at_hand()
        if background is None:
            raise RuntimeError(f"{what} lives as long as the app is served, and it is not served now")
        return background

    def _at_hand(self) -> Background | None:
        """That of the server to which the current task belongs; or else of the latest."""
        living = [life.background for life in self._state.lives]
        here = _here.get()
        return here if here in living else next(reversed(living), None)

    async def _repeat(self, seconds: float, tick: Callable[..., Any], args: tuple[object, ...]) -> None:
        start, times = trio.current_time(), 1
        while True:
            # Counted from the start: adding up would add up errors of rounding, too.
            await trio.sleep_until(start + times * seconds)
            try:
                await call(tick, *args)
            except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - reported; the rest is raised again
                await self._reporter.report(exc)
            times = max(times + 1, math.ceil((trio.current_time() - start) / seconds))


def check_async_function(function: Callable[..., Any], caller: str) -> None:
    """Refuse what cannot be run as a task, where it was given.

    Parameters:
      caller: what it was given to.

    Raises:
      TypeError: it is not an async function, or has been called already.
    """
    check_not_called(function, caller)
    if not (callable(function) and (is_async(function) or is_async(inspect.unwrap(function)))):
        raise TypeError(f"{caller} needs an async function, and {function!r} is none")


def _arguments(tick: Callable[..., Any], app: object) -> tuple[object, ...]:
    """What to call it with."""
    signature = inspect.signature(tick)
    for args in ((app,), ()):
        try:
            signature.bind(*args)
        except TypeError:
            continue
        return args
    raise TypeError(f"what app.every calls must take the app or nothing: {describe(tick)}")


def _check_name(task: AppTask, names: set[str | None]) -> None:
    if task.name is not None and task.name in names:
        raise ValueError(f"there is a task called {task.name!r} already: give this one another name, or none")

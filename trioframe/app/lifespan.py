"""What stands around the whole life of a server: a generator of the user's, entered before it and exited after.

Each lifespan lives in a task of its own.  A nursery or cancel scope that it opens around its `yield` belongs to the
task that opened it, so it has to be left there, last in first out; and it must be able to cancel what stands inside:
that is here, at the `yield`, and not in some task that happens to serve.

Rules of this file:

* Entered and exited in the same task, whatever happens in between.
* What is raised around the `yield` goes to who owns the task; with a note that names the lifespan and its place.
* One that ends by itself while it is needed is no error of ours, but the log says so.

It must not know what it stands around.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import trio

from ..errors import TrioframeError
from .calling import describe
from .middleware import opened

__all__ = ["Lifespan"]

logger = logging.getLogger("trioframe.app")


class Lifespan:
    """One lifespan, for one server.

    Parameters:
      function: called with `app`: an async generator function with one `yield`, or what gives an async context manager.
    """

    def __init__(self, function: Callable[..., Any], app: object) -> None:
        self._function = function
        self._app = app
        self._released = trio.Event()

    def __str__(self) -> str:
        return f"the lifespan {describe(self._function)}"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Enter it, tell that it has been entered, wait for `release`, and exit it.

        Raises:
          TrioframeError: it does not yield exactly once.
          TypeError: it is something else.
          BaseException: what it raises.

        If cancelled, it is exited with that cancellation, raised at its `yield`.
        """
        try:
            async with opened(self._function, self._app):
                task_status.started()
                await self._released.wait()
            if not self._released.is_set():
                logger.warning("%s has ended by itself: the server stops", self)
        except Exception as exc:
            if _counted_yields(exc):
                raise TrioframeError(f"{self} has to yield exactly once: {exc}") from None
            exc.add_note(f"raised by {self}")
            raise

    def release(self) -> None:
        """Exit it."""
        self._released.set()


def _counted_yields(error: Exception) -> bool:
    """Whether it is what `contextlib` says of a generator that does not yield exactly once.

    Of this one, that is: raised by what is called here, and not somewhere below.
    """
    says_so = type(error) is RuntimeError and str(error).startswith("generator didn't ")
    return says_so and len(list(traceback.walk_tb(error.__traceback__))) == 2

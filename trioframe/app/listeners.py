"""What is called at the moments of a server's and of a program's life, each time in the same order.

=======================  =======================================================================
`before_server_start`    before the server listens: the signal `server.init.before`
`after_server_start`     it listens: the signal `server.init.after`
`before_server_stop`     it is asked to stop: the signal `server.shutdown.before`
`after_server_stop`      all connections and tasks have ended: the signal `server.shutdown.after`
`main_process_start`     the program begins
`main_process_ready`     the program serves
`main_process_stop`      the program ends
`before_reload_trigger`  before a reload; there is none so far
`after_reload_trigger`   behind it
=======================  =======================================================================

Rules of this file:

* Those of high priority come first, among equals those defined first.  Stopping is the same order, backwards.
* A start that fails goes no further.  When stopping, one that fails keeps none of the others from being called.
* An error says which listener raised it, and where that is.
* What has a signal is subscribed to it, so that its listeners and its receivers are called in one order.

It must not know when a moment has come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from .calling import call, describe
from .failures import Failures

__all__ = ["MOMENTS", "Listener", "Listeners"]

MOMENTS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "main_process_start": None,
        "main_process_ready": None,
        "main_process_stop": None,
        "before_server_start": "server.init.before",
        "after_server_start": "server.init.after",
        "before_server_stop": "server.shutdown.before",
        "after_server_stop": "server.shutdown.after",
        "before_reload_trigger": None,
        "after_reload_trigger": None,
    }
)
"""The moments, each with its signal."""


@dataclass(frozen=True, eq=False)
class Listener:
    """A function that is called with the app at a moment; itself a receiver that wants `app`."""

    function: Callable[..., Any]
    moment: str

    async def __call__(self, app: object) -> None:
        """Call it.

        Raises:
          Exception: what it raises, with a note that names it.
        """
        try:
            await call(self.function, app)
        except Exception as exc:
            exc.add_note(f"raised by a listener of {self.moment}: {describe(self.function)}")
            raise


class Listeners:
    """The listeners of an app.

    Parameters:
      subscribe: called with a signal's name, a listener and its priority, for moments that have a signal.
    """

    def __init__(self, subscribe: Callable[[str, Listener, int], object]) -> None:
        self._subscribe = subscribe
        self._declared: dict[str, list[tuple[int, Listener]]] = {moment: [] for moment in MOMENTS}

    def declare(self, moment: str, function: Callable[..., Any], priority: int = 0) -> None:
        """Note a listener.

        Parameters:
          moment: one of `MOMENTS`.
          priority: those with a high one start first and stop last.
        """
        listener, signal = Listener(function, moment), MOMENTS[moment]
        if signal is None:
            self._declared[moment].append((priority, listener))
        else:
            self._subscribe(signal, listener, priority)

    async def run(self, moment: str, app: object) -> None:
        """Call the listeners of a moment that has no signal.

        Raises:
          ValueError: it has one, and is told by that.
          Exception: of the listener that failed; of one or, as a group, of several that did when stopping.

        If cancelled, the listeners behind the one that was running are not called.
        """
        if MOMENTS[moment] is not None:
            raise ValueError(f"the listeners of {moment} are called by the signal {MOMENTS[moment]}")
        declared = [listener for _, listener in sorted(self._declared[moment], key=lambda entry: -entry[0])]
        if not moment.endswith("_stop"):
            for listener in declared:
                await listener(app)
            return
        failures = Failures()
        for listener in reversed(declared):
            await failures.attempt(listener, app)
        failures.leave(f"listeners of {moment} failed")

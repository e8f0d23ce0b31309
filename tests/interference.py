"""Another program, perfectly timed: does something at the very moment this process makes a certain system call.

Races between programs become ordinary, repeatable tests: ``interference.when("os.link", act)`` calls `act` just before
the next `os.link`, with the same arguments.  The events are those of `sys.addaudithook`; a hook cannot be removed, so
there is one for all tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

Act = Callable[..., object]
Match = Callable[..., bool]


class Interference:
    def __init__(self) -> None:
        self._plans: dict[str, tuple[Act, Match]] = {}
        sys.addaudithook(self._hook)

    def when(self, event: str, act: Act, *, match: Match = lambda *args: True) -> None:
        """Call `act` once, before the next `event` whose arguments `match`."""
        self._plans[event] = act, match

    def forget(self) -> None:
        self._plans.clear()

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if event in self._plans and self._plans[event][1](*args):
            act, _ = self._plans.pop(event)
            act(*args)


_the_only_one = Interference()


@pytest.fixture
def interference() -> Iterator[Interference]:
    yield _the_only_one
    _the_only_one.forget()

"""Counts what a handler must give back, so that a test can see what a cancellation made it keep.

It must not know requests: what is opened and closed is the user's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Watch"]


class Watch:
    """A book of what was opened and closed.

    Call `opened` and `closed` from the code under test, or better from the fakes it uses::

        watch = Watch()

        class FakePool:
            async def acquire(self):
                await trio.lowlevel.checkpoint()
                watch.opened("connection")

            def release(self):
                watch.closed("connection")
    """

    def __init__(self) -> None:
        self._opened: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()

    def opened(self, name: str) -> None:
        """`name` - a connection, a lock, a file - is held once more."""
        self._opened[name] += 1

    def closed(self, name: str) -> None:
        """`name` is held once less."""
        self._closed[name] += 1

    @contextmanager
    def finalizer(self, name: str) -> Iterator[None]:
        """A block that has to run to its end once it has begun: the inside of a ``finally``, an ``__aexit__``."""
        try:
            yield
        except BaseException:
            self._cut[name] += 1
            raise

    def clear(self) -> None:
        """Forget everything: a new request begins."""
        self._opened.clear()
        self._closed.clear()
        self._cut.clear()

    @property
    def problems(self) -> list[str]:
        """In words, what was not closed as often as it was opened, and which finalizers were cut short."""
        names = sorted(self._opened.keys() | self._closed.keys())
        return [
            f"{name!r} was opened {self._opened[name]} and closed {self._closed[name]} times"
            for name in names
            if self._opened[name] != self._closed[name]
        ] + [f"the finalizer {name!r} was cut short" for name in sorted(self._cut)]

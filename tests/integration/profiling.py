"""Counting what a server does, from within its own Trio run.

Trio tells of tasks and their steps, the interpreter's profile hook tells of calls.  Whose they are - the server's, or
those of the client beside it - is told by the task.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import trio


class Profiler(trio.abc.Instrument):
    """An instrument that hears of calls too."""

    @abstractmethod
    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """See `sys.setprofile`."""


P = TypeVar("P", bound=Profiler)


@contextmanager
def profiling(instrument: P) -> Iterator[P]:
    """Let `instrument` hear of everything that is done in this Trio run."""
    previous = sys.getprofile()
    trio.lowlevel.add_instrument(instrument)
    sys.setprofile(instrument.profile)
    try:
        yield instrument
    finally:
        sys.setprofile(previous)
        trio.lowlevel.remove_instrument(instrument)


def is_below(task: trio.lowlevel.Task, root: trio.lowlevel.Task) -> bool:
    """Whether `task` is `root`, or was started below it."""
    while task is not root and task.parent_nursery is not None:
        task = task.parent_nursery.parent_task
    return task is root

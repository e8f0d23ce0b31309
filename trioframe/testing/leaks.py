"""Finds what Python code leaves behind without a word: unfinished async generators, coroutines never awaited.

Rules of this file:

* What is found is named; it is not mended.
* An async generator is kept while it is watched, so that it is found in any case and not only if the garbage collector
  comes by; afterwards Trio does with it what it always does.

It must not know requests.
"""

from __future__ import annotations

import gc
import re
import sys
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import trio
from trio.lowlevel import Task

from .place import shorten

_NEVER_AWAITED = r"coroutine '.*' was never awaited"

__all__ = ["coroutines_never_awaited", "unfinished_generators"]


@contextmanager
def unfinished_generators(owns: Callable[[Task], bool]) -> Iterator[Callable[[], list[str]]]:
    """Watch the async generators that begin in tasks that are owned.

    Gives a function that names those of them that are neither exhausted nor closed.
    """
    begun: list[Any] = []
    hooks = sys.get_asyncgen_hooks()

    def first_iteration(generator: AsyncGenerator[Any, Any]) -> None:
        if owns(trio.lowlevel.current_task()):
            begun.append(generator)
        cast(Callable[[AsyncGenerator[Any, Any]], None], hooks.firstiter)(generator)  # Trio's

    sys.set_asyncgen_hooks(firstiter=first_iteration)
    try:
        yield lambda: [_name(generator) for generator in begun if generator.ag_frame is not None]
    finally:
        sys.set_asyncgen_hooks(*hooks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Trio's complaint about those that are dropped here
            begun.clear()


def _name(generator: Any) -> str:
    code = generator.ag_code
    return f"{generator.__qualname__} ({shorten(code.co_filename)}:{code.co_firstlineno})"


@contextmanager
def coroutines_never_awaited() -> Iterator[list[str]]:
    """Collect Python's complaints about coroutines that were made and never awaited; the list is filled at the end.

    Other warnings are given at the end.
    """
    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", _NEVER_AWAITED, RuntimeWarning)
        yield complaints
        gc.collect(1)  # the youngest: what was made meanwhile
    for warning in caught:
        if re.match(_NEVER_AWAITED, str(warning.message)):
            complaints.append(str(warning.message).partition("\n")[0])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

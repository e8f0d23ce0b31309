"""To learn whether an awaitable has to wait, before it does.

Whoever consumes a stream of pieces would like to know whether the next one is there.  Nothing says so; but an awaitable
that is about to wait gives something to the scheduler first, and that passes by here.

Between the two halves nothing may be awaited: the awaitable may have arranged its own waking already.

It must not know what is awaited, nor what waits.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from functools import partial
from typing import Any, TypeVar

__all__ = ["begin"]

T = TypeVar("T")


def begin(awaitable: Awaitable[T]) -> tuple[T] | Awaitable[T]:
    """Run `awaitable` up to where it waits: its result in a tuple if it does not, else the rest of it.

    The rest has to be awaited at once, in the same task.  Raises what `awaitable` raises up to there.
    """
    steps: Any = awaitable.__await__()
    try:
        asked = next(steps)
    except StopIteration as end:
        return (end.value,)
    return _rest(steps, asked)


@types.coroutine
def _rest(steps: Any, asked: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            answer = yield asked
        except BaseException as exc:  # noqa: BLE001 - it is not ours
            go_on = partial(steps.throw, exc)
        else:
            go_on = partial(steps.send, answer)
        try:
            asked = go_on()
        except StopIteration as end:
            return end.value

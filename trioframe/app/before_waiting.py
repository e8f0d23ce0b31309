"""To do something just before an awaitable waits, and nothing if it does not.

Whoever consumes a stream of pieces would like to know whether the next one is there.  Nothing says so; but an awaitable
that is about to wait gives something to the scheduler first, and that passes by here.

What is done in that moment must be synchronous and must not touch the scheduler: the awaitable may have arranged its
own waking already.

It must not know what is awaited, nor what waits.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar

__all__ = ["doing_before_waiting"]

T = TypeVar("T")


@types.coroutine
def doing_before_waiting(action: Callable[[], object], awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
    """Await `awaitable`; call `action` once if it waits, before it does."""
    steps: Any = awaitable.__await__()
    try:
        asked = next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    action()
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
            return end.value  # type: ignore[no-any-return]

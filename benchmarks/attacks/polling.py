"""Waiting for something that only asking tells."""

from __future__ import annotations

from collections.abc import Callable

import trio

__all__ = ["until"]

INTERVAL = 0.02  # seconds


async def until(condition: Callable[[], bool], patience: float) -> float:
    """Wait until `condition()`, for `patience` seconds at most; how many it took."""
    began = trio.current_time()
    with trio.move_on_after(patience):
        while not condition():  # noqa: ASYNC110 - another process gives no event
            await trio.sleep(INTERVAL)
    return trio.current_time() - began

"""What several test modules need to see what an app's tasks have left behind, and to leave it."""

from __future__ import annotations

import trio


class Reported:
    """A hook that remembers what was reported."""

    def __init__(self) -> None:
        self.errors: list[object] = []

    def __call__(self, **context: object) -> None:
        self.errors.append(context["exception"])


async def fail_when_cancelled() -> None:
    """Raise a group: an error of one that was cancelled, beside the cancellation of another."""

    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("late")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail_late)
        nursery.start_soon(trio.sleep_forever)

"""Keeps what fails on the way, so that the rest can be done before it leaves.

It is for what has to be done to its end: closing several things, each of which may fail.

Rules of this file:

* One failure leaves as it is, several as a group.
* A cancellation is never kept.  The program's end is, and leaves like the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

__all__ = ["Failures", "split_cancelled"]


class Failures:
    """What has failed so far.

    Parameters:
      hear: called with each failure.
    """

    def __init__(self, hear: Callable[[BaseException], object] | None = None) -> None:
        self._hear = hear
        self._kept: list[BaseException] = []

    async def attempt(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Await `async_fn(*args)`, and keep what it raises.

        If cancelled, what has failed on the way out is kept.
        """
        try:
            await async_fn(*args)
        except BaseException as exc:  # noqa: BLE001 - kept; a cancellation is raised again
            self.keep(exc)

    def keep(self, error: BaseException) -> None:
        """Keep an error that was caught.

        Raises:
          Cancelled: what of `error` is a cancellation; or a group of them.
        """
        cancelled, failed = split_cancelled(error)
        try:
            if failed is not None:
                self._kept.append(failed)
                if self._hear is not None:
                    self._hear(failed)
            if cancelled is not None:
                raise cancelled from None
        finally:
            del error, cancelled, failed  # their tracebacks hold this frame

    def leave(self, message: str) -> None:
        """Raise what was kept, if anything was.

        Parameters:
          message: of the group, if there are several.
        """
        kept, self._kept = self._kept, []  # taken, as their tracebacks hold the frames that hold this object
        try:
            if len(kept) > 1:
                raise BaseExceptionGroup(message, kept)
            if kept:
                raise kept[0]
        finally:
            del kept


def split_cancelled(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """What of `error`, which may be a group of both, is a cancellation; and what is not."""
    if isinstance(error, BaseExceptionGroup) and error.subgroup(trio.Cancelled) is not None:
        return error.split(trio.Cancelled)
    return (error, None) if isinstance(error, trio.Cancelled) else (None, error)

"""The `with` blocks by which a handler bends the cancellation of its own request.

A block is a cancel scope that follows the *cut* of the request (see `lifetime`), each kind in its own way.  Blocks
nest, and stand in any task of the request.

They must not decide when a request is cancelled; they only follow.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import trio

from ..errors import CancelReason, RequestCancelled
from .why import WHY

if TYPE_CHECKING:
    from .lifetime import Lifetime

__all__ = ["Block", "Cancellable", "Shielded"]


class Block:
    """A `with` block whose scope follows the cut of the request."""

    __slots__ = ("_lifetime", "scope")
    defers = False

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self.scope = trio.CancelScope()

    def arrange(self, cut: float, failed_at: float, reason: CancelReason | None) -> None:
        """Follow the request, which is cancelled at `cut`, and in which something failed at `failed_at`."""
        if reason is None:
            self.scope.deadline = cut
        else:
            self.scope.cancel(reason=WHY[reason])

    def __enter__(self) -> None:
        self._lifetime.enter(self)
        self.scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:  # the scope raises what is left of a group whose Cancelled it has taken
            return bool(self.scope.__exit__(kind, error, traceback))
        finally:
            self._lifetime.leave(self, caught=self.scope.cancelled_caught)

    def _raise_if_caught(self) -> None:
        if self.scope.cancelled_caught:
            cancelled = RequestCancelled(self._lifetime.settle())
            try:
                raise cancelled
            finally:
                # The Cancelled, and this very frame, would keep the frames of the block alive.
                cancelled.__context__ = None
                del cancelled


class Cancellable(Block):
    """See `Lifetime.cancellable`.

    A cancellation of the request ends the block and raises `RequestCancelled` where it stood.  What the handler does
    then - it may await - is bounded by the grace of the server, after which it is cancelled for good.  A block that
    finished before it noticed is left alone, and the request is cancelled right behind it.
    """

    __slots__ = ()
    defers = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        swallowed = super().__exit__(kind, error, traceback)
        del error, traceback
        self._raise_if_caught()
        return swallowed


class Shielded(Block):
    """See `Lifetime.shielded`.

    Nothing cancels the block while it lasts, but it may go on for at most `timeout` seconds once the request has been
    cancelled, or has failed in another task.  Then the block is cancelled, and never left as if it had ended.
    """

    __slots__ = ("_entered", "_timeout")

    def __init__(self, lifetime: Lifetime, timeout: float) -> None:
        super().__init__(lifetime)
        self._timeout = timeout
        self._entered = trio.current_time()
        self.scope.shield = True

    def arrange(self, cut: float, failed_at: float, reason: CancelReason | None) -> None:
        """It has its whole time also if the request was cancelled before: cleaning up is what it is for."""
        ending = max(min(cut, failed_at), self._entered)
        self.scope.deadline = min(ending + self._timeout, self._lifetime.latest)

    def __enter__(self) -> None:
        self._entered = trio.current_time()
        super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        # A block that was cut short goes on raising Cancelled if the request's own scope is there to catch it.
        self.scope.shield = False
        swallowed = super().__exit__(kind, error, traceback)
        del error, traceback
        self._raise_if_caught()
        return swallowed

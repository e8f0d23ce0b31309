"""What the exceptions that leave a cancelled request tell to those outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ..errors import CancelReason, RequestCancelled
from .why import WHY

__all__ = ["annotate", "raise_judged", "without_request_cancelled"]


def without_request_cancelled(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What is left of a group without the `RequestCancelled` that several children may have met; if nothing is, one."""
    met, rest = group.split(RequestCancelled)
    if met is None:
        return group
    if rest is not None:
        return rest
    first: BaseException = met
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def annotate(error: BaseException, during: CancelReason | None) -> None:
    """Note on a real error in which cancellation it was raised, if in one."""
    if during is not None and isinstance(error, Exception | BaseExceptionGroup):
        note = f"raised while the request was being cancelled: {WHY[during]}"
        if note not in getattr(error, "__notes__", ()):  # it may be one object that is raised again and again
            error.add_note(note)


def raise_judged(
    error: BaseException, during: CancelReason | None, settle: Callable[[CancelReason], CancelReason]
) -> NoReturn:
    """Raise `error`, that has left the scope of a request, as those outside are to see it.

    Parameters:
      during: the cancellation in which it was raised, if in one.
      settle: told a reason, gives the one that holds.
    """
    judged = error
    try:
        if isinstance(error, BaseExceptionGroup):
            judged = without_request_cancelled(error)
        if not isinstance(judged, RequestCancelled):
            annotate(judged, during)
        # Raised by an operation that found the peer gone, or let through from a `cancellable` block.
        elif (reason := settle(judged.reason)) != judged.reason or judged is not error:
            judged = RequestCancelled(reason)
        if judged is error:
            raise error
        raise judged from (error if isinstance(error, RequestCancelled) else None)
    finally:
        del error, judged  # their tracebacks hold this frame

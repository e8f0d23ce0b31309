"""What the exceptions that leave a cancelled request tell to those outside."""

from __future__ import annotations

from ..errors import CancelReason, RequestCancelled
from .why import WHY

__all__ = ["annotate", "without_request_cancelled"]


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

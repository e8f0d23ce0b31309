"""What of an error may be contained - logged, and survived - and what has to go on: cancellation, the program's end."""

from __future__ import annotations

__all__ = ["split_fatal"]


def split_fatal(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """What of `error`, which may be a group of both, is an `Exception`; and what is not."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Exception)
    return (error, None) if isinstance(error, Exception) else (None, error)

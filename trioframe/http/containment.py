"""What of an error may be contained - logged, and survived - and what has to go on: cancellation, the program's end."""

from __future__ import annotations

import logging

__all__ = ["contain", "split_fatal"]


def split_fatal(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """What of `error`, which may be a group of both, is an `Exception`; and what is not."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Exception)
    return (error, None) if isinstance(error, Exception) else (None, error)


def contain(error: BaseException, logger: logging.Logger, message: str, *args: object) -> None:
    """Log what of `error` may be contained, under `message` % `args`, and raise what may not."""
    contained, fatal = split_fatal(error)
    if contained is not None:
        logger.error(message, *args, exc_info=contained)
    if fatal is not None:
        raise fatal

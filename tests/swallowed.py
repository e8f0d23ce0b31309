"""An assertion that fails in a handler fails its test.

A server answers for what its handlers raise, logs it, and goes on; the test would see nothing of it.  A name that is
not there is a mistake of the test just as well: nobody raises a NameError to see what comes of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_failure_is_swallowed"]

_Failure = AssertionError | NameError


class _Failed(logging.Handler):
    """Remembers the failures that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[_Failure] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None:
            self.errors.extend(_failures_in(record.exc_info[1]))


def _failures_in(error: BaseException | None) -> Iterator[_Failure]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _failures_in(member)
    elif isinstance(error, _Failure):
        yield error


@contextmanager
def no_failure_is_swallowed(logger: logging.Logger) -> Iterator[None]:
    """Raise, at the end of the block, the first failure that was logged within; one of the block itself comes first."""
    failed = _Failed()
    logger.addHandler(failed)
    try:
        yield
    finally:
        logger.removeHandler(failed)
    if failed.errors:
        raise failed.errors[0]

"""Hears what the server logs as an error, on behalf of one test.

A server contains what its handlers raise: the client gets a 500, the exception goes to the log.  A test wants it back.

Rules of this file:

* Only what is logged by tasks that were started through `run` is heard, so tests and clients do not hear each other.
* Nothing is kept from the loggers that are configured.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

__all__ = ["ErrorLog"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_listening: contextvars.ContextVar[ErrorLog | None] = contextvars.ContextVar("error log", default=None)


class ErrorLog(logging.Handler):
    """Keeps what trioframe logs at level ERROR or above, while entered.

    Attributes:
      records: what was logged and not yet taken.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> Self:
        logging.getLogger("trioframe").addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        logging.getLogger("trioframe").removeHandler(self)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """What is started within, and whatever that starts, is heard."""
        token = _listening.set(self)
        try:
            yield
        finally:
            _listening.reset(token)

    def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call `function(*args)`; what it starts, and whatever that starts, is heard."""
        with self.listening():
            return function(*args)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if _listening.get() is self:
            self.records.append(record)

    def take(self) -> BaseException | None:
        """The exception that was logged, a group if there were several, None if there was none; forgets them."""
        errors = [record.exc_info[1] for record in self.records if record.exc_info and record.exc_info[1]]
        self.records.clear()
        if len(errors) > 1:
            return BaseExceptionGroup("the server logged several errors", errors)
        return errors[0] if errors else None

"""The one way of exceptions that nobody has handled: to the log, and to whoever wants to hear of them.

Rules of this file:

* Each exception is reported once, however many it passes on its way up.  The exception itself carries the mark, so
  nothing is held longer than it lives.  The mark says for which request: an exception that is made once and raised
  again and again is news for each of them.
* The log comes first: it does not wait, so a cancellation cannot keep anything from it.
* Whoever hears of an exception may fail as well.  That is logged and goes no further; and what fails while somebody is
  being told, in the tasks he starts too, is not told to him again: it would go round for ever.
* What is no `Exception` - a cancellation, the program's end - is nobody's to report: it goes on.

It must not know how receivers are called, nor requests beyond their `repr`.
"""

from __future__ import annotations

import contextvars
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from ..http.containment import split_fatal
from .calling import call

__all__ = ["Reporter"]

logger = logging.getLogger("trioframe.app")

Hook = Callable[..., Awaitable[object] | None]

_MARK: Final = "_trioframe_reported"
_telling: contextvars.ContextVar[bool] = contextvars.ContextVar("telling of an exception", default=False)


class Reporter:
    """Reports what the tasks, requests and receivers of an app raise.

    Parameters:
      app: given to the hook.

    Attributes:
      hook: called with ``app=``, ``exception=`` and ``request=``, async or not; None while nobody wants to hear.
    """

    def __init__(self, app: object, hook: Hook | None = None) -> None:
        self.hook = hook
        self._app = app

    async def report(self, exception: BaseException, request: object = None) -> None:
        """Log `exception`, and tell the hook.  Does nothing if that has been done - for this request, if there is one.

        Of a group with cancellations in it, the errors are reported and the rest is raised.

        Parameters:
          exception: what was caught.
          request: which it concerns, and can be weakly referenced; None if it was raised by the current task for no
            request.

        Raises:
          BaseException: what of `exception` is no `Exception`.

        If cancelled, it has been logged; of those who hear of it, some may not have been told.
        """
        error, fatal = split_fatal(exception)
        try:
            if error is not None and _is_news(error, request):
                _log(error, trio.lowlevel.current_task().name if request is None else request)
                await self._tell(error, request)
        finally:
            try:
                if fatal is not None:
                    raise fatal from None
            finally:
                del exception, error, fatal  # their tracebacks hold this frame

    async def _tell(self, error: Exception, request: object) -> None:
        if self.hook is None or _telling.get():
            return
        token = _telling.set(True)
        try:
            await call(self.hook, app=self._app, exception=error, request=request)
        except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - logged; what is no Exception is raised again
            _contain(exc)
        finally:
            _telling.reset(token)


def _contain(error: Exception | BaseExceptionGroup[BaseException]) -> None:
    """Log what the hook has raised; let only what is nobody's error go on."""
    failure, fatal = split_fatal(error)
    if failure is not None and _is_news(failure, None):
        _log(failure, "a receiver of server.exception.report")
    if fatal is not None:
        raise fatal from None


def _is_news(error: Exception, request: object) -> bool:
    """Mark `error` as reported for `request`; whether it was not yet."""
    seen = error.__dict__.get(_MARK)
    if seen is not None and (request is None or seen() is request):
        return False
    # by way of its dictionary: an exception may be a frozen dataclass; weakly: it may outlive its requests by far
    error.__dict__[_MARK] = _nothing if request is None else weakref.ref(request)
    return True


def _nothing() -> None:
    """What a weak reference to no request would give."""


def _log(error: Exception, who: object) -> None:
    logger.error("%s failed", who, exc_info=error)

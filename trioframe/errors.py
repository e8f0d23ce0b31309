"""Everything trioframe raises on purpose, told apart by whose fault it is.

Rules of this file:

* It imports nothing of trioframe, so every room may import it.
* An `HTTPError` is an *answer* an application chooses to give.
* A `RemoteProtocolError` is the peer's fault and carries the status to answer.
* A `LocalProtocolError` is the application's fault and never reaches the peer in words.
* `RequestCancelled` is nobody's fault: the request ended early.  It is an ordinary `Exception`, raised only *outside*
  the cancelled code (inside it there is `trio.Cancelled`), and never a subclass of the others.
* A `CompileError` holds *all* the mistakes found in an application, each with the user's file and line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Literal

__all__ = [
    "BadRequest",
    "CancelReason",
    "CompileError",
    "ConfigError",
    "ExpectationFailed",
    "Forbidden",
    "HTTPError",
    "LocalProtocolError",
    "MethodNotAllowed",
    "Mistake",
    "NotFound",
    "PayloadTooLarge",
    "RangeNotSatisfiable",
    "RemoteProtocolError",
    "RequestCancelled",
    "RequestTimeout",
    "ServerError",
    "ServiceUnavailable",
    "TrioframeError",
    "Unauthorized",
    "WebSocketClosed",
    "reason_phrase",
]

CancelReason = Literal["disconnect", "timeout", "shutdown", "reset", "application"]


# Python 3.11 and 3.12 still have the phrases of RFC 7231.
_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_phrase(status: int) -> str:
    """The standard reason phrase of `status`, or "Unknown" (RFC 9110 section 15)."""
    if status in _RENAMED:
        return _RENAMED[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class TrioframeError(Exception):
    """Base of every error that trioframe defines."""


class HTTPError(TrioframeError):
    """An answer with an error status, raised from a handler.

    Parameters:
      status: the response status, 400 to 599.
      message: what the client is told; the standard phrase of the status when left out.
      headers: extra response headers, for example ``{"Retry-After": "3"}``.
      quiet: True keeps it out of the error log.  By default only statuses of 500 and above are logged.
      context: facts the client may see in any mode.
      extra: facts shown in debug mode only.
    """

    status: int = 500
    quiet: bool

    def __init__(
        self,
        status: int | None = None,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        quiet: bool | None = None,
        context: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if status is not None:
            self.status = status
        self.message = reason_phrase(self.status) if message is None else message
        self.headers: dict[str, str] = dict(headers or {})
        self.quiet = self.status < 500 if quiet is None else quiet
        self.context: dict[str, Any] = dict(context or {})
        self.extra: dict[str, Any] = dict(extra or {})
        super().__init__(self.message)


class _FixedStatus(HTTPError):
    """An `HTTPError` whose status is known by its class, so that the message comes first."""

    _status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        quiet: bool | None = None,
        context: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(self._status, message, headers=headers, quiet=quiet, context=context, extra=extra)

    def __init_subclass__(cls) -> None:
        cls.status = cls._status


class BadRequest(_FixedStatus):
    """400: the request cannot be understood."""

    _status = 400


class Unauthorized(_FixedStatus):
    """401: credentials are needed.

    Give ``headers={"WWW-Authenticate": ...}``, which RFC 9110 section 11.6.1 asks for.
    """

    _status = 401


class Forbidden(_FixedStatus):
    """403: understood, and refused."""

    _status = 403


class NotFound(_FixedStatus):
    """404: nothing lives at this path."""

    _status = 404


class MethodNotAllowed(_FixedStatus):
    """405: the path exists, this method does not.

    Parameters:
      allowed: the methods that would be answered; they become the Allow header (RFC 9110 section 15.5.6).
    """

    _status = 405

    def __init__(
        self,
        message: str | None = None,
        *,
        allowed: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        quiet: bool | None = None,
        context: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.allowed = tuple(allowed)
        merged = {"Allow": ", ".join(self.allowed), **(headers or {})} if allowed else dict(headers or {})
        super().__init__(message, headers=merged, quiet=quiet, context=context, extra=extra)


class RequestTimeout(_FixedStatus):
    """408: the client did not send its request, or its body, in time."""

    _status = 408


class PayloadTooLarge(_FixedStatus):
    """413: the body is, or says it will be, larger than the limit."""

    _status = 413


class RangeNotSatisfiable(_FixedStatus):
    """416: no part of the asked range exists."""

    _status = 416


class ExpectationFailed(_FixedStatus):
    """417: an expectation other than 100-continue."""

    _status = 417


class ServerError(_FixedStatus):
    """500: the fault is ours."""

    _status = 500


class ServiceUnavailable(_FixedStatus):
    """503: not now."""

    _status = 503


class RequestCancelled(TrioframeError):
    """The request ended before its handler did.

    Seen by whatever stands *around* the handler: middleware, ``@app.exception(RequestCancelled)``, signals, and the end
    of a ``with request.cancellable():`` block.  Inside the handler, cancellation is Trio's own.

    Parameters:
      reason: "disconnect" (the client left), "timeout" (a deadline passed), "shutdown" (the server stops), "reset" (the
        client took back this one stream) or "application" (`request.cancel()`).
    """

    def __init__(self, reason: CancelReason) -> None:
        super().__init__(reason)
        self.reason: CancelReason = reason

    @property
    def status(self) -> int:
        """What the access log says: 499 when the client took the request back, otherwise 503."""
        return 499 if self.reason in ("disconnect", "reset") else 503


class WebSocketClosed(TrioframeError):
    """The WebSocket has ended, or one of the two sides has closed; raised by its operations.

    It is also what a channel would raise: `trio.EndOfChannel` by receiving behind a clean close, else
    `trio.BrokenResourceError`; and `trio.ClosedResourceError` if the handler itself has closed.

    Parameters:
      code: that of the first close frame, ours or the peer's (RFC 6455 section 7.4); 1005 if it had none, 1006 if there
        was no such frame.
      reason: the words in it, at most 123 bytes of UTF-8.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        told = reason or {1005: "a close without a code", 1006: "no close came"}.get(code, "")
        super().__init__(f"the WebSocket has ended with {int(code)}{told and f': {told}'}")
        self.code = code
        self.reason = reason


class LocalProtocolError(TrioframeError):
    """The application asked for something the protocol cannot say; nothing wrong was sent."""


class RemoteProtocolError(TrioframeError):
    """The peer broke the protocol or a limit.

    Parameters:
      message: one line for the log and the client; never echoes more than the peer's own short token.
      status: the status to answer before closing, 400 if nothing fits better.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ConfigError(TrioframeError):
    """A configuration value is wrong; the message names the key, the value and what is allowed."""


class Mistake(TrioframeError):
    """One mistake found while compiling an application.

    Parameters:
      message: what is wrong and what to do about it.
      place: "path/to/file.py:12" of the user's code, or None where there is no such place.
    """

    def __init__(self, message: str, place: str | None = None) -> None:
        super().__init__(message if place is None else f"{place}: {message}")
        self.message = message
        self.place = place


class CompileError(TrioframeError, ExceptionGroup[Mistake]):
    """All the mistakes of an application, found before it serves.

    It is an exception group of `Mistake`: `exceptions` has them one by one and `str()` lists them all.
    """

    def __new__(cls, message: str, mistakes: Sequence[Mistake]) -> CompileError:
        return super().__new__(cls, message, mistakes)

    def __init__(self, message: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(message, mistakes)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {mistake}" for mistake in self.exceptions)])

    def derive(self, excs: Sequence[Exception]) -> ExceptionGroup[Exception]:  # type: ignore[override]
        """A part of this group, as `split` and `subgroup` need it."""
        return ExceptionGroup(self.message, excs)

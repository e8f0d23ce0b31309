"""What a client sees of an exception: an error page as HTML, JSON or text.

Rules of this file:

* A stranger learns what the application chose to say: message and context of an `HTTPError`.  Of anything else he
  learns that it happened.  Tracebacks, `extra` and the request are for debug mode.
* Whatever is shown has been through `safe_text` and is escaped by the format that shows it: a page is bounded,
  harmless, and there even if the exception cannot be asked for its text.
* The route's `error_format` decides on the format, otherwise what the client accepts; FALLBACK_ERROR_FORMAT where that
  leaves a choice.

It must not know who answers, nor whether the exception is logged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..config import ErrorFormat
from ..errors import HTTPError, RemoteProtocolError, RequestCancelled, reason_phrase
from .response import HTML, JSON, TEXT, WITHOUT_CONTENT, Response
from .safe_text import Plain, clip, describe, in_words, plain

if TYPE_CHECKING:
    from .exception_tree import ExceptionFacts, Frame
    from .request import Request

__all__ = ["ErrorPage", "render_error"]


class ErrorPage(NamedTuple):
    """What a page says, in any format.

    Attributes:
      title: the standard phrase of the status.
      message: a sentence for the client.
      context: facts for the client.
      request_line: method and target; "" except in debug mode, as is all that follows.
      extra: facts for the developer.
      exception: what happened.
    """

    status: int
    title: str
    message: str
    context: Mapping[str, Plain]
    request_line: str = ""
    extra: Mapping[str, Plain] | None = None
    exception: ExceptionFacts | None = None


def render_error(
    exception: BaseException,
    *,
    request: Request,
    status: int | None = None,
    fallback: ErrorFormat = "auto",
    debug: bool = False,
) -> Response:
    """The error page for `exception`.

    Parameters:
      request: what could not be answered otherwise; asked for Accept, the route's `error_format`, method and target.
      status: 500 by default, unless `exception` has one.
      fallback: the format where neither route nor client decides; "auto" is text.
      debug: whether the developer is looking.

    Raises:
      LocalProtocolError: the status or a header of an `HTTPError` cannot be sent.
    """
    headers = exception.headers if isinstance(exception, HTTPError) else None
    if status is None:
        status = _status(exception)
    if status in WITHOUT_CONTENT:
        return Response(b"", status, headers)
    wanted = request.route.error_format if request.route is not None else None
    format_ = wanted if wanted not in (None, "auto") else _negotiate(request, fallback)
    content_type, render = _FORMATS[format_]
    body = render(_page(exception, status, request, debug=debug))
    response = Response(body.encode(), status, headers)
    response.headers["content-type"] = content_type  # also over the exception's own: it is our body
    if format_ != wanted:
        response.headers.add("vary", "accept")  # RFC 9110 section 12.5.5
    return response


def _status(exception: BaseException) -> int:
    if isinstance(exception, HTTPError | RemoteProtocolError):
        return exception.status
    return 503 if isinstance(exception, RequestCancelled) else 500


def _page(exception: BaseException, status: int, request: Request, *, debug: bool) -> ErrorPage:
    known = exception if isinstance(exception, HTTPError) else None
    page = ErrorPage(
        status=status,
        title=reason_phrase(status),
        message=_generic(status) if known is None else describe(known.message),
        context={} if known is None else _facts(known.context),
    )
    if not debug:
        return page
    from .exception_tree import examine  # noqa: PLC0415 - only for developers, and it has to find out where Python is

    return page._replace(
        request_line=clip(f"{request.method} {request.target.decode('latin-1')}", 1000),
        extra={} if known is None else _facts(known.extra),
        exception=examine(exception),
    )


def _generic(status: int) -> str:
    return "The request could not be understood." if status < 500 else "The server could not answer this request."


def _facts(facts: Mapping[str, object]) -> Mapping[str, Plain]:
    shown = plain(facts)
    return shown if isinstance(shown, dict) else {"": shown}


# --- which format -----------------------------------------------------------------------------------------------------


def _negotiate(request: Request, fallback: ErrorFormat) -> str:
    """The format the client likes best; among equals, and if it likes none, `fallback`."""
    first = "text" if fallback == "auto" else fallback
    offers = {_FORMATS[format_][0].partition(";")[0]: format_ for format_ in (first, *_FORMATS)}
    liked = request.accept.match(*offers)
    return first if liked is None else offers[liked]


# --- HTML -------------------------------------------------------------------------------------------------------------


def _render_html(page: ErrorPage) -> str:
    from .errorpage_html import render_html  # noqa: PLC0415 - few programs show pages; `html` has every name of HTML 5

    return render_html(page)


# --- JSON -------------------------------------------------------------------------------------------------------------


def _render_json(page: ErrorPage) -> str:
    shown: dict[str, object] = {"description": page.title, "status": page.status, "message": page.message}
    if page.context:
        shown["context"] = page.context
    if page.exception is not None:
        shown["request"] = page.request_line
        shown["extra"] = page.extra
        shown["exception"] = _exception_as_json(page.exception)
    return json.dumps(shown)


def _exception_as_json(facts: ExceptionFacts) -> dict[str, object]:
    shown: dict[str, object] = {
        "type": facts.type,
        "message": facts.message,
        "notes": facts.notes,
        "frames": [
            {"file": frame.file, "line": frame.line, "name": frame.name, "src": frame.source} for frame in facts.frames
        ],
    }
    if facts.frames_omitted:
        shown["frames_omitted"] = facts.frames_omitted
    if facts.cause is not None:
        shown["cause" if facts.cause_is_explicit else "context"] = _exception_as_json(facts.cause)
    if facts.cause_omitted:
        shown["cause_omitted"] = True
    if facts.exceptions:
        shown["exceptions"] = [_exception_as_json(member) for member in facts.exceptions]
    if facts.exceptions_omitted:
        shown["exceptions_omitted"] = facts.exceptions_omitted
    return shown


# --- text -------------------------------------------------------------------------------------------------------------


def _render_text(page: ErrorPage) -> str:
    return "".join(f"{line}\n" for line in _text_lines(page))


def _text_lines(page: ErrorPage) -> Iterator[str]:
    yield f"{page.status} {page.title}"
    if page.message != page.title:
        yield from ("", page.message)
    yield from _facts_as_text(page.context)
    if page.exception is not None:
        yield from ("", page.request_line)
        yield from _facts_as_text(page.extra or {})
        yield ""
        yield from _exception_as_text(page.exception)


def _facts_as_text(facts: Mapping[str, Plain]) -> Iterator[str]:
    if facts:
        yield ""
    for name, value in facts.items():
        yield f"{name}: {in_words(value)}"


def _exception_as_text(facts: ExceptionFacts) -> Iterator[str]:
    """Indented, as the tree is; calls as Python writes them, so that editors recognise them."""
    from .exception_tree import OLDEST_FRAMES  # noqa: PLC0415 - it has been imported to examine the exception

    yield from f"{facts.type}: {facts.message}".split("\n")
    for note in facts.notes:
        yield from _indent(note.split("\n"))
    for index, frame in enumerate(facts.frames):
        if facts.frames_omitted and index == OLDEST_FRAMES:
            yield f"  ... {facts.frames_omitted} more calls ..."
        yield from _frame_as_text(frame)
    if facts.exceptions:
        yield "which holds"
    for member in facts.exceptions:
        yield from _indent(_exception_as_text(member))
    if facts.exceptions_omitted:
        yield f"  ... and {facts.exceptions_omitted} more"
    if facts.cause is not None:
        yield "caused by" if facts.cause_is_explicit else "raised while handling"
        yield from _indent(_exception_as_text(facts.cause))
    if facts.cause_omitted:
        yield "caused by others that are not shown"


def _frame_as_text(frame: Frame) -> Iterator[str]:
    yield f'  File "{frame.file}", line {frame.line}, in {frame.name}'
    if frame.source:
        yield f"    {frame.source}"


def _indent(lines: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


_FORMATS: dict[str, tuple[str, Callable[[ErrorPage], str]]] = {
    "html": (HTML, _render_html),
    "json": (JSON, _render_json),
    "text": (TEXT, _render_text),
}

"""The fast lane of responses: writes a plain head without composing it line by line.

Most responses are plain: a whole body, field lines that have nothing to do with framing, and a connection that goes on.
Of their heads only a few things change: a length, once in a second the date, and perhaps a field.  The rest is composed
once, by `response_head`, and kept: what says nothing but a type as a whole, others up to their values.

Rules of this file:

* `response_head.compose_final` is the law, and what is kept is what it wrote.  So the lane cannot say anything else; it
  must only know which responses are plain.  Differential tests hold that.
* What is kept is small and holds nothing of anybody: a status, a content type, the names of fields, and no other value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from .date import http_date
from .events import RequestHead
from .fields import Fields, has_controls
from .response_head import OURS, compose_final

__all__ = ["plain_response"]


def plain_response(
    status: int, headers: Fields, body: bytes, request: RequestHead, clock: Callable[[], float]
) -> bytes | None:
    """A whole response behind which the connection goes on; None if it is not plain.

    Parameters:
      clock: gives the time in seconds since the epoch.

    Raises `LocalProtocolError` for a head HTTP cannot say.
    """
    if type(headers) is not tuple or request.method == "HEAD" or request.version != "1.1":
        return None
    start = (_start(status, headers) if len(headers) <= 1 else None) or _start_of_lines(status, headers)
    return None if start is None else b"%b%d%b%b" % (start, len(body), _end(int(clock())), body)


# A request as plain as its response; what else it asks makes no difference.
_REQUEST: Final = RequestHead("GET", b"/", b"/", b"", b"", (), "1.1", 0, False, b"")


@lru_cache(maxsize=256)
def _start(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """What stands before the number of bytes; None where there is none, or where something else is said than a type."""
    if status in (204, 304) or any(name != b"content-type" for name, _ in headers):
        return None
    return _compose(status, headers)


def _compose(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    head = compose_final(status, headers, request=_REQUEST, length=0, close=False, date=b"")
    return head.data.removesuffix(b"0\r\nDate: \r\n\r\n")


def _start_of_lines(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """The same, put together line by line; None where one is not plain."""
    if status in (204, 304):
        return None
    lines = [_status_line(status)]
    for name, value in headers:
        if name == b"content-type":
            lines.append(_type_line(value))
            continue
        beginning = _beginning(name)
        if beginning is None or has_controls(value):  # the law says what is wrong
            return None
        lines += (beginning, value, b"\r\n")
    lines.append(_LENGTH)
    return b"".join(lines)


@lru_cache(maxsize=256)
def _status_line(status: int) -> bytes:
    return _compose(status, ()).removesuffix(_LENGTH)


@lru_cache(maxsize=256)
def _type_line(content_type: bytes) -> bytes:
    return _compose(200, ((b"content-type", content_type),))[len(_status_line(200)) : -len(_LENGTH)]


@lru_cache(maxsize=256)
def _beginning(name: bytes) -> bytes | None:
    """What stands before a value; None for the fields that framing has a say in."""
    if name.lower() in OURS:
        return None
    return _compose(200, ((name, b""),))[len(_status_line(200)) : -len(b"\r\n" + _LENGTH)]


_LENGTH: Final = b"Content-Length: "


@lru_cache(maxsize=2)
def _end(second: int) -> bytes:
    """What stands behind it."""
    return b"\r\nDate: %b\r\n\r\n" % http_date(second)

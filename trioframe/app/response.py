"""What a handler answers: a `Response` is a value, made whole or streamed by the dispatcher.

Rules of this file:

* It does no I/O.  A body is octets, or anything with ``__aiter__`` that gives them piece by piece.
* What HTTP cannot say is refused when the response is made or changed, in the line of the user's code that does it.
* The commonest responses cost nothing beyond their body: a content type alone is encoded once and shared, and a mapping
  of headers is made when somebody wants one.

It must not know requests, exchanges or who sends it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Unpack
from urllib.parse import quote

from ..errors import LocalProtocolError
from ..http.cookies import CookieAttributes, cookie_identity, render_cookie
from ..http.events import RawHeaders
from ..http.headers import HeaderInput, MutableHeaders
from .json_text import write_json

__all__ = ["Body", "Dumps", "Octets", "Response", "default_dumps", "empty", "html", "json", "raw", "redirect", "text"]

Octets = bytes | bytearray | memoryview
Body = bytes | AsyncIterable[bytes | str]
Dumps = Callable[[Any], str | bytes]

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
OCTETS = "application/octet-stream"

# Statuses whose responses have no content (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5)
WITHOUT_CONTENT = frozenset({204, 205, 304})

default_dumps: ContextVar[Dumps] = ContextVar("default_dumps", default=write_json)
"""What `json` uses.  Whoever serves an app with its own `dumps` sets it in the task from which the requests descend."""


class Response:
    """An answer.

    Parameters:
      body: octets; text, sent as UTF-8; or an asynchronous iterable of either, such as the receiving end of a Trio
        channel, which is streamed.
      status: 200 to 599.
      headers: further header fields; a Content-Type among them goes before `content_type`.
      content_type: of the body.  By default text/plain for text, application/octet-stream for anything else, and none
        for no body at all.  A text type of a body given as text gets ``charset=utf-8``.

    Raises:
      LocalProtocolError: a status or a header that HTTP cannot say.
      TypeError: a body of another type.
    """

    __slots__ = ("_body", "_headers", "_only_headers", "_status")

    def __init__(
        self,
        body: Body | Octets | str = b"",
        status: int = 200,
        headers: HeaderInput | None = None,
        content_type: str | None = None,
    ) -> None:
        if not 200 <= status <= 599:
            raise _no_final_status(status)
        self._status = status
        if isinstance(body, str):
            self._body: Body = body.encode()
            self._only_headers = _text_line(content_type)
        else:
            self._body = body if type(body) is bytes else _as_body(body)
            self._only_headers = _line(OCTETS if content_type is None and body != b"" else content_type)
        self._headers: MutableHeaders | None = None
        if headers is not None:
            self._headers = MutableHeaders(headers)
            for name, value in self._only_headers:
                self._headers.setdefault(name.decode("ascii"), value.decode("latin-1"))

    @property
    def body(self) -> Body:
        """Octets, or what gives them piece by piece."""
        return self._body

    @body.setter
    def body(self, body: Body | Octets | str) -> None:
        self._body = body if type(body) is bytes else _as_body(body)

    @property
    def status(self) -> int:
        """The status code, 200 to 599."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not 200 <= status <= 599:
            raise _no_final_status(status)
        self._status = status

    @property
    def headers(self) -> MutableHeaders:
        """The header fields, Content-Type included; change them as you like."""
        if self._headers is None:
            self._headers = MutableHeaders.of_valid(self._only_headers)
        return self._headers

    @property
    def content_type(self) -> str | None:
        """What Content-Type says."""
        return self.headers.get("content-type")

    def parts(self) -> tuple[int, RawHeaders, Body]:
        """Status, header fields and body, for whoever sends it."""
        return self._status, self._only_headers if self._headers is None else self._headers.raw, self._body

    def raw_headers(self) -> RawHeaders:
        """The header fields for the wire."""
        return self._only_headers if self._headers is None else self._headers.raw

    def add_cookie(self, name: str, value: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Let the browser keep a cookie; see `render_cookie` for the attributes and what is refused.

        One of the same name, domain and path that this response sets already is replaced.
        """
        cookie = render_cookie(name, value, **attributes)
        # RFC 6265 section 4.1.1: no two Set-Cookie of the same name; those that differ otherwise are two cookies.
        headers, identity = self.headers, cookie_identity(cookie)
        others = [line for line in headers.getall("set-cookie") if cookie_identity(line) != identity]
        headers.remove("set-cookie")
        for line in (*others, cookie):
            headers.add("set-cookie", line)

    def delete_cookie(self, name: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Let the browser forget a cookie; path, domain and prefix have to be those it was set with."""
        attributes["max_age"] = 0  # RFC 6265 section 5.2.2; it goes before Expires
        self.add_cookie(name, "", **attributes)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.content_type or 'without content type'}>"


def text(body: str, status: int = 200, headers: HeaderInput | None = None, content_type: str = TEXT) -> Response:
    """Plain text, in UTF-8."""
    if not isinstance(body, str):
        raise TypeError(f"text() takes str, not {type(body).__name__}")
    return Response(body, status, headers, content_type)


def html(body: str | bytes, status: int = 200, headers: HeaderInput | None = None) -> Response:
    """A page of HTML; octets are taken to be UTF-8."""
    if not isinstance(body, str | bytes):
        raise TypeError(f"html() takes str or bytes, not {type(body).__name__}")
    return Response(body, status, headers, HTML)


def json(body: Any, status: int = 200, headers: HeaderInput | None = None, *, dumps: Dumps | None = None) -> Response:
    """`body` as JSON.

    Parameters:
      dumps: turns it into text or octets; the app's own by default, or else the standard library's.

    Raises:
      TypeError, ValueError: what `dumps` raises of an object that is no JSON; NaN and infinity are none.
    """
    rendered = (dumps or default_dumps.get())(body)
    return Response(rendered.encode() if isinstance(rendered, str) else rendered, status, headers, JSON)


def raw(body: Octets, status: int = 200, headers: HeaderInput | None = None, content_type: str = OCTETS) -> Response:
    """Octets as they are."""
    if not isinstance(body, Octets):
        raise TypeError(f"raw() takes bytes, not {type(body).__name__}")
    return Response(body, status, headers, content_type)


def empty(status: int = 204, headers: HeaderInput | None = None) -> Response:
    """No content."""
    return Response(b"", status, headers)


# RFC 9110 section 15.4; 304 is no redirect, 305 and 306 are history.
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
_FORBIDDEN_IN_URL = re.compile(r"[\r\n\x00]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def redirect(to: str, status: int = 302, headers: HeaderInput | None = None) -> Response:
    """Sends the client to `to`, a path or a URL.

    What cannot stand in a URL is percent-encoded; what is encoded already is left alone.  302 lets browsers turn a POST
    into a GET, 307 and 308 do not (RFC 9110 section 15.4).

    Whoever lets clients choose `to` has to check where it leads: ``//example.com/`` is another host.

    Raises:
      LocalProtocolError: CR, LF or NUL in `to`, or a status that is no redirect.
    """
    if _FORBIDDEN_IN_URL.search(to):
        raise LocalProtocolError(f"cannot redirect to {to[:80]!r}: a URL has no CR, LF or NUL")
    if status not in _REDIRECTS:
        raise LocalProtocolError(f"{status!r} is no redirect: use {', '.join(map(str, sorted(_REDIRECTS)))}")
    # RFC 3986 section 2: reserved and unreserved characters stand for themselves.
    location = quote(_STRAY_PERCENT.sub("%25", to), safe="%:/?#[]@!$&'()*+,;=~")
    response = Response(b"", status, headers)
    response.headers["location"] = location
    return response


def _no_final_status(status: object) -> LocalProtocolError:
    # RFC 9110 section 15: a final response; interim ones are sent by `request.send_informational`.
    return LocalProtocolError(f"{status!r} is no status of a final response: use 200 to 599")


def _as_body(body: object) -> Body:
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Octets):
        return bytes(body)
    if isinstance(body, AsyncIterable):
        return body
    raise TypeError(
        f"the body of a response is bytes, str or an asynchronous iterable of them, not {type(body).__name__}"
    )


@lru_cache(maxsize=256)
def _line(content_type: str | None) -> RawHeaders:
    """Content-Type as a header section of its own; an empty one for None."""
    return () if content_type is None else MutableHeaders({"content-type": content_type}).raw


@lru_cache(maxsize=256)
def _text_line(content_type: str | None) -> RawHeaders:
    """As `_line`, of what was given as text."""
    if content_type is None:
        return _line(TEXT)
    is_text = content_type[:5].lower() == "text/" and "charset=" not in content_type.lower()
    return _line(f"{content_type}; charset=utf-8" if is_text else content_type)

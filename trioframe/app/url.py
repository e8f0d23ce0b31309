"""URLs: those that are built for a route, and the one that a request has asked for.

Rules of this file:

* What cannot be found again is not built: a value its parameter would not take, or a segment that is "." or "..", which
  clients resolve before they ask.
* Every value is encoded here, once, in all parts of the URL.
* An absolute URL is never guessed: its host is given, or is the only one the route has.
* What leads to a WebSocket begins with ws or wss, whatever begins with http or https elsewhere: clients of WebSockets
  take nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from ..errors import TrioframeError
from ..http.events import RequestHead
from .patterns import Pattern
from .route import Route, Slot

__all__ = ["URLBuildError", "URLBuilder", "asked_url", "encode_query", "quote_segment", "scheme_at"]

# RFC 3986 section 3.3: pchar, without what `quote` leaves alone anyway
_SEGMENT_SAFE = "!$&'()*+,;=:@"

_OF_WEBSOCKETS: Final = {"http": "ws", "https": "wss"}
_OF_PAGES: Final = {websocket: page for page, websocket in _OF_WEBSOCKETS.items()}


class URLBuildError(TrioframeError):
    """There is no URL for what was asked; the message says which route and which parameter."""


def scheme_at(route: Route | None, scheme: str) -> str:
    """The scheme of a URL that leads to `route`, on a server that speaks `scheme`."""
    # A proxy may say wss of a page: then it means https.
    others = _OF_PAGES if route is None or route.websocket is None else _OF_WEBSOCKETS
    return others.get(scheme, scheme)


def asked_url(head: RequestHead, scheme: str, host: str) -> str:
    """What a request asks for, as a URL; without scheme and host if it named no host."""
    path = "" if head.raw_path == b"*" else head.raw_path.decode("latin-1")
    query = f"?{head.query_string.decode('latin-1')}" if head.query_string else ""
    return f"{scheme}://{host}{path}{query}" if host else f"{path}{query}"


def quote_segment(text: str) -> str:
    """`text` as a segment of a path."""
    return quote(text, safe=_SEGMENT_SAFE)


class URLBuilder:
    """The URLs of one route.

    Parameters:
      route: what they lead to.
      segments: the route's, each static text or a parameter and its pattern.
    """

    __slots__ = ("route", "segments")

    def __init__(self, route: Route, segments: Sequence[str | tuple[Slot, Pattern]]) -> None:
        self.route = route
        self.segments = segments

    def path(self, params: dict[str, Any]) -> str:
        """The path for `params`, from which those that stand in it are taken out."""
        parts = [
            quote_segment(segment) if isinstance(segment, str) else self._part(*segment, params)
            for segment in self.segments
        ]
        path = "/" + "/".join(parts) + ("/" if self.route.template.slash and parts else "")
        if path.startswith("//"):
            raise self._error(f"{path!r} would name a host")
        return path

    def server(self, scheme: str, server: str, host: str) -> str:
        """What stands before the path of an absolute URL."""
        mine = self.route.host
        if host and mine and host.lower() not in map(str.lower, mine):
            raise self._error(f"it does not answer at the host {host!r}, only at {', '.join(mine)}")
        given_scheme, _, given = server.rstrip("/").rpartition("://")
        authority = host or (mine[0] if len(mine) == 1 else given)
        if not authority:
            raise self._error("an absolute URL needs _server or _host")
        return f"{scheme or scheme_at(self.route, given_scheme or 'http')}://{authority}"

    def _part(self, slot: Slot, pattern: Pattern, params: dict[str, Any]) -> str:
        values = []
        for parameter in slot.parameters:
            if (value := params.pop(parameter.name, None)) is None:
                raise self._error(f"it needs the parameter {parameter.name!r}")
            values.append(value)
        try:
            text = pattern.build(values[0] if len(values) == 1 else tuple(values))
            parts = [quote_segment(part) for part in text.split("/")] if slot.label == "path" else [quote_segment(text)]
        except ValueError as error:  # UnicodeEncodeError too
            raise self._error(f"the parameter {slot.name!r} does not fit: {error}") from error
        if "." in parts or ".." in parts:
            raise self._error(f"the parameter {slot.name!r} cannot be {text!r}: clients resolve '.' and '..'")
        return "/".join(parts)

    def _error(self, what: str) -> URLBuildError:
        return URLBuildError(f"no URL for {self.route.name!r} ({self.route.path}): {what}")


def encode_query(params: dict[str, Any]) -> str:
    """`params` as a query with its "?", or "".  A list repeats its key; None leaves it out."""
    given = {key: value for key, value in params.items() if value is not None}
    return f"?{urlencode(given, doseq=True)}" if given else ""

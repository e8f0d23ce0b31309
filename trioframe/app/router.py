"""Finds the route of a request and builds the URL of a route; made once, of all routes, by `compile_router`.

Rules of this file:

* A route without hosts that has no parameter, or one as its last segment, is found by the path as it was sent (see
  `shortcuts`); only what is not found so is searched for in the tree, with the same result.
* A path is split at its slashes first, and then each segment is decoded, once: an encoded slash stays in its segment.
  A path that is not UTF-8 once decoded is one that nobody declared: 404.
* Hosts are compared without regard to case, and to the port where the route names none.
* OPTIONS has no route unless one is declared: `MethodNotAllowed` says what to answer.
* A page and a WebSocket may share a path: a GET that asks for a WebSocket has the method `OPENING` here.  Where there
  is no such pair it finds what any GET does.
* All that is wrong with routes is found here, and reported together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from ..errors import MethodNotAllowed, Mistake, NotFound
from .patterns import Pattern, Patterns
from .route import Route, Slot
from .segment_tree import OPENING, Match, Node, Segment, has_shared_end, search
from .shortcuts import static_paths, stems
from .url import URLBuilder, URLBuildError, encode_query

__all__ = ["Match", "Router", "URLBuildError", "compile_router"]


class Router:
    """All routes of an application, compiled.

    Attributes:
      has_shared_path: whether a page and a WebSocket share a path: only then it matters who asks for a WebSocket.
    """

    def __init__(self, root: Node, builders: dict[str, URLBuilder]) -> None:
        self._root = root
        self._builders = builders
        self._any_host = not any(builder.route.host for builder in builders.values())
        self._static = dict(static_paths(root))
        self._stems = dict(stems(root))
        self.has_shared_path = has_shared_end(root)

    def find(self, method: str, raw_path: bytes, host: str = "") -> Match:
        """The route of a request, and the parameters of its handler.

        Parameters:
          method: as sent, or `OPENING`.
          raw_path: the path as sent, still percent-encoded.
          host: the authority the request was sent to, with the port if it has one.

        Raises:
          NotFound: no route has this path.
          MethodNotAllowed: some have, but none answers this method.  Its `allowed` has HEAD where there is GET, and
            always OPTIONS.
        """
        routes = self._static.get(raw_path)
        if routes is not None and (route := routes.get(method)) is not None:
            return Match(route, {})
        last = raw_path.rfind(b"/") + 1
        stem = self._stems.get(raw_path[:last])
        if stem is not None and (match := stem.find(method, raw_path[last:])) is not None:
            return match
        segments = _split(raw_path or b"/")  # RFC 9110 section 4.2.3: no path at all is "/"
        if segments is None:
            raise NotFound
        allowed: set[str] = set()
        match = search(self._root, segments, method, ("",) if self._any_host else _host_keys(host), allowed)
        if match is not None:
            return match
        if not allowed:
            raise NotFound
        also = {"OPTIONS", "HEAD"} if "GET" in allowed else {"OPTIONS"}
        raise MethodNotAllowed(allowed=sorted((allowed | also) - {OPENING}))

    def fixed(self) -> Iterator[tuple[tuple[str, bytes], Route]]:
        """What can be found without a search: the routes without parameters and hosts, by method and path as sent.

        A GET is none of them where a page and a WebSocket share its path.
        """
        for path, routes in self._static.items():
            shared = {"GET", OPENING} if OPENING in routes else ()
            for method, route in routes.items():
                if method not in shared:
                    yield (method, path), route

    def url_for(
        self,
        name: str,
        /,
        *,
        _anchor: str = "",
        _external: bool = False,
        _scheme: str = "",
        _server: str = "",
        _host: str = "",
        **params: Any,
    ) -> str:
        """The URL of the route called `name`.

        Parameters:
          params: by name, those of the path; the others become the query, a list repeats its key, None is left out.
          _anchor: the fragment.
          _external: make the URL absolute.  It then needs a host: `_host`, the route's own if it has just one, or
            `_server`.
          _scheme: of an absolute URL; that of `_server`, or http, by default, and for a WebSocket ws in place of http.
          _server: "example.com" or "https://example.com:8443".
          _host: the host, one of the route's if it has any; makes the URL absolute.

        Raises:
          URLBuildError: there is no such route, a parameter is missing or does not fit, or the host is not known.
        """
        builder = self._builders.get(name)
        if builder is None:
            from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistyped

            near = "".join(f"; did you mean {known!r}?" for known in get_close_matches(name, self._builders, n=1))
            raise URLBuildError(f"there is no route called {name!r}{near}")
        absolute = _external or bool(_host)
        if not absolute and (_scheme or _server):
            raise URLBuildError("_scheme and _server make an absolute URL only together with _external=True")
        start = builder.server(_scheme, _server, _host) if absolute else ""
        path = builder.path(params)
        return f"{start}{path}{encode_query(params)}{'#' if _anchor else ''}{quote(_anchor, safe=_FRAGMENT_SAFE)}"


# RFC 3986 section 3.5: fragment = *( pchar / "/" / "?" )
_FRAGMENT_SAFE = "!$&'()*+,;=:@/?"


def _split(raw_path: bytes) -> list[str] | None:
    try:
        if b"%" in raw_path:
            segments = [unquote_to_bytes(segment).decode() for segment in raw_path.split(b"/")]
        else:
            segments = raw_path.decode().split("/")
    except UnicodeDecodeError:
        return None
    return None if segments[0] else segments


def _host_keys(host: str) -> tuple[str, ...]:
    host = host.lower()
    name = re.sub(r":[0-9]*\Z", "", host)
    return (host, name, "") if name != host else (host, "")


def compile_router(routes: Iterable[Route], patterns: Patterns) -> tuple[Router, list[Mistake]]:
    """The router of `routes`, and all that is wrong with them: if anything is, the router is not to be used."""
    root = Node()
    builders: dict[str, URLBuilder] = {}
    mistakes: list[Mistake] = []
    for route in routes:
        segments, complaints = _resolve(route, patterns)
        complaints += [*_check_methods(route), *_check_hosts(route)]
        if not complaints:
            complaints += _plant(root, route, segments)
        namesake = builders.setdefault(route.name, URLBuilder(route, segments)).route
        if namesake is not route:
            complaints.append(f"the name {route.name!r} is taken{_by(namesake)}; give one of them another with name=")
        mistakes += [Mistake(complaint, route.place) for complaint in complaints]
    return Router(root, builders), mistakes


def _resolve(route: Route, patterns: Patterns) -> tuple[list[Segment], list[str]]:
    """The segments of a route with their patterns, and what is wrong with its URI."""
    complaints = list(route.template.complaints)
    segments: list[Segment] = []
    for segment in route.template.segments:
        try:
            segments.append(segment if isinstance(segment, str) else (segment, _pattern_of(segment, patterns)))
        except Mistake as mistake:
            complaints.append(mistake.message)
    return segments, [f"the URI {route.path!r} is wrong: {complaint}" for complaint in complaints]


def _pattern_of(slot: Slot, patterns: Patterns) -> Pattern:
    if slot.stem:
        return patterns.file(slot.stem, slot.extensions)
    return patterns.typed(slot.label) if slot.label.isidentifier() else patterns.regex(slot.label, slot.name)


def _plant(root: Node, route: Route, segments: list[Segment]) -> Iterator[str]:
    for other, methods in root.plant(route, segments).items():
        yield f"{', '.join(methods)} {route.path} is answered already by {other.name!r}, as {other.path}{_by(other)}"


def _check_methods(route: Route) -> Iterator[str]:
    if not route.methods:
        yield f"the route {route.path} has no methods"
    for method in sorted(route.methods):
        # RFC 9110 section 9.1: method = token, and it is case-sensitive
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Z-]+", method):
            yield f"{method!r} cannot be a method of {route.path}: methods are tokens in upper case, such as GET"


def _check_hosts(route: Route) -> Iterator[str]:
    for host in route.host:
        if not re.fullmatch(r"(?:[^\s/@*:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?", host):
            yield f"{host!r} cannot be a host of {route.path}: write 'example.com' or 'example.com:8000', no wildcards"


def _by(route: Route) -> str:
    return f" ({route.place})" if route.place else ""

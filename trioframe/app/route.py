"""A route as it is declared, and the syntax of its URI.

    /hello                  static text
    /hello/<name>           a parameter: a whole segment, of type str
    /user/<id:int>          a parameter of another type; `trioframe.app.patterns` has them all
    /code/<c:([a-z]{3})>    a regular expression: whatever is no name of a type
    /img/<f:ext=jpg|png>    a file name: gives `f` and `ext`; without = any extension
    /img/<f=int:ext>        the same with a stem of type int
    /files/<p:path>         one or more segments; once per URI

Rules of this file:

* Declaring raises nothing.  What is wrong with a URI is kept in its `Template` until everything is compiled.
* The syntax is independent of which types there are: the parameters' names are known before anything is compiled.
* Static text is what a path says, not how it is written: ``/caf%C3%A9`` and ``/café`` declare the same.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from ..config import ErrorFormat, OnDisconnect

if TYPE_CHECKING:
    from ..ws.deflate_terms import Deflate

__all__ = ["Parameter", "Route", "RouteExtra", "Slot", "Template", "WebSocketOptions", "parse_uri"]

# What `url_for` takes beside the parameters.
RESERVED_NAMES = {"_anchor", "_external", "_host", "_scheme", "_server"}


class Parameter(NamedTuple):
    """What a handler is given by keyword: its name, and the label of its type or the regular expression."""

    name: str
    label: str


class Slot(NamedTuple):
    """A segment that is a parameter, or a file name, which is two.

    Parameters:
      name: of the parameter.
      label: of its type, or a regular expression.
      stem: of a file name, the type of what is before the extension; else "".
      extensions: of a file name, those that are allowed; none means any.
    """

    name: str
    label: str
    stem: str = ""
    extensions: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the segment gives to the handler."""
        if self.stem:
            return Parameter(self.name, self.stem), Parameter("ext", "ext")
        return (Parameter(self.name, self.label),)


class Template(NamedTuple):
    """A URI, read.

    Parameters:
      segments: what stands between the slashes, static text decoded.
      slash: whether the URI ends with a slash.
      complaints: what is wrong with it; then there are no segments.
    """

    segments: tuple[str | Slot, ...] = ()
    slash: bool = False
    complaints: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What its segments give to the handler, from left to right."""
        return tuple(parameter for slot in self.segments if isinstance(slot, Slot) for parameter in slot.parameters)


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """What the route of a WebSocket speaks; see `Declarations.websocket`."""

    subprotocols: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None
    deflate: bool | Deflate | None = False
    max_size: float | None = None
    cancel_on_close: bool = False
    send_only: bool = False


@dataclass
class RouteExtra:
    """Facts that the framework keeps about a route; `Route.ctx` is the user's."""

    websocket: bool = False
    static: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Route:
    """One declaration: which requests, and who answers them.

    Where a setting is None, the configuration decides.

    Parameters:
      uri: where, in the syntax of this module.
      methods: what it answers; HEAD comes with GET.
      name: for `url_for`; unique in the application.
      handler: called with the request and, by keyword, the parameters of the URI.
      host: only these, each with a port or for any; none means every host.
      version: puts ``/v<version>`` before the URI.
      strict_slashes: tell ``/x`` from ``/x/``.
      stream: the body is not read before the handler runs.
      request_max_size: bytes of the body.
      timeout: seconds until the response must begin.
      body_timeout: seconds the body may stand still.
      on_disconnect: what a client that leaves does to the handler.
      error_format: of error pages.
      websocket: what it speaks, if it is the place of a WebSocket.
      ctx: the user's own facts.
      extra: the framework's facts.
      place: "file.py:12" of the declaration.
    """

    uri: str
    methods: frozenset[str]
    name: str
    handler: Callable[..., Any]
    host: tuple[str, ...] = ()
    version: int | float | str | None = None
    strict_slashes: bool = False
    stream: bool = False
    request_max_size: float | None = None
    timeout: float | None = None
    body_timeout: float | None = None
    on_disconnect: OnDisconnect | None = None
    error_format: ErrorFormat | None = None
    websocket: WebSocketOptions | None = None
    ctx: SimpleNamespace = field(default_factory=SimpleNamespace)
    extra: RouteExtra = field(default_factory=RouteExtra)
    place: str | None = None

    @cached_property
    def path(self) -> str:
        """The URI behind its version."""
        return self.uri if self.version is None else f"/v{str(self.version).removeprefix('v')}{self.uri}"

    @cached_property
    def template(self) -> Template:
        """The URI behind its version, read."""
        return parse_uri(self.path if self.uri.startswith("/") else self.uri)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the handler is given by keyword; nothing if the URI is wrong."""
        return self.template.parameters


# A parameter ends at the first ">" that ends a segment; a regular expression may have both "/" and ">" in it.
_SEGMENT = re.compile(r"/(?:<(?P<slot>.*?)>(?=/|\Z)|(?P<static>[^/]*))", re.DOTALL)


def parse_uri(uri: str) -> Template:
    """Read a URI.  What is wrong with it is in the template's `complaints`."""
    if not uri.startswith("/"):
        return Template(complaints=("it must begin with '/'",))
    complaints: list[str] = []
    segments = [_read_segment(match, complaints) for match in _SEGMENT.finditer(uri)]
    slash = segments[-1] == ""
    template = Template(tuple(segments[:-1] if slash else segments), slash)
    complaints += _check_slots(template)
    return Template(complaints=tuple(complaints)) if complaints else template


def _read_segment(match: re.Match[str], complaints: list[str]) -> str | Slot:
    text: str | None = match["static"]
    if text is None:
        return _read_slot(match["slot"], complaints)
    if "<" in text or ">" in text:
        complaints.append(f"{text!r} is neither text nor a parameter: <...> takes a segment from slash to slash")
    if "?" in text or "#" in text:
        complaints.append(f"{text!r} goes beyond the path: there is no query or fragment here; %3F and %23 are ? and #")
    return unquote(text)


def _read_slot(text: str, complaints: list[str]) -> Slot:
    head, colon, label = text.partition(":")
    name, equals, stem = head.partition("=")
    is_file = label == "ext" or label.startswith("ext=")
    extensions = tuple(label[4:].split("|")) if label.startswith("ext=") else ()
    if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED_NAMES:
        complaints.append(f"<{text}> cannot be a parameter: handlers and url_for cannot take it by the name {name!r}")
    if colon and not label:
        complaints.append(f"<{text}> has no type behind ':'")
    if equals and not (stem and is_file):
        complaints.append(f"<{text}>: '=' gives the type of a file's stem, as in <{name}=int:ext>")
    if any(extension.strip(".") != extension or not extension for extension in extensions):
        complaints.append(f"<{text}>: extensions are written without a dot in front, as in <{name}:ext=jpg|tar.gz>")
    return Slot(name, "ext", stem or "str", extensions) if is_file else Slot(name, label or "str")


def _check_slots(template: Template) -> Sequence[str]:
    names = [parameter.name for parameter in template.parameters]
    paths = [slot for slot in template.segments if isinstance(slot, Slot) and slot.label == "path"]
    twice = {name: None for name in names if names.count(name) > 1}
    complaints = [f"there are two parameters {name!r}" for name in twice]
    if len(paths) > 1:
        complaints.append("it has two parameters of type path: nobody could say where the first one ends")
    if template.slash and paths and paths[0] is template.segments[-1]:
        complaints.append("a path at the end takes the last slash too: leave that out")
    return complaints

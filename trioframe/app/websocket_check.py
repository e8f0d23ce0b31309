"""What can be wrong with the declaration of a WebSocket, beside what can be with any route (see `route_check`).

It is imported for apps that have a WebSocket, as others need nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any

from ..config import Config
from ..errors import Mistake
from ..options import SWITCH, Kind
from ..ws.deflate_terms import Deflate
from ..ws.handshake import is_subprotocol, read_origin
from .calling import is_async
from .route import Route, WebSocketOptions
from .route_check import complaints

__all__ = ["check_websocket"]

_OPTIONS: Mapping[str, Kind[Any]] = {
    "max_size": Config.WEBSOCKET_MAX_SIZE.kind,
    "cancel_on_close": SWITCH,
    "send_only": SWITCH,
}


def check_websocket(route: Route, options: WebSocketOptions) -> list[Mistake]:
    """The mistakes in the options of a route that are those of its WebSocket, and in its handler."""
    return [Mistake(what, route.place) for what in _complaints(route, options)]


def _complaints(route: Route, options: WebSocketOptions) -> Iterator[str]:
    handler = route.handler
    if callable(handler) and not (is_async(handler) or isgeneratorfunction(handler) or isasyncgenfunction(handler)):
        yield f"the handler of the WebSocket at {route.uri!r} must be async"
    for complaint in complaints(options, _OPTIONS):
        yield f"the route {route.path} is wrong: {complaint}"
    if not isinstance(options.deflate, bool | Deflate | None):
        yield f"deflate={options.deflate!r} tells nothing about compression: give True, False or a Deflate"
    for name in options.subprotocols:
        if not (isinstance(name, str) and is_subprotocol(name)):
            yield f"{name!r} cannot be a subprotocol: it has to be a token, of letters, digits and some signs"
    for origin in options.origins or ():
        if not (isinstance(origin, str) and read_origin(origin)):
            yield f"{origin!r} is no origin: write scheme://host or scheme://host:port, without a path"

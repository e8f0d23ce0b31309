"""What can be wrong with the options of a route, found before it has a request.

Rules of this file:

* An option that the configuration has too takes what it takes there.
* None is "not set", for each of them.
* What says where and for whom a route is - URI, methods, name and hosts - is judged by the router; what is of a
  WebSocket alone by `websocket_check`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..config import Config
from ..errors import Mistake
from ..options import SWITCH, TEXT, Kind
from .route import Route

__all__ = ["check_options", "complaints"]


def _check_version(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return value
    return TEXT.check(value)


_OPTIONS: Mapping[str, Kind[Any]] = {
    "version": Kind(f"a number from 0, or {TEXT.allowed}", _check_version),
    "strict_slashes": SWITCH,
    "stream": SWITCH,
    "request_max_size": Config.REQUEST_MAX_SIZE.kind,
    "timeout": Config.RESPONSE_TIMEOUT.kind,
    "body_timeout": Config.BODY_TIMEOUT.kind,
    "on_disconnect": Config.ON_DISCONNECT.kind,
    "error_format": Config.FALLBACK_ERROR_FORMAT.kind,
}


def check_options(route: Route) -> list[Mistake]:
    """The mistakes in the options of a route."""
    return [
        Mistake(f"the route {route.path} is wrong: {complaint}", route.place)
        for complaint in complaints(route, _OPTIONS)
    ]


def complaints(declared: object, kinds: Mapping[str, Kind[Any]]) -> Iterator[str]:
    """What of `declared` is not of its kind; None, which is "not set", is of each."""
    for name, kind in kinds.items():
        value = getattr(declared, name)
        if value is not None:
            try:
                kind.check(value)
            except (ValueError, OverflowError):
                yield kind.refusal(name, reprlib.repr(value))

"""What runs for a route, in which order, and where each piece was written: for people, and for programs.

It reads the plan and asks the signals who listens now; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .listeners import Listener
from .place import place_of

if TYPE_CHECKING:
    from .app import App
    from .compile import PlannedRoute

__all__ = ["Step", "server_steps", "steps"]


class Step(NamedTuple):
    """A piece that runs.

    Parameters:
      kind: "signal", "middleware", "around", "handler" or "listener".
      at: when: the name of a signal, a phase, a moment, or what kind of middleware it is.
      function: its name.
      place: "file.py:12"; None if it has none.
    """

    kind: str
    at: str
    function: str
    place: str | None


_ARRIVAL = ("begin", "read_head", "request", "handle")
_ENDS = ("exception", "cancelled", "complete")


def steps(app: App, planned: PlannedRoute) -> list[Step]:
    """What runs for a route, in order."""
    return list(_course(app, planned))


def server_steps(app: App) -> list[Step]:
    """What runs in the life of the server, in order."""
    found = [_step("around", one.phase, one.function) for one in app.arounds if one.phase == "server.lifecycle"]
    for event in ("init.before", "init.after", "shutdown.before", "shutdown.after", "exception.report"):
        found += _receivers(app, f"server.{event}")
    return found


def _course(app: App, planned: PlannedRoute) -> Iterator[Step]:
    chain = planned.chain
    yield from (_step("around", "http.lifecycle", around.function) for around in chain.lifecycle)
    for action in _ARRIVAL:
        yield from _receivers(app, f"http.lifecycle.{action}")
    yield from _receivers(app, "http.routing.before")
    yield from _receivers(app, "http.routing.after")
    yield from _receivers(app, "http.lifecycle.read_body")
    yield from (_step("middleware", "around", middleware.function) for middleware in chain.around)
    yield from _middleware(app, "request", [middleware.function for middleware in chain.request])
    yield from (_step("around", around.phase, around.function) for around in chain.handler)
    yield from _receivers(app, "http.handler.before")
    if planned.route.websocket is None:
        where = "in its lifetime" if planned.call is planned.handler else "in a thread"
        yield _step("handler", where, planned.handler)
        yield from _receivers(app, "http.handler.after")
        yield from _response(app, planned)
    else:
        yield from _websocket(app, planned)
    for action in _ENDS:
        yield from _receivers(app, f"http.lifecycle.{action}")


def _response(app: App, planned: PlannedRoute) -> Iterator[Step]:
    yield from _middleware(app, "response", [middleware.function for middleware in planned.chain.response])
    yield from _receivers(app, "http.lifecycle.response")
    yield from _receivers(app, "http.lifecycle.send")


def _websocket(app: App, planned: PlannedRoute) -> Iterator[Step]:
    yield from _receivers(app, "websocket.handler.before")
    yield _step("handler", "of a WebSocket", planned.handler)
    yield from _response(app, planned)  # the 101, when the handler accepts
    yield from _receivers(app, "websocket.connection.open")
    yield from _receivers(app, "websocket.handler.after")
    yield from _receivers(app, "http.handler.after")
    yield from _receivers(app, "websocket.handler.exception")
    yield from _receivers(app, "websocket.connection.close")


def _middleware(app: App, kind: str, functions: list[Callable[..., Any]]) -> Iterator[Step]:
    if functions:
        yield from _receivers(app, "http.middleware.before", {"attach_to": kind})
        yield from (_step("middleware", kind, function) for function in functions)
        yield from _receivers(app, "http.middleware.after", {"attach_to": kind})


def _receivers(app: App, event: str, condition: Mapping[str, Any] | None = None) -> Iterator[Step]:
    for link, _ in app.signals[event].audience.receivers:
        receiver = link.receiver_for(app, condition)
        if receiver is not None:
            yield _step("signal", event, receiver)


def _step(kind: str, at: str, function: Callable[..., Any]) -> Step:
    if isinstance(function, Listener):
        kind, at, function = "listener", function.moment, function.function
    return Step(kind, at, getattr(function, "__qualname__", None) or repr(function), place_of(function))

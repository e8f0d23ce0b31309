"""Turns an app's declarations into the plan that serves: one pure function, run once.

Rules of this file:

* All mistakes are found in one go and raised together, each with its place.
* The plan is immutable, and says everything that will run for a route: `print(plan)` is readable.
* What is not declared is not in it: a plain route's `endpoint` *is* the user's handler.

It must not know exchanges or requests.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import trio

from ..config import OnDisconnect
from ..errors import CompileError, Mistake
from .calling import is_async
from .middleware import Around, Chain, Middleware, arrange
from .place import place_of
from .reserved import PHASES
from .route import Route
from .route_check import check_options
from .router import Router, compile_router
from .signal_check import check

if TYPE_CHECKING:
    from .app import App
    from .course import Course
    from .request import Request
    from .response import Response

__all__ = ["Plan", "PlannedRoute", "compile_app"]

Endpoint = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """What one route will run.

    Attributes:
      call: awaited with ``(request, **parameters)`` for the handler: the handler itself, if it is async.
      chain: the middleware around it.
      listened: whether somebody listens to what happens to requests.
      request_max_size: bytes a body may have.
      timeout: seconds until the response must begin.
      body_timeout: seconds a body may stall.
    """

    route: Route
    call: Endpoint
    chain: Chain
    listened: Callable[[], bool]
    request_max_size: float
    timeout: float
    body_timeout: float
    on_disconnect: OnDisconnect

    @property
    def uri(self) -> str:
        """The path it answers: as declared, with the version put before it."""
        return self.route.path

    @property
    def methods(self) -> frozenset[str]:
        """The methods it was declared for."""
        return self.route.methods

    @property
    def name(self) -> str:
        """What `url_for` calls it."""
        return self.route.name

    @property
    def asked_by(self) -> str:
        """Who is answered, for people: the methods, or WS for a WebSocket."""
        return ",".join(sorted(self.methods)) if self.route.websocket is None else "WS"

    @property
    def handler(self) -> Callable[..., Any]:
        """What the user declared."""
        return self.route.handler

    @property
    def endpoint(self) -> Endpoint:
        """Awaited with ``(request, **parameters)``: the handler itself, or all that is folded around it."""
        return self._folded if any(self.chain) or self.listened() else self.call

    async def _folded(self, request: Request, **_: Any) -> Response:
        return await cast("Course", request.course).respond()

    def __str__(self) -> str:
        how = "" if self.call is self.handler or self.route.websocket else " (in a thread)"
        return f"{self.asked_by:12} {self.uri:32} {self.name}{how}  {self.route.place or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Plan:
    """An app, compiled.

    Attributes:
      routes: what each route will run, in the order of declaration.
      router: finds the route of a request.
      chain: the middleware of requests without a route.
      exception_handlers: by exception type.
    """

    app_name: str
    routes: tuple[PlannedRoute, ...]
    router: Router
    chain: Chain
    exception_handlers: Mapping[type[BaseException], Callable[..., Any]]

    def __str__(self) -> str:
        lines = [f"app {self.app_name!r}: {len(self.routes)} routes"]
        lines += [f"  {route}" for route in self.routes]
        for middleware in (*self.chain.around, *self.chain.request, *self.chain.response):
            lines.append(f"  {middleware.kind} middleware: {middleware.place}")
        standing = [*self.chain.lifecycle, *self.chain.handler]
        for route in self.routes:  # around the handlers of WebSockets there may be more
            standing += [around for around in route.chain.handler if around not in standing]
        lines += [f"  around {around.phase}: {around.place}" for around in standing]
        lines += [f"  on {type_.__name__}: {place_of(handler)}" for type_, handler in self.exception_handlers.items()]
        return "\n".join(lines)


def compile_app(app: App) -> Plan:
    """The plan of `app`.

    Raises:
      CompileError: every mistake found.
    """
    mistakes: list[Mistake] = []
    for route in app.routes:
        mistakes += _check_handler(route)
        mistakes += check_options(route)
        if route.websocket is not None:
            from .websocket_check import check_websocket  # noqa: PLC0415 - most apps have none

            mistakes += check_websocket(route, route.websocket)
    for middleware in app.declared_middleware:
        mistakes += _check_middleware(middleware)
    for around in app.arounds:
        mistakes += _check_around(around)
    for listener in app.listeners:
        what = f"a listener of {listener.moment}"
        mistakes += _check_arguments(listener.function, ["app"], [], what, listener.place)
    for declared in app.receivers:
        mistakes += check(declared.name, declared.receiver, declared.place)
    handlers = _collect_exception_handlers(app, mistakes)
    router, conflicts = compile_router(app.routes, app.patterns)
    mistakes += conflicts
    if mistakes:
        raise CompileError(f"app {app.name!r} has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}", mistakes)
    chain = arrange(app.declared_middleware, app.arounds)
    for_websockets = chain.with_handler_phase("websocket.handler", app.arounds)
    routes = tuple(_plan_route(app, route, for_websockets if route.websocket else chain) for route in app.routes)
    return Plan(app.name, routes, router, chain, MappingProxyType(handlers))


def _plan_route(app: App, route: Route, chain: Chain) -> PlannedRoute:
    config = app.config
    default_size = float("inf") if route.stream else config.REQUEST_MAX_SIZE
    return PlannedRoute(
        route=route,
        call=_call(app, route),
        chain=chain,
        listened=app.is_listened_to,
        request_max_size=default_size if route.request_max_size is None else route.request_max_size,
        timeout=config.RESPONSE_TIMEOUT if route.timeout is None else route.timeout,
        body_timeout=config.BODY_TIMEOUT if route.body_timeout is None else route.body_timeout,
        on_disconnect=config.ON_DISCONNECT if route.on_disconnect is None else route.on_disconnect,
    )


def _call(app: App, route: Route) -> Endpoint:
    handler = route.handler
    if route.websocket is not None:
        from .websocket import websocket_endpoint  # noqa: PLC0415 - most apps have none

        return websocket_endpoint(route, route.websocket, app.config)
    if is_async(handler):
        return handler

    @functools.wraps(handler)
    async def in_thread(request: Any, **params: Any) -> Any:
        # A thread cannot be cancelled: a cancelled request waits for it, and drops what it returns.  Only a server that
        # has to stop now leaves it to itself.
        with request.shielded(math.inf):
            call = functools.partial(handler, request, **params)
            result = await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=app.thread_limiter)
        await trio.lowlevel.checkpoint_if_cancelled()
        return result

    return in_thread


# --- what can be wrong ------------------------------------------------------------------------------------------------


def _check_handler(route: Route) -> list[Mistake]:
    """The handler must take the request and the parameters of its path."""
    if not callable(route.handler):
        return [Mistake(f"the handler of {route.uri!r} is {route.handler!r}, which cannot be called", route.place)]
    if inspect.isasyncgenfunction(route.handler) or inspect.isgeneratorfunction(route.handler):
        what = f"the handler of {route.uri!r} is a generator: return one from an async def handler instead"
        return [Mistake(what, route.place)]
    if route.template.complaints:  # the router tells; which parameters were meant, nobody knows
        return []
    names = [parameter.name for parameter in route.parameters]
    positional = ["request"] if route.websocket is None else ["request", "ws"]
    return _check_arguments(route.handler, positional, names, f"the handler of {route.uri!r}", route.place)


def _check_middleware(middleware: Middleware) -> list[Mistake]:
    kind, function, _, place, is_async_ = middleware
    what = {"request": "request middleware", "response": "response middleware", "around": "middleware"}[kind]
    if kind == "around" and not is_async_:
        return [Mistake("middleware that wraps the whole must be async: it awaits call_next(request)", place)]
    wanted = {"request": ["request"], "response": ["request", "response"], "around": ["request", "call_next"]}[kind]
    return _check_arguments(function, wanted, [], what, place)


def _check_around(around: Around) -> list[Mistake]:
    if around.phase not in PHASES:
        phases = ", ".join(PHASES)
        return [Mistake(f"there is no phase {around.phase!r} to stand around: there are {phases}", around.place)]
    if inspect.iscoroutinefunction(around.function):
        how = "yield once in it, or give an async context manager"
        return [Mistake(f"what stands around {around.phase!r} is a coroutine function: {how}", around.place)]
    subject = "app" if around.phase.startswith("server.") else "request"
    return _check_arguments(around.function, [subject], [], f"what stands around {around.phase!r}", around.place)


def _check_arguments(
    function: Callable[..., Any], positional: list[str], keywords: list[str], what: str, place: str | None
) -> list[Mistake]:
    if not callable(function):
        return [Mistake(f"{what} is {function!r}, which cannot be called", place)]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none; calling them will tell
        return []
    try:
        signature.bind(*positional, **dict.fromkeys(keywords))
    except TypeError as exc:
        return [Mistake(f"{what} must take ({', '.join(positional + keywords)}): {exc}", place)]
    return []


def _collect_exception_handlers(app: App, mistakes: list[Mistake]) -> dict[type[BaseException], Callable[..., Any]]:
    found: dict[type[BaseException], Callable[..., Any]] = {}
    places: dict[type[BaseException], str | None] = {}
    for declared in app.exception_handlers:
        if not declared.types:
            mistakes.append(Mistake("app.exception needs at least one exception type", declared.place))
        for type_ in declared.types:
            if not (isinstance(type_, type) and issubclass(type_, Exception)):
                mistakes.append(Mistake(f"{type_!r} cannot be handled: it is not an Exception type", declared.place))
            elif type_ in found:
                what = f"{type_.__name__} has a handler already, at {places[type_]}"
                mistakes.append(Mistake(what, declared.place))
            else:
                found[type_], places[type_] = declared.handler, declared.place
        mistakes += _check_arguments(
            declared.handler, ["request", "exception"], [], "an exception handler", declared.place
        )
    return found

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
from typing import TYPE_CHECKING, Any

import trio

from ..config import OnDisconnect
from ..errors import CompileError, Mistake
from .place import place_of
from .route import Route
from .router import Router, compile_router

if TYPE_CHECKING:
    from .app import App

__all__ = ["Plan", "PlannedRoute", "compile_app"]

Endpoint = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """What one route will run.

    Attributes:
      endpoint: awaited with ``(request, **parameters)``; the handler itself if nothing is folded around it.
      request_max_size: bytes a body may have.
      timeout: seconds until the response must begin.
      body_timeout: seconds a body may stall.
    """

    route: Route
    endpoint: Endpoint
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
    def handler(self) -> Callable[..., Any]:
        """What the user declared."""
        return self.route.handler

    def __str__(self) -> str:
        methods = ",".join(sorted(self.methods))
        how = "" if self.endpoint is self.handler else " (in a thread)"
        return f"{methods:12} {self.uri:32} {self.name}{how}  {self.route.place or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Plan:
    """An app, compiled.

    Attributes:
      routes: what each route will run, in the order of declaration.
      router: finds the route of a request.
      exception_handlers: by exception type.
    """

    app_name: str
    routes: tuple[PlannedRoute, ...]
    router: Router
    exception_handlers: Mapping[type[BaseException], Callable[..., Any]]

    def __str__(self) -> str:
        lines = [f"app {self.app_name!r}: {len(self.routes)} routes"]
        lines += [f"  {route}" for route in self.routes]
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
    handlers = _collect_exception_handlers(app, mistakes)
    router, conflicts = compile_router(app.routes, app.patterns)
    mistakes += conflicts
    if mistakes:
        raise CompileError(f"app {app.name!r} has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}", mistakes)
    return Plan(app.name, tuple(_plan_route(app, route) for route in app.routes), router, MappingProxyType(handlers))


def _plan_route(app: App, route: Route) -> PlannedRoute:
    config = app.config
    default_size = float("inf") if route.stream else config.REQUEST_MAX_SIZE
    return PlannedRoute(
        route=route,
        endpoint=_endpoint(app, route.handler),
        request_max_size=default_size if route.request_max_size is None else route.request_max_size,
        timeout=config.RESPONSE_TIMEOUT if route.timeout is None else route.timeout,
        body_timeout=config.BODY_TIMEOUT if route.body_timeout is None else route.body_timeout,
        on_disconnect=config.ON_DISCONNECT if route.on_disconnect is None else route.on_disconnect,
    )


def _endpoint(app: App, handler: Callable[..., Any]) -> Endpoint:
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


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await; sees through partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


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
    return _check_arguments(route.handler, 1, names, f"the handler of {route.uri!r}", route.place)


def _check_arguments(
    function: Callable[..., Any], positional: int, keywords: list[str], what: str, place: str | None
) -> list[Mistake]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none; calling them will tell
        return []
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as exc:
        wanted = ", ".join(["request", "exception"][:positional] + keywords)
        return [Mistake(f"{what} must take ({wanted}): {exc}", place)]
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
        mistakes += _check_arguments(declared.handler, 2, [], "an exception handler", declared.place)
    return found

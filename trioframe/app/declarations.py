"""What is written down of an application: decorators and their like, which note a declaration and return the function.

Rules of this file:

* Declaring checks nothing beyond its own arguments; `compile_app` sees everything and reports all mistakes together.
* Every declaration remembers the place in the user's code it came from.
* Decorators work bare and called, return the function unchanged, and stack.

It must not know how a request is carried or answered, nor what becomes of a declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, overload

from . import arguments
from .calling import is_async
from .declared import DeclaredListener, ExceptionHandler, SignalReceiver
from .middleware import Around, Kind, Middleware
from .patterns import Patterns
from .place import place_of
from .route import Route, RouteExtra, WebSocketOptions

if TYPE_CHECKING:
    from ..ws.deflate_terms import Deflate

__all__ = ["Declarations", "WithPriority"]

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_METHODS = ("GET",)

_NOT_OF_WEBSOCKETS = {
    "methods": "it is asked for by GET alone",
    "stream": "the body of its request is read before its handler runs",
}


class WithPriority(Protocol):
    """A decorator that works bare and called."""

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(self, /, *, priority: int = 0) -> Callable[[F], F]: ...


class Declarations:
    """Everything that can be declared on an app.

    Once the app has been compiled, all of it but `signal` and `add_signal` raises `TrioframeError`.

    Attributes:
      patterns: the types that parameters of paths may have.
      routes, exception_handlers, declared_middleware, arounds, receivers, listeners: what was declared, in order.
    """

    def __init__(self) -> None:
        self.patterns = Patterns()
        self.routes: list[Route] = []
        self.exception_handlers: list[ExceptionHandler] = []
        self.declared_middleware: list[Middleware] = []
        self.arounds: list[Around] = []
        self.receivers: list[SignalReceiver] = []
        self.listeners: list[DeclaredListener] = []

    def _check_open(self) -> None:
        """Raise `TrioframeError` if nothing can be declared any more."""

    # --- routes ------------------------------------------------------------------------------------------------------

    def add_route(
        self,
        handler: Callable[..., Any],
        uri: str,
        methods: Iterable[str] | None = DEFAULT_METHODS,
        *,
        name: str | None = None,
        host: str | Sequence[str] | None = None,
        version: int | float | str | None = None,
        strict_slashes: bool = False,
        stream: bool = False,
        request_max_size: float | None = None,
        timeout: float | None = None,
        body_timeout: float | None = None,
        on_disconnect: Literal["cancel", "ignore"] | None = None,
        error_format: Literal["auto", "html", "json", "text"] | None = None,
        websocket: WebSocketOptions | None = None,
        **ctx: Any,
    ) -> None:
        """Answer requests for `uri` with `handler(request, **parameters)`.

        Parameters:
          handler: `async def`, or `def`, which runs in a worker thread.
          uri: a path, with parameters such as ``<name>`` or ``<number:int>``.
          methods: what it answers; HEAD comes with GET, OPTIONS is answered for every path.
          name: for `url_for`; the name of the function by default.
          host: only for requests to this host, or one of these.
          version: puts ``/v<version>`` before `uri`.
          strict_slashes: tell ``/x`` from ``/x/``.
          stream: do not read the body before the handler runs.
          request_max_size: bytes a body may have, REQUEST_MAX_SIZE by default (unlimited with `stream`).
          timeout: seconds the handler has to begin its response, RESPONSE_TIMEOUT by default.
          body_timeout: seconds a body may stall, BODY_TIMEOUT by default.
          on_disconnect: what a client that leaves does to the handler, ON_DISCONNECT by default.
          error_format: of error pages.
          websocket: it is the place of a WebSocket; see `websocket`.
          ctx_<x>: becomes ``route.ctx.<x>``.

        Raises:
          TypeError: an unknown keyword, or something else where only text can be.
          TrioframeError: the app has been compiled.
        """
        self._check_open()
        unknown = (key for key in ctx if not key.startswith("ctx_"))
        arguments.refuse_unknown(unknown, self.add_route, *([] if websocket is None else [self.websocket]))
        if not (websocket is None or isinstance(websocket, WebSocketOptions)):
            raise TypeError("the place of a WebSocket is declared by @app.websocket")
        asked = DEFAULT_METHODS if methods is None else arguments.texts("methods", methods)
        self.routes.append(
            Route(
                uri=arguments.path(uri),
                methods=frozenset(method.upper() for method in asked),
                name=arguments.text("the name of a route", name or _name_of(handler)),
                handler=handler,
                host=arguments.texts("host", host),
                version=version,
                strict_slashes=strict_slashes,
                stream=stream,
                request_max_size=request_max_size,
                timeout=timeout,
                body_timeout=body_timeout,
                on_disconnect=on_disconnect,
                error_format=error_format,
                websocket=websocket,
                extra=RouteExtra(websocket=websocket is not None),
                ctx=SimpleNamespace(**{key.removeprefix("ctx_"): value for key, value in ctx.items()}),
                place=place_of(handler),
            )
        )

    def route(self, uri: str, methods: Iterable[str] | None = DEFAULT_METHODS, **options: Any) -> Callable[[F], F]:
        """Decorates a handler; see `add_route` for `options`."""
        arguments.path(uri, "route")

        def declare(handler: F) -> F:
            self.add_route(handler, uri, methods, **options)
            return handler

        return declare

    def get(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of GET and HEAD; see `add_route`."""
        return self._answer("GET", uri, options)

    def post(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of POST; see `add_route`."""
        return self._answer("POST", uri, options)

    def put(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of PUT; see `add_route`."""
        return self._answer("PUT", uri, options)

    def patch(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of PATCH; see `add_route`."""
        return self._answer("PATCH", uri, options)

    def delete(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of DELETE; see `add_route`."""
        return self._answer("DELETE", uri, options)

    def head(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of HEAD alone; see `add_route`."""
        return self._answer("HEAD", uri, options)

    def options(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of OPTIONS, in place of the automatic answer; see `add_route`."""
        return self._answer("OPTIONS", uri, options)

    def _answer(self, method: str, uri: str, options: Mapping[str, Any]) -> Callable[[F], F]:
        decorator = method.lower()
        arguments.path(uri, decorator)
        if "methods" in options:
            raise TypeError(f"@app.{decorator} has no option 'methods': write @app.route(uri, methods=[...])")
        return self.route(uri, (method,), **options)

    def websocket(
        self,
        uri: str,
        subprotocols: Sequence[str] | None = (),
        *,
        origins: Sequence[str] | None = None,
        deflate: bool | Deflate | None = False,
        max_size: float | None = None,
        cancel_on_close: bool = False,
        send_only: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorates the handler of a WebSocket: ``async def handler(request, ws, **parameters)``.

        Until it is accepted - by the first operation of `ws`, or `ws.accept` - the handler may refuse it: by an
        `HTTPError`, or by what any handler may return.  When it returns, the WebSocket is closed with 1000.  Tasks that
        it has left in ``request.nursery`` go on first; unless `on_disconnect` is "ignore", they are cancelled if the
        client closes or is lost.

        A page may have the same `uri`: it answers whoever asks for no WebSocket.

        Parameters:
          subprotocols: those that are spoken here, the favourite first.
          origins: the pages that may connect, as in "https://a.example"; others get 403.  None allows every page.
          deflate: compress messages with clients that can; a `Deflate` says how.
          max_size: bytes of a message, decompressed; WEBSOCKET_MAX_SIZE by default.
          cancel_on_close: cancel the handler, as "disconnect", also when the client closes in order; but not if an
            operation of `ws` says so.
          send_only: what the client sends is dropped as it comes, and a handler that does not receive never holds up a
            ping or a close; `cancel_on_close` is implied.  A handler that receives all the same only learns of the end.
          options: those of `add_route`, but for `methods` and `stream`; `timeout` is for the handshake.

        Raises as `add_route`.
        """
        arguments.path(uri, "websocket")
        for name, why in _NOT_OF_WEBSOCKETS.items():
            if name in options:
                raise TypeError(f"a WebSocket has no option {name!r}: {why}")
        pages = None if origins is None else arguments.each("origins", origins)
        spoken = WebSocketOptions(
            arguments.each("subprotocols", subprotocols), pages, deflate, max_size, cancel_on_close, send_only
        )
        return self.route(uri, ("GET",), websocket=spoken, **options)

    def exception(self, *types: type[BaseException]) -> Callable[[F], F]:
        """Decorates a handler of exceptions: called with `(request, exception)`.

        It is chosen by the most specific type.  What it returns is answered; None means "not mine", and the next less
        specific one is asked.  `RequestCancelled` goes only to a handler of `RequestCancelled`.
        """
        if len(types) == 1 and not isinstance(types[0], type):
            arguments.refuse_bare(types[0], "exception", "KeyError")

        def declare(handler: F) -> F:
            self._check_open()
            self.exception_handlers.append(ExceptionHandler(types, handler, place_of(handler)))
            return handler

        return declare

    def register_pattern(self, label: str, cast: Callable[[str], Any], regex: str) -> None:
        """Add a parameter type: ``<x:label>`` matches `regex` and gives ``cast(text)``; a ValueError is no match.

        Raises `Mistake` for what cannot be one.
        """
        self._check_open()
        self.patterns.register(label, cast, regex)

    # --- what stands around handlers ---------------------------------------------------------------------------------

    @property
    def on_request(self) -> WithPriority:
        """Decorates a request middleware: called with `(request)` before the handler.

        If it returns a response, or what a handler may return, the way ends there, and the handler is not called.

        Parameters:
          priority: higher runs earlier; with equal priority, what was declared first does.
        """
        return self._declares_middleware("request")

    @property
    def on_response(self) -> WithPriority:
        """Decorates a response middleware: called with `(request, response)`, once for every response, error pages too.

        It may change the response, or return another one in its place; of a stream that has not begun, the headers.

        Parameters:
          priority: higher runs earlier; with equal priority, what was declared last does.
        """
        return self._declares_middleware("response")

    @property
    def middleware(self) -> WithPriority:
        """Decorates ``async def mw(request, call_next)``, which wraps the whole.

        ``response = await call_next(request)`` is what follows, to be returned, or another one.  What the handler
        raises comes out of it, `RequestCancelled` if it was cancelled.

        Parameters:
          priority: higher stands further out; with equal priority, what was declared first does.
        """
        return self._declares_middleware("around")

    def _declares_middleware(self, kind: Kind) -> WithPriority:
        def declare(function: Callable[..., Any], priority: int) -> None:
            place = place_of(function)
            self.declared_middleware.append(Middleware(kind, function, priority, place, is_async(function)))

        return self._with_priority(declare)

    def _with_priority(self, declare: Callable[[Callable[..., Any], int], None]) -> WithPriority:
        """A decorator that works bare and called."""

        def decorate(function: Callable[..., Any] | None = None, /, *, priority: int = 0) -> Any:
            arguments.priority(priority)

            def note(function: Callable[..., Any]) -> Callable[..., Any]:
                self._check_open()
                declare(function, priority)
                return function

            return note if function is None else note(function)

        return cast("WithPriority", decorate)

    def around(self, phase: str) -> Callable[[F], F]:
        """Decorates an async context manager that stands around a phase: "http.handler", "http.lifecycle",
        "server.lifecycle".

        It is an async generator function with one ``yield``, or one already wrapped by ``@asynccontextmanager``; called
        with the request, or the app.  What ends the phase early, `RequestCancelled` too, is raised at its ``yield``.
        """
        arguments.refuse_bare(phase, "around", '"http.handler"')

        def declare(function: F) -> F:
            self._check_open()
            self.arounds.append(Around(phase, function, place_of(function)))
            return function

        return declare

    # --- who hears of what -------------------------------------------------------------------------------------------

    def signal(self, name: str, *, condition: Mapping[str, Any] | None = None, priority: int = 0) -> Callable[[F], F]:
        """Decorates a receiver of the signal `name`; see `add_signal`."""
        arguments.refuse_bare(name, "signal", '"user.order.paid"')

        def declare(receiver: F) -> F:
            self.add_signal(receiver, name, condition, priority)
            return receiver

        return declare

    def add_signal(
        self, receiver: Callable[..., Any], name: str, condition: Mapping[str, Any] | None = None, priority: int = 0
    ) -> None:
        """Call `receiver` when the signal `name` is sent, with those keywords of its context that it names.

        May be done at any time, also while the app serves.

        Parameters:
          receiver: async or not.
          name: ``namespace.reference.action``; a part may be a ``<parameter>``.
          condition: hear only what is sent with a condition that contains these items.
          priority: higher is called earlier.

        Raises:
          CompileError: the app has been compiled, and this is a mistake; before, `App.compile` raises it.
        """
        name, priority = arguments.text("the name of a signal", name), arguments.priority(priority)
        self._declare_receiver(SignalReceiver(name, receiver, condition, priority, place_of(receiver)))

    def _declare_receiver(self, declared: SignalReceiver) -> None:
        self.receivers.append(declared)

    # --- the life of the server --------------------------------------------------------------------------------------

    @property
    def before_server_start(self) -> WithPriority:
        """Decorates what is called with `(app)` before the server listens."""
        return self._declares_listener("before_server_start")

    @property
    def after_server_start(self) -> WithPriority:
        """Decorates what is called with `(app)` when the server listens."""
        return self._declares_listener("after_server_start")

    @property
    def before_server_stop(self) -> WithPriority:
        """Decorates what is called with `(app)` when the server is to stop; those declared last are called first."""
        return self._declares_listener("before_server_stop")

    @property
    def after_server_stop(self) -> WithPriority:
        """Decorates what is called with `(app)` when all has ended; those declared last are called first."""
        return self._declares_listener("after_server_stop")

    @property
    def main_process_start(self) -> WithPriority:
        """Decorates what is called with `(app)` when the program begins to run the app."""
        return self._declares_listener("main_process_start")

    @property
    def main_process_ready(self) -> WithPriority:
        """Decorates what is called with `(app)` when the program serves."""
        return self._declares_listener("main_process_ready")

    @property
    def main_process_stop(self) -> WithPriority:
        """Decorates what is called with `(app)` when the program ends; those declared last are called first."""
        return self._declares_listener("main_process_stop")

    @property
    def before_reload_trigger(self) -> WithPriority:
        """Decorates what is called with `(app)` before a reload; without effect so far, as nothing reloads."""
        return self._declares_listener("before_reload_trigger")

    @property
    def after_reload_trigger(self) -> WithPriority:
        """Decorates what is called with `(app)` behind a reload; without effect so far, as nothing reloads."""
        return self._declares_listener("after_reload_trigger")

    def _declares_listener(self, moment: str) -> WithPriority:
        def declare(function: Callable[..., Any], priority: int) -> None:
            self._declare_listener(DeclaredListener(moment, function, priority, place_of(function)))

        return self._with_priority(declare)

    def _declare_listener(self, declared: DeclaredListener) -> None:
        self.listeners.append(declared)

    def lifespan(self, function: F) -> F:
        """Decorates an async context manager that stands around the life of the server; called with `(app)`.

        It is an async generator function with one ``yield``, or one already wrapped by ``@asynccontextmanager``.  It
        lives in a task of its own, so it may open nurseries around its ``yield``.
        """
        return self.around("server.lifecycle")(function)


def _name_of(handler: Callable[..., Any]) -> str:
    return str(getattr(handler, "__name__", type(handler).__name__))

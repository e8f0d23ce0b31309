"""What a user writes down: an `App` is a set of declarations until it is compiled, and frozen after.

Rules of this file:

* Declaring checks nothing beyond its own arguments; `compile_app` sees everything and reports all mistakes together.
* Every declaration remembers the place in the user's code it came from.
* Decorators work bare and called, return the function unchanged, and stack.

It must not know how a request is carried or answered.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import trio

from ..config import Config
from ..errors import TrioframeError
from ..server.access_log import AccessLog, RejectionLog
from ..server.listeners import open_listeners
from ..server.serve import Server
from .compile import Plan, compile_app
from .dispatch import Dispatcher
from .patterns import Patterns
from .place import place_of
from .response import default_dumps
from .route import Route

if TYPE_CHECKING:
    import httpx2

__all__ = ["App", "ExceptionHandler"]

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_METHODS = ("GET",)


class ExceptionHandler(NamedTuple):
    """A declaration of `App.exception`."""

    types: tuple[type[BaseException], ...]
    handler: Callable[..., Any]
    place: str | None


class App:
    """A web application.

    Parameters:
      name: names the application in logs and route names; letters, digits, ``-`` and ``_``.
      config: a mapping of option names to values, which go before the environment; or a whole `Config`, which is used
        as it is.
      dumps: turns an object into JSON text or bytes.
      loads: turns JSON bytes into an object.
      env_prefix: prefix of the environment variables that are read into the configuration; None reads none.

    Attributes:
      config: the configuration; frozen once the app is compiled.
      ctx: room for the user.
      thread_limiter: bounds how many handlers that are not async run at once.

    Raises:
      ConfigError: a value of the configuration or the environment is wrong.
    """

    def __init__(
        self,
        name: str,
        config: Config | Mapping[str, Any] | None = None,
        dumps: Callable[[Any], str | bytes] | None = None,
        loads: Callable[[bytes], Any] | None = None,
        env_prefix: str | None = "TRIOFRAME_",
    ) -> None:
        self.name = name
        if isinstance(config, Config):
            self.config = config
        else:
            self.config = Config()
            if env_prefix is not None:
                self.config.load_environment(env_prefix)
            self.config.update(config or {})
        self.dumps = dumps
        self.loads = loads
        self.ctx = SimpleNamespace()
        self.thread_limiter = trio.CapacityLimiter(self.config.THREAD_LIMIT)
        self.patterns = Patterns()
        self.routes: list[Route] = []
        self.exception_handlers: list[ExceptionHandler] = []
        self._plan: Plan | None = None
        self._servers: set[Server] = set()

    def __repr__(self) -> str:
        return f"<App {self.name!r}>"

    # --- declaring ---------------------------------------------------------------------------------------------------

    def add_route(
        self,
        handler: Callable[..., Any],
        uri: str,
        methods: Iterable[str] = DEFAULT_METHODS,
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
          ctx_<x>: becomes ``route.ctx.<x>``.

        Raises:
          TypeError: an unknown keyword.
          TrioframeError: the app has been compiled.
        """
        self._check_open()
        unknown = [key for key in ctx if not key.startswith("ctx_")]
        if unknown:
            raise TypeError(f"a route has no option {', '.join(map(repr, unknown))}; your own facts begin with ctx_")
        self.routes.append(
            Route(
                uri=uri,
                methods=frozenset(method.upper() for method in methods),
                name=name or str(getattr(handler, "__name__", type(handler).__name__)),
                handler=handler,
                host=(host,) if isinstance(host, str) else tuple(host or ()),
                version=version,
                strict_slashes=strict_slashes,
                stream=stream,
                request_max_size=request_max_size,
                timeout=timeout,
                body_timeout=body_timeout,
                on_disconnect=on_disconnect,
                error_format=error_format,
                ctx=SimpleNamespace(**{key.removeprefix("ctx_"): value for key, value in ctx.items()}),
                place=place_of(handler),
            )
        )

    def route(self, uri: str, methods: Iterable[str] = DEFAULT_METHODS, **options: Any) -> Callable[[F], F]:
        """Decorates a handler; see `add_route` for `options`."""

        def declare(handler: F) -> F:
            self.add_route(handler, uri, methods, **options)
            return handler

        return declare

    def get(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of GET and HEAD; see `add_route`."""
        return self.route(uri, ("GET",), **options)

    def post(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of POST; see `add_route`."""
        return self.route(uri, ("POST",), **options)

    def put(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of PUT; see `add_route`."""
        return self.route(uri, ("PUT",), **options)

    def patch(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of PATCH; see `add_route`."""
        return self.route(uri, ("PATCH",), **options)

    def delete(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of DELETE; see `add_route`."""
        return self.route(uri, ("DELETE",), **options)

    def head(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of HEAD alone; see `add_route`."""
        return self.route(uri, ("HEAD",), **options)

    def options(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Decorates a handler of OPTIONS, in place of the automatic answer; see `add_route`."""
        return self.route(uri, ("OPTIONS",), **options)

    def exception(self, *types: type[BaseException]) -> Callable[[F], F]:
        """Decorates a handler of exceptions: called with `(request, exception)`.

        It is chosen by the most specific type.  What it returns is answered; None means "not mine", and the next less
        specific one is asked.  `RequestCancelled` goes only to a handler of `RequestCancelled`.
        """

        def declare(handler: F) -> F:
            self._check_open()
            self.exception_handlers.append(ExceptionHandler(types, handler, place_of(handler)))
            return handler

        return declare

    def register_pattern(self, label: str, cast: Callable[[str], Any], regex: str) -> None:
        """Add a parameter type: ``<x:label>`` matches `regex` and gives ``cast(text)``; a ValueError is no match."""
        self._check_open()
        self.patterns.register(label, cast, regex)

    def _check_open(self) -> None:
        if self._plan is not None:
            raise TrioframeError(f"{self!r} has been compiled: declare routes and handlers before it serves")

    # --- compiled ----------------------------------------------------------------------------------------------------

    def compile(self) -> Plan:
        """The plan of this app: what each route will run.  From the first call on the app is frozen.

        Raises:
          CompileError: every mistake found, with its place.
        """
        if self._plan is None:
            self._plan = compile_app(self)
            self.config.freeze()
        return self._plan

    def url_for(self, name: str, /, **params: Any) -> str:
        """The URL of the route `name`, with `params` in their places and the others as query.

        Raises:
          URLBuildError: no such route, or a parameter is missing or does not fit.
        """
        return self.compile().router.url_for(name, **params)

    # --- serving -----------------------------------------------------------------------------------------------------

    async def serve(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        unix: str | None = None,
        fd: int | None = None,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, or until `shutdown` has drained everything.

        ``await nursery.start(app.serve)`` gives the listeners as soon as they are bound.  No OS signal handler is
        installed.

        Parameters:
          host, port: where to listen; HOST and PORT of the configuration by default.  Port 0 takes any free one.
          unix: the path of a unix socket to listen on instead.
          fd: an open, listening socket to use instead.
          listeners: open listeners to use instead; they are closed in the end.
          ssl: speak TLS.

        Raises:
          CompileError: the app has mistakes.
          ListenError: it cannot listen there.

        If cancelled, every request is cancelled and every connection closed before it returns.
        """
        with self._serving() as server:
            opened = await open_listeners(
                host=self.config.HOST if host is None else host,
                port=self.config.PORT if port is None else port,
                unix=self.config.UNIX if unix is None and host is None and port is None else unix,
                mode=self.config.UNIX_MODE,
                fd=fd,
                listeners=listeners,
                backlog=self.config.BACKLOG,
            )
            await server.serve(opened, ssl=ssl, task_status=task_status)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection on `stream`, until it is over; the stream is closed then."""
        with self._serving() as server:
            await server.serve_stream(stream)

    def run(self, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM; blocks.  See `trioframe.run` for `options`."""
        from ..run import run  # noqa: PLC0415 - the one import that goes up, for those who start from their app

        run(self, host, port, **options)

    def test_client(self, **options: Any) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        """An HTTP client for tests, in memory.  See `trioframe.testing.client` for `options`."""
        from ..testing import client  # noqa: PLC0415 - goes up, as in `run`, and only where there are tests

        return client(self, **options)

    def shutdown(self) -> None:
        """Begin to drain: `serve` and `serve_stream` return when everything has ended, in bounded time."""
        for server in list(self._servers):
            server.shutdown()

    @contextmanager
    def _serving(self) -> Iterator[Server]:
        """A server for this app, known to `shutdown` as long as it serves."""
        dispatcher = Dispatcher(self, self.compile())
        observer = AccessLog(self.config.ACCESS_LOG_FORMAT) if self.config.ACCESS_LOG else RejectionLog()
        server = Server(dispatcher.handle, self.config, observer)
        # Every task of the server descends from this one, and so do their context variables.
        token = default_dumps.set(self.dumps) if self.dumps is not None else None
        self._servers.add(server)
        try:
            yield server
        finally:
            self._servers.discard(server)
            if token is not None:
                default_dumps.reset(token)

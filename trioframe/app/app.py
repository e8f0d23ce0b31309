"""What a user writes down: an `App` is a set of declarations until it is compiled, and frozen after.

Rules of this file:

* What can be declared is in `declarations`; here it comes together, is compiled, and served.
* Signals may be connected and disconnected at any time: who dispatches is told, and goes on with new hooks.  Tasks may
  be added at any time, too.  Nothing else is declared once it is compiled.

It must not know how a request is carried or answered.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from ..config import Config
from ..errors import CompileError, TrioframeError
from ..http.closing import close_now
from ..server.access_log import AccessLog, RejectionLog
from ..server.listeners import open_listeners
from ..server.serve import Server
from .background import AppTasks
from .calling import call
from .compile import Plan, compile_app
from .declarations import Declarations
from .declared import DeclaredListener, SignalReceiver
from .dispatch import Dispatcher
from .failures import Failures
from .hooks import find_hooks
from .life import Life
from .lifespan import Lifespan
from .listeners import Listener, Listeners
from .report import Reporter
from .response import default_dumps
from .signal_channel import Event
from .signal_check import check
from .signal_registry import Signals
from .state import State
from .task_nursery import TaskNursery
from .websocket_hooks import WebSocketHooks, find_websocket_hooks

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from ..testing import ClientContext
    from .request import Request

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., Any])


class App(Declarations):
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
      signals: by name; a `Signal` comes into being when it is first asked for.
      state: counts of what runs now.
      websocket_hooks: whom to tell of WebSockets.
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
        super().__init__()
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
        self.signals = Signals(self, on_change=self._hearing_changed)
        self.websocket_hooks = WebSocketHooks()
        self.state = State()
        self._reporter = Reporter(self)
        self._tasks = AppTasks(self, self._reporter, self.state)
        self._listeners = Listeners(self._subscribe_listener)
        self._plan: Plan | None = None
        self._servers: set[Server] = set()
        self._dispatchers: set[Dispatcher] = set()

    def __repr__(self) -> str:
        return f"<App {self.name!r}>"

    def _check_open(self) -> None:
        if self._plan is not None:
            raise TrioframeError(f"{self!r} has been compiled: declare routes and handlers before it serves")

    # --- signals -----------------------------------------------------------------------------------------------------

    def _declare_receiver(self, declared: SignalReceiver) -> None:
        if self._plan is None:
            super()._declare_receiver(declared)
        mistakes = check(declared.name, declared.receiver, declared.place)
        if not mistakes:
            signal = self.signals[declared.name]
            signal.subscribe(declared.receiver, condition=declared.condition, priority=declared.priority)
        elif self._plan is not None:
            raise CompileError(f"app {self.name!r} is compiled, and this cannot be added to it", mistakes)

    async def dispatch(
        self, event: str, context: Mapping[str, Any] | None = None, condition: Mapping[str, Any] | None = None
    ) -> list[tuple[Callable[..., Any], Any]]:
        """Send the signal `event`: call its receivers one after the other, here and now.

        Parameters:
          context: what receivers may ask for by keyword.
          condition: what the conditions of receivers are compared with.

        Returns:
          Each receiver that was called, and what it returned.

        Raises:
          ValueError: `event` is no name of a signal, or unknown in a reserved namespace.
          Exception: what a receiver raises; those behind it are not called.

        If cancelled, so is the receiver that runs, and no further one is called.
        """
        return await self.signals.dispatch(event, context, condition)

    async def event(self, event: str, condition: Mapping[str, Any] | None = None) -> Event:
        """Wait for the next time that the signal `event` is sent, and return its context.

        Parameters:
          event: a name, or a pattern such as ``user.*.*``.
          condition: wait for one that is sent with these items, at least.

        Raises:
          ValueError: `event` is no name, or unknown in a reserved namespace.

        If cancelled, nothing is left behind.  What is sent between two waits is not heard; `events` misses nothing.
        """
        return await self.signals.event(event, condition)

    def events(
        self, event: str, max_buffer: float = 16, *, condition: Mapping[str, Any] | None = None
    ) -> AbstractAsyncContextManager[trio.abc.ReceiveChannel[Event]]:
        """``async with app.events("user.*.*") as channel: async for event in channel: ...`` misses none.

        Parameters:
          max_buffer: how many events wait; if there are more, whoever sends the signal waits.
          condition: take only what is sent with these items, at least.

        Raises ValueError when the block is entered: `event` is no name, or unknown in a reserved namespace; or
        `max_buffer` is negative.  When it is left, or cancelled, whoever waits for room goes on.
        """
        return self.signals.events(event, max_buffer, condition=condition)

    def dispatch_soon(
        self, event: str, context: Mapping[str, Any] | None = None, condition: Mapping[str, Any] | None = None
    ) -> None:
        """Send the signal `event` from a task of its own, in `nursery`; what its receivers raise is reported.

        Parameters are those of `dispatch`.

        Raises:
          RuntimeError: the app is not served.
          ValueError: `event` is no name of a signal, or unknown in a reserved namespace.
        """
        self.signals.matching(event)
        self.nursery.start_soon(self.signals.dispatch, event, context, condition, name=f"the signal {event}")

    def is_listened_to(self) -> bool:
        """Whether somebody listens to what happens to requests."""
        hooks = find_hooks(self.signals, self.report, self.config.RESPONSE_TIMEOUT)
        return hooks.others or hooks.handler_before is not None

    def _hearing_changed(self, event: str) -> None:
        if event.startswith("http."):
            for dispatcher in list(self._dispatchers):
                dispatcher.listen()
        elif event.startswith("websocket."):
            self.websocket_hooks = find_websocket_hooks(self.signals, self.report, self.config.RESPONSE_TIMEOUT)
        elif event == "server.exception.report":
            patience = self.config.RESPONSE_TIMEOUT
            self._reporter.hook = self.signals.hook(event, report=self._reporter.report, patience=patience)

    async def report(self, exception: Exception, request: Request | None = None) -> None:
        """Report what nobody has handled: to the log, and to the receivers of ``server.exception.report``; once each.

        Parameters:
          request: which it concerns, if any.
        """
        await self._reporter.report(exception, request)

    # --- the life of the server --------------------------------------------------------------------------------------

    def _declare_listener(self, declared: DeclaredListener) -> None:
        super()._declare_listener(declared)
        self._listeners.declare(declared.moment, declared.function, declared.priority)

    def _subscribe_listener(self, event: str, listener: Listener, priority: int) -> None:
        self.signals[event].subscribe(listener, priority=priority)

    async def call_listeners(self, moment: str) -> None:
        """Call the listeners of a moment of the program, such as "main_process_start"; see `Listeners.run`."""
        await self._listeners.run(moment, self)

    async def _tell_server_signal(self, event: str) -> None:
        """Call the receivers of a signal of the server's life.  At its end, one that fails stops none of the others."""
        failures = Failures()
        ends = event.startswith("server.shutdown.")

        async def keep(exception: Exception, request: object) -> None:
            failures.keep(exception)

        hook = self.signals.hook(event, report=keep if ends else None)
        if hook is not None:
            await call(hook, app=self)
        failures.leave(f"receivers of {event} failed")

    @property
    def nursery(self) -> TaskNursery:
        """For tasks that live as long as the app is served; what they raise is reported, and ends nothing else.

        Raises:
          RuntimeError: the app is not served.
        """
        return self._tasks.nursery

    def add_task(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        """Run `async_fn(*args)` as long as the app is served; see `AppTasks.add_task`.

        Parameters:
          name: no two tasks have the same one at the same time.

        Raises:
          TypeError: `async_fn` is not an async function, or has been called already.
          ValueError: there is a task with that name.
        """
        self._tasks.add_task(async_fn, *args, name=name)

    def every(self, seconds: float) -> Callable[[F], F]:
        """Decorates what is called each `seconds` seconds as long as the app is served; see `AppTasks.every`."""
        return self._tasks.every(seconds)

    def follow(self, exchange: Exchange, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `async_fn(*args)` when `exchange` is over; see `Request.after_response`."""
        self._tasks.follow(exchange, async_fn, *args)

    # --- compiled ----------------------------------------------------------------------------------------------------

    def compile(self) -> Plan:
        """The plan of this app: what each route will run.  From the first call on the app is frozen.

        Raises:
          CompileError: every mistake found, with its place.
        """
        if self._plan is None:
            self._plan = compile_app(self)
            self.config.freeze()
            for event in (
                "server.exception.report",
                "websocket.handler.before",
            ):  # their patience has been set only now
                self._hearing_changed(event)
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

        ``await nursery.start(app.serve)`` gives the listeners when they listen, and all of the start is over.  No OS
        signal handler is installed.

        Parameters:
          host, port: where to listen; HOST and PORT of the configuration by default.  Port 0 takes any free one.
          unix: the path of a unix socket to listen on instead.
          fd: an open, listening socket to use instead.
          listeners: open listeners to use instead; they are closed in the end.
          ssl: speak TLS.

        Raises:
          CompileError: the app has mistakes.
          ListenError: it cannot listen there.
          BaseException: what a lifespan or a listener has raised; a group of them, if several have.

        If cancelled, every request is cancelled and every connection closed before it returns.
        """
        where: dict[str, Any] = {
            "host": self.config.HOST if host is None else host,
            "port": self.config.PORT if port is None else port,
            "unix": self.config.UNIX if unix is None and host is None and port is None else unix,
            "mode": self.config.UNIX_MODE,
            "fd": fd,
            "listeners": listeners,
            "backlog": self.config.BACKLOG,
        }
        try:
            with self._serving() as server:

                async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
                    await server.serve(await open_listeners(**where), ssl=ssl, task_status=task_status)

                await self._life().live(serve, server.shutdown, task_status=task_status)
        finally:
            for listener in listeners or ():  # which nobody has closed, if the start has failed
                await close_now(listener)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection on `stream`, until it is over; the stream is closed then.

        It is the whole life of a server: lifespans and listeners run around this one connection.

        Raises:
          CompileError: the app has mistakes.
          BaseException: what a lifespan or a listener has raised; a group of them, if several have.

        If cancelled, its request is cancelled and the connection closed before it returns.
        """
        try:
            with self._serving() as server:

                async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
                    task_status.started()
                    await server.serve_stream(stream)

                await self._life().live(serve, server.shutdown)
        finally:
            await close_now(stream)

    def _life(self) -> Life:
        return Life(
            self.config,
            lifespans=[
                Lifespan(around.function, self) for around in self.arounds if around.phase == "server.lifecycle"
            ],
            run=self._tell_server_signal,
            tasks=self._tasks,
            state=self.state,
        )

    def run(self, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM; blocks.  See `trioframe.run` for `options`."""
        from ..run import run  # noqa: PLC0415 - the one import that goes up, for those who start from their app

        run(self, host, port, **options)

    def test_client(self, **options: Any) -> ClientContext:
        """An HTTP and WebSocket client for tests, in memory.  See `trioframe.testing.client` for `options`."""
        from ..testing import client  # noqa: PLC0415 - goes up, as in `run`, and only where there are tests

        return client(self, **options)

    def shutdown(self) -> None:
        """Begin to drain: `serve` and `serve_stream` return when everything has ended, in bounded time."""
        for server in list(self._servers):
            server.announce_shutdown()
        for life in self.state.lives:
            life.stop()

    @contextmanager
    def _serving(self) -> Iterator[Server]:
        """A server for this app, known to `shutdown` as long as it serves."""
        dispatcher = Dispatcher(self, self.compile())
        observer = AccessLog(self.config.ACCESS_LOG_FORMAT) if self.config.ACCESS_LOG else RejectionLog()
        server = Server(dispatcher.handle, self.config, observer)
        # Every task of the server descends from this one, and so do their context variables.
        token = default_dumps.set(self.dumps) if self.dumps is not None else None
        self._servers.add(server)
        self._dispatchers.add(dispatcher)
        try:
            yield server
        finally:
            self._servers.discard(server)
            self._dispatchers.discard(dispatcher)
            if token is not None:
                default_dumps.reset(token)

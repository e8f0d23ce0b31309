"""Runs an app as a program of its own: OS signals, socket activation, a log that can be seen.

`app.serve` is a guest in somebody's program and touches nothing that belongs to the process; this is the program around
it when there is no other.  Rules of this file:

* Stopping is asked for by signals, and asking again asks harder:

  ==================  =============================================  ==================================
  signal              while it starts                                while it serves
  ==================  =============================================  ==================================
  SIGINT or SIGTERM   everything is cancelled                        `app.shutdown()`: running requests
                                                                     are finished, in bounded time
  another one         Python's own handling: it ends the process     everything is cancelled
  one more                                                           Python's own handling
  SIGHUP              is noted in the log                            the same
  ==================  =============================================  ==================================

* Stopped as asked is a normal return; everything else is an exception, and never wrapped in a group by us.
* Logging that the program has configured is left as it is.
* This process is the main process, and so calls the listeners of that.

It must not know how an app is found (`load`) nor what a command line looks like (`cli`).
"""

from __future__ import annotations

import logging
import signal
import ssl as ssl_module
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from .errors import ConfigError
from .server.listeners import Listener, describe_listener, open_listeners
from .server.systemd import take_listen_fds

if TYPE_CHECKING:
    from .app.app import App

__all__ = ["log_to_terminal", "run"]

logger = logging.getLogger("trioframe")

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_SIGNALS = [signum for signum in (signal.SIGINT, signal.SIGTERM, _HANGUP) if signum is not None]


def run(
    app: App,
    host: str | None = None,
    port: int | None = None,
    *,
    unix: str | None = None,
    fd: int | None = None,
    ssl: ssl_module.SSLContext | None = None,
    workers: int = 1,
    single_process: bool = False,
    dev: bool = False,
    debug: bool | None = None,
    access_log: bool | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM; blocks, and belongs into the main thread.

    Where nothing says where to listen, sockets that systemd passed on are used, then the configuration.

    Parameters:
      host, port, unix, fd, ssl: as for `App.serve`.
      workers: how many processes; only 1 is supported so far.
      single_process: serve in this very process, as is always done so far.
      dev: for development: turns `debug` on.
      debug: sets DEBUG in the configuration.
      access_log: sets ACCESS_LOG in the configuration.

    Raises:
      ConfigError: more than one worker, or the app is compiled and can no longer be configured.
      CompileError: the app has mistakes.
      ListenError: it cannot listen there.
      BaseException: what a lifespan or a listener has raised; a group of them, if several have.
      RuntimeError: this is not the main thread, where alone signals arrive; ``trio.run(app.serve)`` works anywhere.
    """
    if workers != 1:
        raise ConfigError(f"workers cannot be {workers}: only 1 process is supported so far")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run() needs the main thread, as signals arrive there; elsewhere use trio.run(app.serve)")
    settings = {"DEBUG": (dev or None) if debug is None else debug, "ACCESS_LOG": access_log}
    if changed := {name: value for name, value in settings.items() if value is not None}:
        app.config.update(changed)
    log_to_terminal()
    told_where = any(value is not None for value in (host, port, unix, fd))
    inherited = [] if told_where else take_listen_fds()
    announcement = _Announcement("http" if ssl is None else "https")

    async def serve() -> None:
        listeners = await open_listeners(fd=inherited) if inherited else None
        async with _main_process(app):
            await app.serve(host, port, unix=unix, fd=fd, listeners=listeners, ssl=ssl, task_status=announcement)

    trio.run(_serve_until_signalled, app, serve, announcement)


@asynccontextmanager
async def _main_process(app: App) -> AsyncIterator[None]:
    """Call the listeners of the main process; it is the only one, and so ready as soon as it listens."""

    async def tell_ready(sender: object, **context: object) -> None:
        await app.call_listeners("main_process_ready")

    try:
        await app.call_listeners("main_process_start")
        with app.signals["server.init.after"].connected_to(tell_ready):
            yield
    finally:
        patience = app.config.CANCEL_GRACE
        with trio.move_on_after(patience, shield=True) as scope:
            await app.call_listeners("main_process_stop")
        if scope.cancelled_caught:
            logger.error("the main_process_stop listeners took longer than CANCEL_GRACE, %s s: cut off", patience)


class _Announcement(trio.TaskStatus[Sequence[Listener]]):
    """Says where the server listens, and remembers that it does."""

    def __init__(self, scheme: str) -> None:
        self.serving = False
        self._scheme = scheme

    def started(self, value: Sequence[Listener] | None = None) -> None:
        self.serving = True
        for listener in value or ():
            where = describe_listener(listener)
            logger.info("listening on %s", where if where.startswith("unix:") else f"{self._scheme}://{where}")


async def _serve_until_signalled(app: App, serve: Callable[[], Awaitable[None]], announcement: _Announcement) -> None:
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_obey_signals, app, announcement, nursery.cancel_scope)
        try:
            await serve()
        except Exception as exc:  # noqa: BLE001 - raised again outside the nursery, and so not in a group
            failure = exc
        nursery.cancel_scope.cancel(reason="the server has ended")
    if failure is not None:
        raise failure
    logger.info("stopped")


async def _obey_signals(
    app: App,
    announcement: _Announcement,
    everything: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The table at the top; when it returns, signals are Python's own business again."""
    asked = False
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        task_status.started()
        async for signum in signals:
            name = signal.Signals(signum).name
            if signum == _HANGUP:
                logger.info("%s: not reloading, as that needs the worker manager, which is not there yet", name)
            elif announcement.serving and not asked:
                logger.info("%s: finishing the requests that run; once more stops at once", name)
                asked = True
                app.shutdown()
            else:
                logger.info("%s: stopping at once", name)
                everything.cancel(reason=f"the program got {name}")
                return


def log_to_terminal(level: int = logging.INFO) -> None:
    """Show the access log on stdout, as it is, and the rest of trioframe's log on stderr.

    Does nothing if the program has configured logging, for itself or for "trioframe".
    """
    if logger.hasHandlers():
        return
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(messages)
    logger.setLevel(level)
    access = logging.getLogger("trioframe.access")
    access.addHandler(logging.StreamHandler(sys.stdout))
    access.propagate = False

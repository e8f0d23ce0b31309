"""Accepts connections, owns them, and ends them in time.

Rules of this file:

* One nursery owns all connections; what one of them starts beside its own task, its `ConnectionTasks` own.
* Nothing that one connection does ends another one, or the accept loop; only cancellation leaves a connection's task.
* `serve` ends when it is cancelled or `shutdown` was called, never otherwise, and always in time:

  ======  ========================================================  ==============================
  stage   what happens                                              lasts until
  ======  ========================================================  ==============================
  serve   accept                                                    `shutdown` is called
  drain   listeners and idle connections close; every answer is     the last connection has ended,
          its connection's last                                     or GRACEFUL_SHUTDOWN_TIMEOUT
  cancel  requests that still run are cancelled as "shutdown"       ..., or CANCEL_GRACE
  force   everything is cancelled; shields of requests are lifted   at once
          (within CANCEL_GRACE if `serve` itself is cancelled)
  ======  ========================================================  ==============================

* Out of file descriptors, accepting waits until a connection ends, or a moment; it neither spins nor gives up.

It must not know the application: it is given a `Handler`.
"""

from __future__ import annotations

import errno
import logging
import math
import socket
import ssl as ssl_module
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar, cast

import trio

from ..config import Config
from ..http.alarm import Alarms
from ..http.closing import close_now
from ..http.containment import contain
from ..http.exchange import ConnInfo, Handler
from ..http.h1_connection import H1Driver
from ..http.h1_settings import H1Settings
from ..http.observer import Observer
from ..http.transport import Transport
from .accepting import accepting
from .connection_tasks import ConnectionTasks
from .reactor import Reactor
from .sockets import conn_info, transport_beneath
from .tls import describe_handshake_failure, wrap
from .watched_stream import WatchedStream

__all__ = ["Server"]

logger = logging.getLogger("trioframe.server")

STARVATION_PAUSE = 60.0  # seconds between two warnings of it
ACCEPT_PAUSE = 0.1  # seconds to wait for a file descriptor when none is left
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
# accept(2) also hands over what befell the new connection; that is nobody's concern but its peer's.
_GONE = "ECONNABORTED EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH ENONET ENOPROTOOPT EOPNOTSUPP EPERM EPROTO"
GONE_ALREADY = frozenset(getattr(errno, name) for name in _GONE.split() if hasattr(errno, name))

ListenerT = TypeVar("ListenerT", bound="trio.abc.Listener[trio.abc.Stream]")


class Driver(Protocol):
    """What the server asks of a connection, whatever protocol it speaks."""

    async def run(self) -> None: ...
    def refuse_more(self) -> None: ...
    def drain(self) -> None: ...
    def cancel(self) -> None: ...
    def force(self, within: float) -> None: ...


class Server:
    """Serves a handler on listeners and streams, until it is shut down.

    Parameters:
      handler: awaited for each exchange.
      config: read once, here.
      observer: told of each request.
    """

    def __init__(self, handler: Handler, config: Config, observer: Observer) -> None:
        self._handler = handler
        self._observer = observer
        self._settings = H1Settings.from_config(config)
        self._max_connections = config.MAX_CONNECTIONS
        self._handshake_timeout = config.TLS_HANDSHAKE_TIMEOUT
        self._graceful_timeout = config.GRACEFUL_SHUTDOWN_TIMEOUT
        self._cancel_grace = config.CANCEL_GRACE
        self._drivers: set[Driver] = set()
        self._handshakes: set[trio.CancelScope] = set()
        self._open = 0  # connections, those in their handshake included
        self._changed = trio.lowlevel.ParkingLot()
        self._alarms = Alarms()
        self._reactor: Reactor | None = None
        self._warned_at = -math.inf
        self._last_answers = False
        self._stopping = trio.Event()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._open

    def announce_shutdown(self) -> None:
        """Let every answer from now on be its connection's last; everything else goes on until `shutdown`."""
        self._last_answers = True
        for driver in list(self._drivers):
            driver.refuse_more()

    def shutdown(self) -> None:
        """Begin to drain; `serve` returns when that is done.  Calling it again changes nothing."""
        self._stopping.set()
        for scope in list(self._handshakes):
            scope.cancel(reason="the server is stopping")
        for driver in list(self._drivers):
            driver.drain()

    # --- serving -----------------------------------------------------------------------------------------------------

    async def serve(
        self,
        listeners: Sequence[ListenerT],
        *,
        ssl: ssl_module.SSLContext | None = None,
        task_status: trio.TaskStatus[list[ListenerT]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve on `listeners` until `shutdown` is called; they are closed then.

        Parameters:
          ssl: speak TLS on every connection.

        Raises:
          OSError: a listener broke in a way that waiting does not mend.

        If cancelled, all connections are cancelled and closed.
        """
        async with self._machinery(), trio.open_nursery() as connections:
            try:
                async with trio.open_nursery() as acceptors:
                    for listener in listeners:
                        acceptors.start_soon(self._accept, listener, ssl, connections)
                    task_status.started(list(listeners))
                    await self._stopping.wait()
                    acceptors.cancel_scope.cancel(reason="the server is stopping")
                await self._drain()
            except BaseException:
                # Cancelled from outside, or a listener broke.  Whatever is shielded does not hear of it, so it is told.
                self._force(within=self._cancel_grace)
                raise
            connections.cancel_scope.cancel(reason="the server stops now")

    async def serve_stream(self, stream: trio.abc.Stream, *, ssl: ssl_module.SSLContext | None = None) -> None:
        """Serve one connection, until it is over or `shutdown` has drained it.  It is closed then."""
        self._open += 1
        async with self._machinery(), trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_alone, stream, ssl, nursery)
            try:
                await self._stopping.wait()
                await self._drain()
            except trio.Cancelled:  # as in `serve`
                self._force(within=self._cancel_grace)
                raise
            nursery.cancel_scope.cancel(reason="the server stops now")

    async def _serve_alone(
        self, stream: trio.abc.Stream, ssl: ssl_module.SSLContext | None, nursery: trio.Nursery
    ) -> None:
        # In a task of its own, as its context variables are changed for each request.
        await self._serve_connection(stream, conn_info(stream), ssl, nursery)
        nursery.cancel_scope.cancel(reason="the connection has ended")

    @asynccontextmanager
    async def _machinery(self) -> AsyncIterator[None]:
        """What connections need as long as one of them is there: the alarms and the reactor."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._alarms.run)
            if Reactor.available:
                self._reactor = Reactor()
                nursery.start_soon(self._reactor.run)
            try:
                yield
            finally:
                self._alarms.stop()
                if self._reactor is not None:
                    self._reactor.stop()
                    self._reactor = None

    # --- accepting ---------------------------------------------------------------------------------------------------

    async def _accept(
        self,
        listener: trio.abc.Listener[trio.abc.Stream],
        ssl: ssl_module.SSLContext | None,
        connections: trio.Nursery,
    ) -> None:
        async with accepting(listener, in_batches=self._reactor is not None) as accept:
            while True:
                while self._open >= self._max_connections:
                    await self._changed.park()
                try:
                    accepted = await accept(lambda: self._max_connections - self._open)
                except OSError as exc:
                    if exc.errno in GONE_ALREADY:
                        continue
                    if exc.errno not in OUT_OF_RESOURCES:
                        raise
                    self._warn_of_starvation(exc)
                    await self._wait_for_room()
                    continue
                self._open += len(accepted)
                for stream, conn in accepted:
                    connections.start_soon(self._serve_connection, stream, conn, ssl, connections)

    def _warn_of_starvation(self, error: OSError) -> None:
        # Once in a while: in an overload every connection that ends lets one in, and the next one not.
        now = trio.current_time()
        if now >= self._warned_at + STARVATION_PAUSE:
            self._warned_at = now
            logger.warning("cannot accept: %s; waiting for connections to end", error.strerror)

    async def _wait_for_room(self) -> None:
        with trio.move_on_after(ACCEPT_PAUSE):
            await self._changed.park()

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve_connection(
        self,
        stream: trio.abc.Stream | socket.socket,
        conn: ConnInfo,
        ssl: ssl_module.SSLContext | None,
        nursery: trio.Nursery,
    ) -> None:
        """A whole connection, contained.  It has been counted; it is uncounted here.

        Parameters:
          nursery: for what the connection starts; it ends before this does.
        """
        tasks = ConnectionTasks(nursery)
        try:
            stream = self._on_reactor(stream)
            try:
                transport = await self._transport(stream, conn, ssl, tasks)
                if transport is not None:
                    driver = self._driver(transport, conn, tasks)
                    try:
                        await driver.run()
                    finally:
                        self._drivers.discard(driver)
            finally:
                await tasks.aclose()
                await close_now(stream)
        except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - contained: no connection ends another
            contain(exc, logger, "a connection failed in the server's own code")
        finally:
            self._open -= 1
            self._changed.unpark_all()

    def _on_reactor(self, stream: trio.abc.Stream | socket.socket) -> trio.abc.Stream:
        if self._reactor is not None and type(stream) is trio.SocketStream:
            return self._reactor.take_over(stream)
        if isinstance(stream, socket.socket):  # accepted for the reactor
            return cast("Reactor", self._reactor).adopt(stream)
        return stream

    async def _transport(
        self, stream: trio.abc.Stream, conn: ConnInfo, ssl: ssl_module.SSLContext | None, tasks: ConnectionTasks
    ) -> Transport | None:
        """What the connection speaks on; None if it could not begin to."""
        if ssl is not None:
            stream = wrap(stream, ssl, linger_timeout=self._settings.linger_timeout)
        if isinstance(stream, trio.SSLStream) and not await self._handshake(stream, conn):
            return None
        if isinstance(stream, Transport):
            return stream
        return WatchedStream(stream, tasks.start_soon, self._settings.buffer_size, transport_beneath(stream))

    def _driver(self, transport: Transport, conn: ConnInfo, tasks: ConnectionTasks) -> H1Driver:
        driver = H1Driver(
            transport,
            self._handler,
            conn=conn,
            settings=self._settings,
            alarms=self._alarms,
            spawn=tasks.start_soon,
            observer=self._observer,
        )
        tasks.failed = driver.fail
        self._drivers.add(driver)
        if self._last_answers:
            driver.refuse_more()
        if self._stopping.is_set():
            driver.drain()
        return driver

    async def _handshake(self, tls: trio.SSLStream[trio.abc.Stream], conn: ConnInfo) -> bool:
        """Begin to speak TLS; False, with one line in the log, if the peer cannot."""
        try:
            with trio.move_on_after(self._handshake_timeout) as scope:
                self._handshakes.add(scope)
                await tls.do_handshake()
                conn.tls = tls
                return True
        except (trio.BrokenResourceError, ssl_module.SSLError) as exc:
            logger.info("TLS handshake with %s failed: %s", conn.client_ip, describe_handshake_failure(exc))
            return False
        finally:
            self._handshakes.discard(scope)
        if not self._stopping.is_set():
            logger.info("TLS handshake with %s took longer than %s s", conn.client_ip, self._handshake_timeout)
        return False

    # --- ending ------------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """The stages drain, cancel and force of the table at the top."""
        if await self._all_end_within(self._graceful_timeout):
            return
        logger.warning("%d connections were busy for %s s: cancelling them", self._open, self._graceful_timeout)
        for driver in list(self._drivers):
            driver.cancel()
        await self._all_end_within(self._cancel_grace)
        self._force(within=0)

    async def _all_end_within(self, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            while self._open:
                await self._changed.park()
            return True
        return False

    def _force(self, within: float) -> None:
        for driver in list(self._drivers):
            driver.force(within)

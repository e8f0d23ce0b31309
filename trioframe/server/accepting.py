"""Accepting connections, several at a time where the system lets us.

A listener of Trio's gives one connection for each pass through the scheduler, and asks the kernel several questions
about each.  Here a listening socket is asked until it has no more, or as many as are wanted.

Rules of this file:

* What has been accepted is handed over, also if accepting the next one fails: that will be told the next time.
* A listener that is not a plain socket (a user's own, or on a system without the reactor) accepts in its own way.

It must not know what becomes of a connection, nor what to do when accepting fails.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from ..http.exchange import ConnInfo
from .listeners import Listener
from .sockets import conn_info
from .unix_socket import UnixListener

__all__ = ["Accept", "Accepted", "accepting"]

Accepted = tuple[trio.abc.Stream | socket.socket, ConnInfo]
Accept = Callable[[Callable[[], float]], Awaitable[Sequence[Accepted]]]
"""Waits for connections and gives some, as many as it is told at most; raises `OSError`."""

BATCH = 64  # connections; then others have their turn

# As Trio's own streams have them: small answers leave at once, and no more is kept in the kernel than it can send soon.
# They are set on each connection: from its listener it inherits only what was set before the client connected.
_OPTIONS = ((socket.TCP_NODELAY, 1), (getattr(socket, "TCP_NOTSENT_LOWAT", None), 16 * 1024))


@asynccontextmanager
async def accepting(listener: Listener, *, in_batches: bool) -> AsyncIterator[Accept]:
    """How to accept from `listener`, which is closed in the end.

    Parameters:
      in_batches: plain sockets may be given, non-blocking; else every connection is a stream.
    """
    async with listener:
        if not (in_batches and type(listener) in (trio.SocketListener, UnixListener)):
            yield _one_by_one(listener)
            return
        # A second object for the descriptor, as Trio's does not let us accept without waiting; it is not ours to close.
        sock = socket.socket(fileno=listener.socket.fileno())  # type: ignore[attr-defined]
        try:
            sock.setblocking(False)
            yield _several(sock)
        finally:
            sock.detach()


def _one_by_one(listener: Listener) -> Accept:
    async def accept(room: Callable[[], float]) -> Sequence[Accepted]:
        stream = await listener.accept()
        return ((stream, conn_info(stream)),)

    return accept


def _several(listening: socket.socket) -> Accept:
    unix = listening.family == getattr(socket, "AF_UNIX", None)

    async def accept(room: Callable[[], float]) -> Sequence[Accepted]:
        accepted: list[Accepted] = []
        await trio.lowlevel.wait_readable(listening)
        at_most = min(room(), BATCH)
        try:
            while len(accepted) < at_most:
                sock, address = listening.accept()
                sock.setblocking(False)
                if not unix:
                    _set_options(sock)
                accepted.append((sock, ConnInfo(peername=address, unix=unix, socket=sock)))
        except BlockingIOError:
            return accepted
        except OSError:
            if not accepted:
                raise
        return accepted

    return accept


def _set_options(sock: socket.socket) -> None:
    for option, value in _OPTIONS:
        if option is not None:
            with contextlib.suppress(OSError):  # the client may have gone already, and we do without
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

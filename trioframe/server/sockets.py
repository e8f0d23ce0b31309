"""What can be learnt of, and asked from, the socket beneath a stream - if there is one.

Rules of this file: a stream without a socket is nothing unusual (tests, tunnels, other people's transports), and a
socket that has gone away meanwhile answers with nothing.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import trio

from ..http.exchange import ConnInfo

__all__ = ["conn_info", "reset_on_close", "socket_beneath"]


def socket_beneath(stream: object) -> trio.socket.SocketType | None:
    """The socket under `stream`, through any layers that name their `transport_stream` (TLS does)."""
    while stream is not None:
        if isinstance(stream, trio.SocketStream):
            return stream.socket
        stream = getattr(stream, "transport_stream", None)
    return None


def conn_info(stream: object) -> ConnInfo:
    """What is known of the connection when it has been accepted; TLS facts come with its handshake."""
    sock = socket_beneath(stream)
    if sock is None:
        return ConnInfo()
    unix = sock.family == getattr(socket, "AF_UNIX", None)
    return ConnInfo(peername=_name(sock.getpeername), sockname=_name(sock.getsockname), unix=unix)


def _name(ask: Any) -> Any:
    try:
        return ask()
    except OSError:  # the peer has gone between accept and here
        return None


def reset_on_close(stream: object) -> None:
    """Let the close of `stream` send RST instead of FIN; a stream without a socket is left as it is."""
    sock = socket_beneath(stream)
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

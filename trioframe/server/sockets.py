"""What can be learnt of, and asked from, the socket beneath a stream - if there is one.

Rules of this file: a stream without a socket is nothing unusual (tests, tunnels, other people's transports), and a
socket that has gone away meanwhile answers with nothing.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from ..http.exchange import ConnInfo
from ..http.transport import Transport

__all__ = ["conn_info", "reset_on_close", "socket_beneath", "transport_beneath"]


def socket_beneath(stream: object) -> Any:
    """The socket under `stream`, through any layers that name their `transport_stream` (TLS does); None if none."""
    while stream is not None:
        if (sock := getattr(stream, "socket", None)) is not None:
            return sock
        stream = getattr(stream, "transport_stream", None)
    return None


def transport_beneath(stream: object) -> Transport | None:
    """The transport under `stream`, through the same layers; None if none."""
    while stream is not None and not isinstance(stream, Transport):
        stream = getattr(stream, "transport_stream", None)
    return stream


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

"""As much of a WebSocket client as a load needs: a handshake, frames that are built once, and an echo that is compared.

No extension is offered, so nobody compresses.  The mask is the same for all frames, and not of zeros, so that a server
has to take it off.
"""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ..workload import BenchmarkError

__all__ = ["BINARY", "PING", "PONG", "TEXT", "ask", "connected", "crowd", "echoes", "masked", "plain"]

# The first octet of a frame that is all of its message.
TEXT, BINARY, PING, PONG = 0x81, 0x82, 0x89, 0x8A

MASK = bytes.fromhex("37fa213d")
KEY = base64.b64encode(b"sixteen octets..")
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # RFC 6455, 4.2.2
TIMEOUT = 10.0  # seconds that one operation may stand still

HANDSHAKE = (
    b"GET %b HTTP/1.1\r\n"
    b"Host: 127.0.0.1:%d\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: %b\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def masked(first: int, payload: bytes) -> bytes:
    """A frame as clients send it."""
    pad = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    covered = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return _head(first, len(payload), 0x80) + MASK + covered.to_bytes(len(payload), "big")


def plain(first: int, payload: bytes) -> bytes:
    """A frame as servers send it."""
    return _head(first, len(payload), 0) + payload


def _head(first: int, size: int, mask: int) -> bytes:
    if size < 126:
        return bytes((first, mask | size))
    if size < 2**16:
        return bytes((first, mask | 126)) + size.to_bytes(2, "big")
    return bytes((first, mask | 127)) + size.to_bytes(8, "big")


def connected(port: int, target: str) -> socket.socket:
    """A connection that has become a WebSocket.

    Raises:
      BenchmarkError: the server did not want that, or wants an extension.
    """
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HANDSHAKE % (target.encode(), port, KEY))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _some(sock, 65536)
        _check_handshake(answer)
    except BaseException:
        sock.close()
        raise
    return sock


def _check_handshake(answer: bytes) -> None:
    """Nobody sends before we do, so that nothing stands behind the head."""
    status, *fields = answer.removesuffix(b"\r\n\r\n").split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
    if (
        not status.startswith(b"HTTP/1.1 101 ")
        or not answer.endswith(b"\r\n\r\n")
        or headers.get(b"sec-websocket-accept") != ACCEPT
        or b"sec-websocket-extensions" in headers
    ):
        raise BenchmarkError(f"a handshake was answered {answer[:300]!r}")


@contextmanager
def crowd(port: int, target: str, number: int) -> Iterator[list[socket.socket]]:
    """So many WebSockets, closed in the end without a word."""
    with ExitStack() as stack:
        yield [stack.enter_context(connected(port, target)) for _ in range(number)]


def ask(sock: socket.socket, first: int, payload: bytes) -> None:
    """Send a message and take its echo; pings that come before it have their pong.

    Raises:
      BenchmarkError: something else came.
    """
    sock.sendall(masked(first, payload))
    expected = plain(first, payload)
    head = _exactly(sock, 2)
    while head[0] == PING:
        sock.sendall(masked(PONG, _exactly(sock, head[1])))
        head = _exactly(sock, 2)
    answer = head + _exactly(sock, len(expected) - 2)
    if answer != expected:
        raise BenchmarkError(f"where an echo was expected, {answer[:300]!r} came")


def echoes(first: int, payload: bytes) -> Callable[[int], None]:
    """A probe: is a message echoed by what listens at a port?"""

    def probe(port: int) -> None:
        with connected(port, "/echo") as sock:
            ask(sock, first, payload)

    return probe


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += _some(sock, size - len(data))
    return data


def _some(sock: socket.socket, size: int) -> bytes:
    data = sock.recv(size)
    if not data:
        raise BenchmarkError("the server has closed a WebSocket")
    return data

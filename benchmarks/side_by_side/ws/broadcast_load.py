"""Many who hear what one server task tells all of them, and count it.

    python -m side_by_side.ws.broadcast_load '{"port": 8000, "connections": 500, "messages": 10000, "seconds": 6}'

One of them asks for it, by sending the number of messages.  Each message is the same 64 octets, all different, so that
the octet with which a piece begins says whether anything was lost before it.

It ends when all has come, or the time is over: how many messages were heard until then is what counts, and not what a
server may have in its buffers.  Servers ping after 20 seconds, and the time should be shorter than that.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence

from ..workload import BenchmarkError, Figures
from .client import TEXT, crowd, masked, plain
from .echo_load import LETTERS
from .program import be_load

__all__ = ["Hearers", "broadcast_load"]

SIZE = 65536
TIMEOUT = 10.0  # seconds in which somebody must hear something


def broadcast_load(*, port: int, connections: int, messages: int, seconds: float) -> Figures:
    with crowd(port, "/broadcast", connections) as sockets, Hearers(sockets, messages) as hearers:
        sockets[0].sendall(masked(TEXT, b"%d" % messages))
        return {"rate": hearers.hear(seconds)}


class Hearers:
    """Those who hear on `sockets`, each of them all `messages`."""

    def __init__(self, sockets: Sequence[socket.socket], messages: int) -> None:
        self._frame = plain(TEXT, LETTERS)
        self._share = messages * len(self._frame)  # octets for each
        self._sockets = {sock.fileno(): sock for sock in sockets}
        self._heard = dict.fromkeys(self._sockets, 0)  # octets
        self._epoll = select.epoll()
        for sock in sockets:
            sock.setblocking(False)
            self._epoll.register(sock, select.EPOLLIN)

    def __enter__(self) -> Hearers:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()

    def hear(self, seconds: float) -> float:
        """How many messages came in a second, of all together, until all had come or the time was over."""
        clock, poll, most = time.perf_counter, self._epoll.poll, len(self._sockets)
        frame, size, share, heard = self._frame, len(self._frame), self._share, self._heard
        receivers = {fileno: sock.recv_into for fileno, sock in self._sockets.items()}
        buffer = bytearray(SIZE)
        awaited = share * len(heard)
        began = now = clock()
        end = began + seconds
        while awaited and now < end:
            events = poll(TIMEOUT, most)
            if not events:
                raise BenchmarkError(f"nobody has heard anything for {TIMEOUT:g} s")
            for fileno, _ in events:
                got, before = receivers[fileno](buffer), heard[fileno]
                if not got:
                    raise BenchmarkError("the server has closed a WebSocket")
                if before < size:
                    self._compare(buffer[:got], before)
                if buffer[0] != frame[before % size] or before + got > share:
                    raise BenchmarkError(f"where message {before // size} was expected, {bytes(buffer[:99])!r} came")
                heard[fileno] = before + got
                awaited -= got
            now = clock()
        return sum(octets // size for octets in heard.values()) / (now - began)

    def _compare(self, data: bytearray, before: int) -> None:
        """The first message of each is compared whole."""
        expected = self._frame[before : before + len(data)]
        if not data.startswith(expected):
            raise BenchmarkError(f"where a message was expected, {bytes(data[:99])!r} came")


if __name__ == "__main__":
    be_load(broadcast_load)

"""A load at a fixed rate, for latency: requests come when they are due, whether the server keeps up or not.

wrk asks again only when it has its answer, so a server that stalls is asked less, and its stall is seen once per
connection where it should be seen by everybody who would have come meanwhile (coordinated omission).  Here request
number `n` is due at `n / rate` seconds; when no connection is free it waits for one, and its latency counts from when
it was due.

The load has a core of its own and spends it: it never sleeps, because a sleep ends when the kernel likes.  So what it
takes itself between a due time and the send is small, and the same for every server.  If it had hardly any time to
spare, the figures would be its own; then it says so.
"""

from __future__ import annotations

import gc
import math
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .workload import BenchmarkError

__all__ = ["latencies", "percentile"]

SPARE = 0.1  # of its time, at least
SETTLING = 0.25  # of the requests are not counted: the first ones
TIMEOUT = 10.0  # seconds beyond the time it should take


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def latencies(
    port: int, request: bytes, end: bytes, *, rate: float, seconds: float, connections: int = 64
) -> list[float]:
    """Seconds from when each request was due until its answer was complete.

    Parameters:
      end: an answer is complete when it ends with this.

    Raises:
      BenchmarkError: the server closed a connection or did not answer, or the load itself could not keep up.
    """
    with _connected(port, connections) as sockets, _uncollected():
        found, spare = _run(sockets, request, end, rate, int(rate * seconds))
    if spare < SPARE:
        raise BenchmarkError(f"the load had {spare:.0%} of its time to spare; it cannot measure {rate:,.0f} req/s")
    return found[int(len(found) * SETTLING) :]


def _run(
    sockets: list[socket.socket], request: bytes, end: bytes, rate: float, total: int
) -> tuple[list[float], float]:
    """The latencies in the order of the answers, and the share of its time that the load had nothing to do."""
    free = deque(sockets)
    waiting: dict[int, tuple[socket.socket, float]] = {}  # by file descriptor: which was due when
    found: list[float] = []
    clock, interval, idle, sent = time.perf_counter, 1 / rate, 0.0, 0
    with select.epoll() as epoll:
        for sock in sockets:
            epoll.register(sock.fileno(), select.EPOLLIN)
        began = now = clock()
        give_up = began + total * interval + TIMEOUT
        while len(found) < total:
            before, worked = now, False
            while sent < total and free and (due := began + sent * interval) <= now:
                sock = free.popleft()
                sock.send(request)
                waiting[sock.fileno()] = sock, due
                sent += 1
                worked = True
            for fileno, _ in epoll.poll(0):
                worked = True
                sock, due = waiting[fileno]
                if _answered(sock, end):
                    found.append(clock() - due)
                    free.append(sock)
            now = clock()
            if not worked:
                idle += now - before
            if now > give_up:
                raise BenchmarkError(f"{total - len(found)} of {total} requests have no answer")
    return found, idle / (now - began)


def _answered(sock: socket.socket, end: bytes) -> bool:
    """Whether this was the end of it; answers are small, and hardly ever come in two pieces."""
    data = sock.recv(65536)
    if not data:
        raise BenchmarkError("the server closed a connection")
    return data.endswith(end)


@contextmanager
def _connected(port: int, number: int) -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        for _ in range(number):
            sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            sockets.append(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@contextmanager
def _uncollected() -> Iterator[None]:
    """A collection of garbage here would look like a stall there."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

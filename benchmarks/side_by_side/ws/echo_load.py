"""Messages that are echoed, on each connection one at a time, as fast as the server can.

    python -m side_by_side.ws.echo_load '{"port": 8000, "connections": 32, "size": 64, ...}'

wrk for WebSockets: raw sockets, a level-triggered epoll, and nothing but a read and a write for each message.  A
program in C that does the same is hardly faster, since nearly all of the time goes to the kernel.  What comes is
compared whole where it comes at a stroke, and counted where it does not.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence

from ..workload import BenchmarkError, Figures
from .client import BINARY, PING, PONG, TEXT, ask, crowd, masked, plain
from .program import be_load

__all__ = ["Echoes", "echo_load", "message"]

IN, OUT = select.EPOLLIN, select.EPOLLOUT
TIMEOUT = 10.0  # seconds in which somebody must be answered
QUIET = 0.05  # seconds in which nothing may come behind the last answers

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # 64, none like another


def message(size: int) -> tuple[int, bytes]:
    """The first octet of its frame, and what it says: text if it is 64 octets long, otherwise binary."""
    if size == len(LETTERS):
        return TEXT, LETTERS
    return BINARY, (bytes(range(256)) * (size // 256 + 1))[:size]


def echo_load(*, port: int, connections: int, size: int, warm_up: float, seconds: float) -> Figures:
    first, payload = message(size)
    with crowd(port, "/echo", connections) as sockets:
        for sock in sockets:
            ask(sock, first, payload)
        with Echoes(sockets, first, payload) as echoes:
            echoes.ask_all()
            if warm_up:
                echoes.run(warm_up)
            rate = echoes.run(seconds)
            echoes.finish()
    return {"rate": rate}


class Echoes:
    """A conversation on each of `sockets`."""

    def __init__(self, sockets: Sequence[socket.socket], first: int, payload: bytes) -> None:
        self._frame, self._answer = masked(first, payload), plain(first, payload)
        self._head = self._answer[: -len(payload)]
        self._filenos = [sock.fileno() for sock in sockets]
        self._missing = dict.fromkeys(self._filenos, len(self._answer))  # of the answer that is awaited
        self._unsent: dict[int, bytes] = {}
        self._epoll = select.epoll()
        for sock in sockets:
            sock.setblocking(False)
            self._epoll.register(sock, IN)

    def __enter__(self) -> Echoes:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()

    def ask_all(self) -> None:
        for fileno in self._filenos:
            self._send(fileno, self._frame)

    def run(self, seconds: float) -> float:
        """Ask on each connection that has its answer; how many answers came in a second."""
        # Local names, and the common case in the loop: this is the load, and must take less time than a server.
        read, write, clock, events = os.read, os.write, time.perf_counter, self._events
        frame, length, answer, whole = self._frame, len(self._frame), self._answer, len(self._answer)
        answers = 0
        began = now = clock()
        end = began + seconds
        while now < end:
            for fileno, event in events():
                if event != IN:
                    self._unusual(fileno, event)
                    continue
                data = read(fileno, whole)
                if data == answer or self._completed(fileno, data):
                    answers += 1
                    if (sent := write(fileno, frame)) != length:
                        self._keep(fileno, frame[sent:])
            now = clock()
        return answers / (now - began)

    def finish(self) -> None:
        """Wait for the answers that are still owed.

        Raises:
          BenchmarkError: they do not come, or more than them.
        """
        owed = set(self._filenos)
        while owed:
            for fileno, event in self._events():
                if event != IN:
                    self._unusual(fileno, event)
                elif self._completed(fileno, os.read(fileno, len(self._answer))):
                    if fileno not in owed:
                        raise BenchmarkError("there are more echoes than messages")
                    owed.remove(fileno)
        for fileno, _ in self._epoll.poll(QUIET):
            if self._completed(fileno, os.read(fileno, len(self._answer))) or self._begun(fileno):
                raise BenchmarkError("there are more echoes than messages")

    def _events(self) -> list[tuple[int, int]]:
        events = self._epoll.poll(TIMEOUT, len(self._filenos))
        if not events:
            raise BenchmarkError(f"the server has answered nobody for {TIMEOUT:g} s")
        return events

    def _completed(self, fileno: int, data: bytes) -> bool:
        """Whether the answer is complete with these octets.  Pings may stand around it, and have their pong."""
        if not data:
            raise BenchmarkError("the server has closed a WebSocket")
        whole, complete, place = len(self._answer), False, 0
        while place < len(data):
            if not self._begun(fileno):
                if data[place] == PING:
                    place = self._pong(fileno, data, place)
                    continue
                head = data[place : place + len(self._head)]
                if complete or not self._head.startswith(head):
                    raise BenchmarkError(f"where an echo was expected, {data[place:][:300]!r} came")
            taken = min(self._missing[fileno], len(data) - place)
            self._missing[fileno] -= taken
            place += taken
            if not self._missing[fileno]:
                self._missing[fileno] = whole
                complete = True
        return complete

    def _begun(self, fileno: int) -> bool:
        return self._missing[fileno] < len(self._answer)

    def _pong(self, fileno: int, data: bytes, place: int) -> int:
        """Answers the ping at that place; where it ends."""
        begin = place + 2
        if len(data) < begin or len(data) < (end := begin + data[begin - 1]):
            raise BenchmarkError("a ping came in two pieces")
        self._send(fileno, masked(PONG, data[begin:end]))
        return end

    def _send(self, fileno: int, data: bytes) -> None:
        waiting = self._unsent.get(fileno, b"")
        sent = 0 if waiting else os.write(fileno, data)
        if waiting or sent != len(data):
            self._keep(fileno, waiting + data[sent:])

    def _keep(self, fileno: int, unsent: bytes) -> None:
        self._unsent[fileno] = unsent
        self._epoll.modify(fileno, IN | OUT)

    def _unusual(self, fileno: int, event: int) -> None:
        """Something else than that there is something to read, which epoll will say again."""
        if event & ~(IN | OUT):
            raise BenchmarkError("the server has closed a WebSocket")
        unsent = self._unsent[fileno]
        if unsent := unsent[os.write(fileno, unsent) :]:
            self._unsent[fileno] = unsent
        else:
            del self._unsent[fileno]
            self._epoll.modify(fileno, IN)


if __name__ == "__main__":
    be_load(echo_load)

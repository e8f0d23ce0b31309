"""Somebody who behaves: asks for something small now and then, and notes how long the answer took.

A program of its own, so that what it measures is the server's latency and not the attacker's.  It writes an empty line
when all have asked once, runs until its standard input ends, and then writes what it saw as JSON.  ``bystander.py HOST
PORT CONNECTIONS INTERVAL FRESH``: so many connections are kept open, each asks every so many seconds, and if `FRESH` is
1 opens a new one each time as well.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

REQUEST = b"GET /ping HTTP/1.1\r\nHost: bystander\r\n\r\n"
LAST_REQUEST = b"GET /ping HTTP/1.1\r\nHost: bystander\r\nConnection: close\r\n\r\n"
PATIENCE = 10.0  # seconds; no answer in this time is none


class Bystander(threading.Thread):
    """One connection that is kept; `latencies` are in seconds, `unanswered` counts requests."""

    def __init__(self, address: tuple[str, int], interval: float, fresh: bool, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.interval = interval
        self.fresh = fresh
        self.stop = stop
        self.latencies: list[float] = []
        self.unanswered = 0
        self.kept: socket.socket | None = None
        self.begun = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            self.measure(self.ask_kept)
            if self.fresh:
                self.measure(self.ask_fresh)
            self.begun.set()
            self.stop.wait(self.interval)

    def measure(self, ask: object) -> None:
        began = time.perf_counter()
        try:
            answered = ask()  # type: ignore[operator]
        except OSError:
            answered = False
        if answered:
            self.latencies.append(time.perf_counter() - began)
        else:
            self.unanswered += 1

    def ask_kept(self) -> bool:
        # A server may end a connection between two requests; that is no failure, only an opportunity to begin again.
        if self.kept is None:
            self.kept = self.connect()
        self.kept.sendall(REQUEST)
        answer = receive_answer(self.kept)
        if not answer or b"connection: close" in answer.lower():
            self.kept.close()
            self.kept = None
        return answer.endswith(b"pong")

    def ask_fresh(self) -> bool:
        with self.connect() as connection:
            connection.sendall(LAST_REQUEST)
            return receive_answer(connection).endswith(b"pong")

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, PATIENCE)


def receive_answer(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"pong") and (data := connection.recv(65536)):
        answer += data
    return answer


def main() -> None:
    host, port, connections, interval, fresh = sys.argv[1:]
    stop = threading.Event()
    crowd = [Bystander((host, int(port)), float(interval), fresh == "1", stop) for _ in range(int(connections))]
    for bystander in crowd:
        bystander.start()
    for bystander in crowd:
        bystander.begun.wait(PATIENCE)
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    for bystander in crowd:
        bystander.join(PATIENCE)
    report = {
        "latencies": sorted(latency for bystander in crowd for latency in bystander.latencies),
        "unanswered": sum(bystander.unanswered + bystander.is_alive() for bystander in crowd),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()

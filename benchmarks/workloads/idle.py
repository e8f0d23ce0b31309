"""Idle keep-alive connections, each of which has had one answer: what it costs to be well known.

Resident memory of the server per connection.  The first few are not counted, as what is loaded and allocated once is
no cost of a connection.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

from attacks.target import Target
from side_by_side.workload import BenchmarkError, Figures, Goal, Line, Probe, Round, Server, Workload

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"Hello, world!"
FIRST = 20
SETTLING = 0.5  # seconds
TIMEOUT = 10.0  # seconds


def measure(server: Server, round: Round) -> Figures:
    crowd = round.effort.crowd
    process = Target("127.0.0.1", server.port, server.pid)
    with ExitStack() as stack:
        for _ in range(FIRST):
            stack.enter_context(answered(server.port))
        before = process.memory()
        connections = [stack.enter_context(answered(server.port)) for _ in range(crowd)]
        time.sleep(SETTLING)
        after = process.memory()
        for connection in connections[:: crowd // 50]:
            ask(connection)  # raises if the server has closed it, and so saved its memory
    return {"memory": (after - before) * 1024 * 1024 / crowd}


def answered(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    ask(connection)
    return connection


def ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(BODY):
        received = connection.recv(65536)
        if not received:
            raise BenchmarkError("the server has closed an idle connection")
        answer += received


WORKLOAD = Workload(
    "idle",
    "resident memory of the server for each idle connection that has had an answer",
    peers=("sanic", "uvicorn"),
    probe=Probe(BODY),
    lines=(Line("memory", "KiB", "lower", scale=1024, goals=(Goal(None, 6, 8),)),),
    measure=measure,
    saturates=False,
)

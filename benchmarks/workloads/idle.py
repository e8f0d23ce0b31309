"""Idle keep-alive connections, each of which has had one answer: what it costs to be well known."""

from __future__ import annotations

import socket

from side_by_side.crowd import memory_of_each
from side_by_side.workload import BenchmarkError, Figures, Goal, Line, Probe, Round, Server, Workload

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"Hello, world!"
TIMEOUT = 10.0  # seconds


def measure(server: Server, round: Round) -> Figures:
    return {"memory": memory_of_each(server, round.effort.crowd, answered, ask)}


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

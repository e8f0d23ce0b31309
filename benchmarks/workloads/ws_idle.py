"""Idle WebSockets, each of which has had one echo: what it costs to keep somebody in reach."""

from __future__ import annotations

import socket

from side_by_side.crowd import memory_of_each
from side_by_side.workload import Figures, Goal, Line, Round, Server, Workload
from side_by_side.ws import client
from side_by_side.ws.echo_load import message

MESSAGE = message(64)


def measure(server: Server, round: Round) -> Figures:
    return {"memory": memory_of_each(server, round.effort.crowd, echoed, ask)}


def echoed(port: int) -> socket.socket:
    connection = client.connected(port, "/echo")
    ask(connection)
    return connection


def ask(connection: socket.socket) -> None:
    client.ask(connection, *MESSAGE)


WORKLOAD = Workload(
    "ws-idle",
    "resident memory of the server for each idle WebSocket that has had an echo",
    peers=("websockets-trio", "trio-websocket", "sanic", "uvicorn-wsproto", "websockets"),
    probe=client.echoes(*MESSAGE),
    lines=(Line("memory", "KiB", "lower", scale=1024, goals=(Goal(None, 12, 12),)),),
    measure=measure,
    saturates=False,
    settings=({"BENCH_WEBSOCKETS": "1"},),
)

"""The smallest conversation, as fast as it can be had: what a WebSocket message costs, in and out again.

Each connection has one message under way.  Text, as most of what is small is JSON.
"""

from __future__ import annotations

from side_by_side.workload import Figures, Goal, Line, Round, Server, Workload
from side_by_side.ws.client import echoes
from side_by_side.ws.echo_load import message
from side_by_side.ws.program import run_load

SIZE = 64
CONNECTIONS = 32


def measure(server: Server, round: Round) -> Figures:
    effort = round.effort
    return run_load(
        round,
        "echo_load",
        port=server.port,
        connections=CONNECTIONS,
        size=SIZE,
        warm_up=effort.warm_up,
        seconds=effort.seconds,
    )


WORKLOAD = Workload(
    "ws-echo",
    f"WebSocket messages of {SIZE} bytes echoed, {CONNECTIONS} connections, one message at a time on each",
    peers=(
        "websockets-trio",
        "trio-websocket",
        "hypercorn",
        "sanic",
        "uvicorn-wsproto",
        "uvicorn-websockets",
        "websockets",
    ),
    probe=echoes(*message(SIZE)),
    lines=(
        Line(
            "rate",
            "messages/s",
            goals=(
                Goal("trio-websocket", 3.3, 2.8),
                Goal("websockets-trio", 3.3, 2.8),
                Goal("sanic", 1.2, 1.2),
                Goal("uvicorn-wsproto", 1.2, 1.2),
                Goal("websockets", 1.15, 1.0),
            ),
        ),
    ),
    measure=measure,
    settings=({"BENCH_WEBSOCKETS": "1"},),
)

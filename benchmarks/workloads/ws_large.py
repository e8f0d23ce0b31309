"""Messages that do not fit into a socket's buffer at a stroke: what taking off a mask costs, and copying.

Binary, as most of what is large is no text.
"""

from __future__ import annotations

from side_by_side.workload import Figures, Goal, Line, Round, Server, Workload
from side_by_side.ws.client import echoes
from side_by_side.ws.echo_load import message
from side_by_side.ws.program import run_load

SIZE = 64 * 1024
CONNECTIONS = 8


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
    "ws-large",
    f"WebSocket messages of {SIZE // 1024} KiB echoed, {CONNECTIONS} connections, one message at a time on each",
    peers=("trio-websocket", "websockets"),
    probe=echoes(*message(SIZE)),
    lines=(Line("rate", "messages/s", goals=(Goal("websockets", 0.8, 0.8),)),),
    measure=measure,
    settings=({"BENCH_WEBSOCKETS": "1"},),
)

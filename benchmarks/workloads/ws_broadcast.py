"""One task that tells many the same: what a delivery costs, and how much the server holds for those who listen.

Memory is the highest while it tells them: a server that takes more than it can deliver keeps the rest.
"""

from __future__ import annotations

from attacks.target import Target
from side_by_side.workload import Figures, Line, Round, Server, Workload
from side_by_side.ws.client import echoes
from side_by_side.ws.echo_load import message
from side_by_side.ws.program import run_load

MESSAGES = 10_000
SIZE = 64


def measure(server: Server, round: Round) -> Figures:
    """A tenth of the crowd listens, for twice the time of other loads at most."""
    process = Target("127.0.0.1", server.port, server.pid)
    process.reset_peak()
    found = run_load(
        round,
        "broadcast_load",
        port=server.port,
        connections=round.effort.crowd // 10,
        messages=MESSAGES,
        seconds=2 * round.effort.seconds,
    )
    return {**found, "memory": process.peak_memory()}


WORKLOAD = Workload(
    "ws-broadcast",
    f"{MESSAGES:,} messages of {SIZE} bytes from one task to each of 500 WebSockets, or as many as it delivers in time",
    peers=("websockets-trio", "sanic", "websockets"),
    probe=echoes(*message(SIZE)),
    lines=(Line("rate", "deliveries/s"), Line("memory", "MiB", "lower")),
    measure=measure,
    settings=({"BENCH_WEBSOCKETS": "1"},),
)

"""From the start of the process to the first answer: what a restart costs."""

from __future__ import annotations

from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload


def measure(server: Server, round: Round) -> Figures:
    return {"time": server.started}


WORKLOAD = Workload(
    "startup",
    "from the start of the process to its first answer",
    peers=("sanic", "uvicorn"),
    probe=Probe(b"Hello, world!"),
    lines=(Line("time", "ms", "lower", scale=1e-3, goals=(Goal("sanic", 0.5, 1.0),)),),
    measure=measure,
    repeats=3,
    saturates=False,
)

"""A new connection for each request: what accepting, and ending, costs.

Every closed connection holds a port for a while (TIME_WAIT), so rounds are short, and every server process has a port
of its own, which makes its connections different ones from those of the others.
"""

from __future__ import annotations

from dataclasses import replace

from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk

SECONDS = 2  # at most


def measure(server: Server, round: Round) -> Figures:
    effort = replace(round.effort, warm_up=0, seconds=min(round.effort.seconds, SECONDS))
    return {"rate": wrk(server, "/", effort, headers={"Connection": "close"}).requests}


WORKLOAD = Workload(
    "connections",
    "13 bytes of text, a new connection for each request, 64 at a time",
    peers=("sanic", "uvicorn"),
    probe=Probe(b"Hello, world!", headers={"Connection": "close"}),
    lines=(Line("rate", "req/s", goals=(Goal("sanic", 1.0, 0.8),)),),
    measure=measure,
)

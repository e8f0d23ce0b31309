"""A body that is known whole and does not fit into a socket's buffer at a stroke."""

from __future__ import annotations

from side_by_side.workload import Figures, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk


def measure(server: Server, round: Round) -> Figures:
    return {"rate": wrk(server, "/large", round.effort).requests}


WORKLOAD = Workload(
    "large",
    "100 KB in one body, 64 connections",
    peers=("sanic", "uvicorn"),
    probe=Probe(b"x" * 100_000, "/large"),
    lines=(Line("rate", "req/s"),),
    measure=measure,
)

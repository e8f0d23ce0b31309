"""The smallest answer, as fast as it can be asked for: what a request costs when the handler costs nothing."""

from __future__ import annotations

from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk


def measure(server: Server, round: Round) -> Figures:
    return {"rate": wrk(server, "/", round.effort).requests}


WORKLOAD = Workload(
    "hello",
    "13 bytes of text, 64 connections",
    peers=(
        "hypercorn",
        "anycorn",
        "quart-trio",
        "starlette",
        "sanic",
        "uvicorn",
        "granian",
        "stream-limit",
        "epoll-limit",
    ),
    probe=Probe(b"Hello, world!"),
    lines=(
        Line(
            "rate",
            "req/s",
            goals=(
                Goal("hypercorn", 20, 16),
                Goal("sanic", 1.7, 1.4),
                Goal("uvicorn", 1.35, 1.1),
                Goal("epoll-limit", 0.62, 0.5),
            ),
        ),
    ),
    measure=measure,
)

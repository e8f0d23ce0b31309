"""A streamed response: 64 pieces of 16 KiB from the handler, each sent as it comes."""

from __future__ import annotations

from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk


def measure(server: Server, round: Round) -> Figures:
    return {"rate": wrk(server, "/download", round.effort, connections=16).bytes}


WORKLOAD = Workload(
    "download",
    "64 x 16 KiB streamed, 16 connections",
    peers=("sanic", "uvicorn"),
    probe=Probe(b"x" * (64 * 16 * 1024), "/download"),
    lines=(Line("rate", "MB/s", scale=1e6, goals=(Goal("uvicorn", 1.3, 1.0),)),),
    measure=measure,
)

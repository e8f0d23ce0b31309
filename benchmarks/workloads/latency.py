"""How long the unluckiest of a hundred waits at half of the load that a server can take.

Twice: at half of what each server itself can take, so that all are equally busy, and at half of what uvicorn can take,
so that all do the same work.  The peak is measured with wrk right before; requests then come at a fixed rate (see
`side_by_side.open_loop` for why wrk does not do for that).
"""

from __future__ import annotations

from side_by_side.open_loop import latencies, percentile
from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk

YARDSTICK = "uvicorn"
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"  # as wrk asks
BODY = b"Hello, world!"
GOALS = (Goal(YARDSTICK, 1.0, 1.3),)


def measure(server: Server, round: Round) -> Figures:
    peak = wrk(server, "/", round.effort).requests
    figures = {"peak": peak, "p99 at half of its own peak": p99(server, peak / 2, round)}
    if server.name == YARDSTICK:
        figures["p99 at half of uvicorn's peak"] = figures["p99 at half of its own peak"]
    elif YARDSTICK in round.shown:
        figures["p99 at half of uvicorn's peak"] = p99(server, round.shown[YARDSTICK]["peak"] / 2, round)
    return figures


def p99(server: Server, rate: float, round: Round) -> float:
    request = REQUEST % server.port
    return percentile(latencies(server.port, request, BODY, rate=rate, seconds=round.effort.seconds), 99)


WORKLOAD = Workload(
    "latency",
    "13 bytes of text, 64 connections, requests at a fixed rate",
    peers=(YARDSTICK,),
    probe=Probe(BODY),
    lines=(
        Line("peak", "req/s"),
        Line("p99 at half of its own peak", "ms", "lower", scale=1e-3, goals=GOALS),
        Line("p99 at half of uvicorn's peak", "ms", "lower", scale=1e-3, goals=GOALS),
    ),
    measure=measure,
    saturates=False,
)

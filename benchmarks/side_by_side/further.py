"""What one more of something costs: none of it, one and ten, before the smallest answer.

Counted in the processor time of the server, which knows less of what else is at work than the clock does: one more
costs a hundredth of a request.  Having any at all may cost something by itself, so the cost of one more is that of nine
of them, divided; the figures for none, for one and for ten stand beside it.

Some processes are a few percent faster than others for as long as they live, which is as much as nine more cost.  So
many of them are measured, each for a moment.
"""

from __future__ import annotations

from dataclasses import replace

from attacks.target import Target

from .workload import Figures, Goal, Line, Probe, Round, Server, Workload
from .wrk import wrk

__all__ = ["EACH", "NUMBERS", "cost_of_one", "further"]

NUMBERS = (0, 1, 10)
REPEATS = 3  # in each round
SECONDS = 1  # of load
EACH = "each further one"
PEER = "sanic"


def cost_of_one(times: Figures) -> float:
    """How much longer a request takes for each of what there is ten times rather than once."""
    _, few, many = NUMBERS
    return (times[_with(many)] - times[_with(few)]) / (many - few)


def further(name: str, summary: str, variable: str) -> Workload:
    """The workload.

    Parameters:
      variable: of the environment, in which the programs of the servers find how many there are to be.
    """

    def measure(server: Server, round: Round) -> Figures:
        number = int(server.setting[variable])
        times = {**round.so_far, _with(number): time_of_one(server, round)}
        return {**times, EACH: cost_of_one(times)} if number == NUMBERS[-1] else times

    return Workload(
        name,
        summary,
        peers=(PEER,),
        probe=Probe(b"Hello, world!"),
        lines=(
            *(Line(_with(number), "µs", "lower", scale=1e-6) for number in NUMBERS),
            Line(EACH, "µs", "lower", scale=1e-6, goals=(Goal(PEER, 0.5, 1.0),)),
        ),
        measure=measure,
        repeats=REPEATS,
        settings=tuple({variable: str(number)} for number in NUMBERS),
    )


def time_of_one(server: Server, round: Round) -> float:
    """Seconds of processor time for a request."""
    process = Target("127.0.0.1", server.port, server.pid)
    before = process.cpu_precisely()
    answers = wrk(server, "/", replace(round.effort, warm_up=0, seconds=SECONDS)).answers
    return (process.cpu_precisely() - before) / answers


def _with(number: int) -> str:
    return f"with {number}"

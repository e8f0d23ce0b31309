"""The order of measuring: in each round every server in turn, A B C A B C, so that what changes on the machine while it
measures changes for all.

Only one server runs at a time, and each measurement has a new process: where things happen to lie in memory is drawn
again each time, and the median is of the server rather than of one such draw.  A measurement that was disturbed, which
is nobody's doing here, is made again, a few times at most; the one that was disturbed least counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .candidates import Candidate
from .cores import Cores, Usage, Watch
from .process import running
from .workload import Effort, Figures, Round, Workload

__all__ = ["Sample", "run_rounds"]

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """What one measurement of one server found."""

    workload: Workload
    server: str
    round: int
    figures: Figures
    usage: Usage


def run_rounds(
    workload: Workload,
    candidates: Sequence[Candidate],
    effort: Effort,
    cores: Cores,
    report: Callable[[Sample], None],
) -> list[Sample]:
    """All samples of a workload; each is reported as soon as it is there."""
    samples: list[Sample] = []
    for number in range(1, effort.rounds * workload.repeats + 1):
        shown: dict[str, Figures] = {}
        for candidate in candidates:
            attempts: list[tuple[Figures, Usage]] = []
            while not attempts or (attempts[-1][1].disturbed and len(attempts) < ATTEMPTS):
                attempts.append(_measured(workload, candidate, effort, shown, cores))
            figures, usage = min(attempts, key=lambda attempt: attempt[1].waited)
            shown[candidate.name] = figures
            samples.append(Sample(workload, candidate.name, number, figures, usage))
            report(samples[-1])
    return samples


def _measured(
    workload: Workload, candidate: Candidate, effort: Effort, shown: Mapping[str, Figures], cores: Cores
) -> tuple[Figures, Usage]:
    figures: dict[str, float] = {}
    usages: list[Usage] = []
    for setting in workload.settings:
        with running(candidate, setting, workload.probe, cores.server) as server:
            watch = Watch(cores.server, server.pid)
            this = Round(effort, shown, figures)
            figures |= workload.measure(server, this)
            usages.append(watch.usage(sum(this.waits)))
    return figures, Usage(min(usage.busy for usage in usages), max(usage.waited for usage in usages))

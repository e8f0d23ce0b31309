"""Measures trioframe and its peers in turn, in one run on one machine, and says how they compare.

    make bench                                                     all; some 25 minutes
    make bench BENCH="--quick"                                     all, briefly: does everything work?
    make bench BENCH="--only hello,json --peers sanic --rounds 3"  a part
    make bench BENCH="--write docs/performance.md"                 and put the tables into the documentation

Progress is on standard error, the tables are on standard output.  Only loopback is used, every load is bounded, and
every server that was started is ended.  It fails if anything was not answered as it should have been; a goal that is
missed is no failure.  README.md in this folder says how to read the results.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import median

from side_by_side.candidates import CANDIDATES, Candidate, check_interpreters, versions, why_not
from side_by_side.cores import Cores
from side_by_side.machine import allow_descriptors, facts
from side_by_side.page import with_results
from side_by_side.report import figure, results
from side_by_side.rounds import Sample, run_rounds
from side_by_side.verdict import OURS, values
from side_by_side.workload import BenchmarkError, Effort, Workload
from side_by_side.wrk import check_wrk
from workloads import WORKLOADS

FULL = Effort(rounds=5, seconds=3, warm_up=1, crowd=5000)
QUICK = Effort(rounds=1, seconds=1, warm_up=0, crowd=500)
DESCRIPTORS = 200  # that a process needs beside those of the crowd

Plan = Mapping[str, Sequence[Candidate]]  # by workload: who is measured, in this order


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended then, too
    try:
        run(arguments)
    except BenchmarkError as error:
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure trioframe and its peers side by side.")
    peers = [name for name in CANDIDATES if name != OURS]
    parser.add_argument("--only", type=names_of(WORKLOADS), default=list(WORKLOADS), metavar="WORKLOAD,...")
    parser.add_argument("--peers", type=names_of(peers), default=peers, metavar="PEER,...")
    parser.add_argument("--rounds", type=int, help=f"instead of {FULL.rounds}")
    parser.add_argument("--seconds", type=int, help=f"of load in each measurement, instead of {FULL.seconds}")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--cores", metavar="SERVER,LOAD", help="the first and the last by default")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks of that page")
    return parser.parse_args()


def names_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return chosen

    return names


def run(arguments: argparse.Namespace) -> None:
    check_wrk()
    check_interpreters()
    effort = effort_of(arguments)
    cores = Cores.chosen(arguments.cores)
    plan, left_out = planned([WORKLOADS[name] for name in arguments.only], arguments.peers)
    allow_descriptors(effort.crowd + DESCRIPTORS)
    cores.take_load()
    progress = Progress(sum(len(plan[name]) * WORKLOADS[name].repeats * effort.rounds for name in plan))
    samples = [
        sample
        for name, candidates in plan.items()
        for sample in run_rounds(WORKLOADS[name], candidates, effort, cores, progress)
    ]
    measured = {candidate.name: candidate for candidates in plan.values() for candidate in candidates}
    tables = results(samples, facts(cores, effort, progress.minutes), versions(measured.values()), left_out)
    sys.stdout.write(tables)
    if arguments.output is not None:
        arguments.output.write_text(tables)
    if arguments.write is not None:
        arguments.write.write_text(with_results(arguments.write.read_text(), tables))


def effort_of(arguments: argparse.Namespace) -> Effort:
    preset = QUICK if arguments.quick else FULL
    return Effort(
        rounds=arguments.rounds or preset.rounds,
        seconds=arguments.seconds or preset.seconds,
        warm_up=preset.warm_up,
        crowd=preset.crowd,
    )


def planned(workloads: Sequence[Workload], peers: Sequence[str]) -> tuple[Plan, dict[str, str]]:
    """Who is measured at what, and who is left out because it does not import."""
    wanted = {
        workload.name: [CANDIDATES[name] for name in (*workload.peers, OURS) if name in (*peers, OURS)]
        for workload in workloads
    }
    left_out = {one.name: reason for candidates in wanted.values() for one in candidates if (reason := why_not(one))}
    if OURS in left_out:
        raise BenchmarkError(f"trioframe does not import: {left_out[OURS]}")
    for name, reason in left_out.items():
        say(f"{name} does not import and is left out: {reason}")
    plan = {name: [one for one in candidates if one.name not in left_out] for name, candidates in wanted.items()}
    return plan, left_out


class Progress:
    """Says what each measurement found, as soon as it is there."""

    def __init__(self, total: int) -> None:
        self._total, self._samples = total, list[Sample]()
        self._began = time.monotonic()

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._began) / 60

    def __call__(self, sample: Sample) -> None:
        self._samples.append(sample)
        alike = [one for one in self._samples if one.workload is sample.workload]
        found = []
        for line in sample.workload.lines:
            if line.name in sample.figures:
                so_far = median(values(alike, sample.server, line))
                found.append(
                    f"{line.name} {figure(sample.figures[line.name], line)} {line.unit}"
                    f" (median so far {figure(so_far, line)})"
                )
        if sample.workload.saturates:
            found.append(f"core {sample.usage.busy:.0%} busy")
        if sample.usage.disturbed:
            found.append(f"DISTURBED: waited for its core {sample.usage.waited:.0%} of the time")
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        where = f"{sample.workload.name:<14}round {sample.round:<3}{sample.server:<20}"
        say(f"[{len(self._samples):>3}/{self._total} {minutes:>2}:{seconds:02}] {where}{', '.join(found)}")


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

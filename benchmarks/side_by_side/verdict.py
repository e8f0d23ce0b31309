"""What samples say: medians, ratios, and whether a goal is reached.  Arithmetic; it measures and prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from .rounds import Sample
from .workload import Goal, Line, Workload

__all__ = ["OURS", "Spread", "Verdict", "judge", "judged", "ratio", "spread", "values"]

OURS = "trioframe"


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one goal.

    Attributes:
      found: trioframe : peer, or trioframe's own figure, over the rounds.
      words: what comes of it.
    """

    workload: Workload
    line: Line
    goal: Goal
    found: Spread
    words: str


def spread(numbers: Sequence[float]) -> Spread:
    return Spread(median(numbers), min(numbers), max(numbers))


def values(samples: Sequence[Sample], server: str, line: Line) -> list[float]:
    """A server's figures, round by round."""
    return [sample.figures[line.name] for sample in samples if sample.server == server and line.name in sample.figures]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of the medians; lowest and highest are of single rounds, and show how much of it is noise."""
    rounds = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Spread(median(ours) / median(theirs), min(rounds), max(rounds))


def judge(found: float, goal: Goal, better: Literal["higher", "lower"]) -> str:
    sign = 1 if better == "higher" else -1
    if sign * found >= sign * goal.wanted:
        return "goal reached"
    return "acceptable" if sign * found >= sign * goal.acceptable else "not acceptable"


def judged(workload: Workload, samples: Sequence[Sample]) -> list[Verdict]:
    """A verdict for each goal of which something was measured."""
    verdicts = []
    for line in workload.lines:
        ours = values(samples, OURS, line)
        for goal in line.goals:
            theirs = values(samples, goal.peer, line) if goal.peer is not None else ours
            if not ours or not theirs:
                continue
            scaled = [value / line.scale for value in ours]
            found = ratio(ours, theirs) if goal.peer is not None else spread(scaled)
            verdicts.append(Verdict(workload, line, goal, found, judge(found.median, goal, line.better)))
    return verdicts

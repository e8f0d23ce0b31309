"""What came of cancelling a request at each of its checkpoints, in a form that says where to look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Finding", "Report"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that went wrong.

    Attributes:
      problem: what went wrong, in words.
      reason: what the request was cancelled for; None if it went wrong without that.
      checkpoint: the checkpoint it was cancelled at, counted from 1; 0 without a cancellation.
      place: where the code under test stood then: file, line, function and text.
    """

    problem: str
    reason: str | None = None
    checkpoint: int = 0
    place: str = ""


@dataclass(slots=True)
class Report:
    """The result of `cancel_everywhere`; `str()` tells it in words.

    Attributes:
      request: method and target.
      reasons: what the request was cancelled for.
      checkpoints: how many it was cancelled at.
      runs: how often it was cancelled.
      complete: whether the search went to its end; it does not if the app does not recover from a run.
      findings: all that went wrong, in the order it was found.
    """

    request: str
    reasons: Sequence[str]
    checkpoints: int = 0
    runs: int = 0
    complete: bool = True
    findings: list[Finding] = field(default_factory=list)

    def add(self, reason: str, checkpoint: int, place: str, problems: Iterable[str]) -> None:
        """The request was cancelled for `reason` at `checkpoint`, and these `problems` came of it."""
        self.runs += 1
        self.checkpoints = max(self.checkpoints, checkpoint)
        self.findings += [Finding(problem, reason, checkpoint, place) for problem in problems]

    def check(self) -> None:
        """Raise an AssertionError that tells everything, if anything went wrong."""
        if self.findings:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        by_problem: dict[str, list[Finding]] = {}
        for finding in self.findings:
            by_problem.setdefault(finding.problem, []).append(finding)
        runs, checkpoints = _count(self.runs, "time"), _count(self.checkpoints, "checkpoint")
        lines = [
            f"{self.request}: {_count(len(by_problem), 'problem')}",
            f"cancelled {runs}, at {checkpoints}, for {', '.join(self.reasons)}",
        ]
        for problem, findings in by_problem.items():
            lines += ["", problem, *_occasions(findings)]
        if not self.complete:
            lines += ["", "the search ended there: the app did not recover"]
        return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _occasions(findings: Iterable[Finding]) -> list[str]:
    """Lines such as ``disconnect, timeout at checkpoint 2, 3: app.py:3 in handler: await f()``."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for finding in findings:
        if finding.reason is None:
            return ["    without being cancelled"]
        reasons.setdefault((finding.place, finding.checkpoint), []).append(finding.reason)
    numbers: dict[tuple[str, str], list[str]] = {}
    for (place, checkpoint), why in reasons.items():
        numbers.setdefault((place, ", ".join(why)), []).append(str(checkpoint))
    return [f"    {why} at checkpoint {', '.join(at)}: {place}" for (place, why), at in numbers.items()]

"""What came of cancelling a request at each of its checkpoints, in a form that says where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Finding", "Report"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that went wrong.

    Attributes:
      problem: what went wrong, in words.
      reason: what the request was cancelled for; None if it went wrong without a cancellation.
      checkpoint: the checkpoint it was cancelled at, counted from 1; 0 without a cancellation.
      place: where the code under test stood then: file, line, function and text.
    """

    problem: str
    reason: str | None = None
    checkpoint: int = 0
    place: str = ""


@dataclass(slots=True)
class Report:
    """The result of `cancel_everywhere`; `str()` gives it in words.

    Attributes:
      request: method and target.
      reasons: what the request was cancelled for.
      checkpoints: how many there were to be cancelled at.
      runs: how often the request was cancelled.
      findings: all that went wrong, in the order it was found.
    """

    request: str
    reasons: Sequence[str]
    checkpoints: int = 0
    runs: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, reason: str, checkpoint: int, place: str, problems: Sequence[str]) -> None:
        """The request was cancelled for `reason` at `checkpoint`, and these `problems` came of it."""
        self.runs += 1
        self.checkpoints = max(self.checkpoints, checkpoint)
        self.findings += [Finding(problem, reason, checkpoint, place) for problem in problems]

    def check(self) -> None:
        """Raise an AssertionError that tells everything, if anything went wrong."""
        if self.findings:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        grouped: dict[str, dict[str, list[Finding]]] = {}
        for finding in self.findings:
            grouped.setdefault(finding.problem, {}).setdefault(finding.place, []).append(finding)
        count = f"{len(grouped)} problem{'s' * (len(grouped) != 1)}" if grouped else "no problem"
        lines = [
            f"{self.request}: {count}; cancelled {self.runs} times"
            f" ({' and '.join(self.reasons)}, at each of {self.checkpoints} checkpoints)"
        ]
        for problem, places in grouped.items():
            lines += ["", problem]
            lines += [f"    {_when(findings)}{place}" for place, findings in places.items()]
        return "\n".join(lines)


def _when(findings: Sequence[Finding]) -> str:
    """As in ``disconnect at 2, 3; timeout at 3: ``."""
    times: dict[str, list[str]] = {}
    for finding in findings:
        if finding.reason is None:
            return "also without being cancelled"
        times.setdefault(finding.reason, []).append(str(finding.checkpoint))
    return "; ".join(f"{reason} at {', '.join(numbers)}" for reason, numbers in times.items()) + ": "

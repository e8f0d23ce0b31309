"""The results as Markdown: for the terminal, for a file, and for the page of the documentation.

Ratios come first, because they are what can be compared between machines; figures and versions follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from .cores import DISTURBED
from .rounds import Sample
from .verdict import OURS, Verdict, judged, ratio, spread, values
from .workload import Line, Workload

__all__ = ["figure", "results"]


def results(
    samples: Sequence[Sample], machine: Mapping[str, str], versions: Mapping[str, str], left_out: Mapping[str, str]
) -> str:
    """All there is to say of a run."""
    workloads = list(dict.fromkeys(sample.workload for sample in samples))
    by_workload = {one.name: [sample for sample in samples if sample.workload is one] for one in workloads}
    verdicts = [verdict for one in workloads for verdict in judged(one, by_workload[one.name])]
    parts = [_goals(verdicts)] if verdicts else []
    parts += [_figures(one, line, by_workload[one.name]) for one in workloads for line in one.lines]
    parts += [_machine(machine, versions, left_out), _noise(samples)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _goals(verdicts: Iterable[Verdict]) -> Iterator[str]:
    yield "### trioframe against its goals"
    yield ""
    yield "| workload | against | trioframe : it | single rounds | goal | acceptable | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for verdict in verdicts:
        goal, line, found = verdict.goal, verdict.line, verdict.found
        unit = "" if goal.peer else f" {line.unit}"
        bound = "at least" if line.better == "higher" else "at most"
        cells = [
            f"{verdict.workload.name}, {line.name}",
            goal.peer or "itself",
            f"**{found.median:.2f}**{unit}",
            f"{found.lowest:.2f} to {found.highest:.2f}",
            f"{bound} {goal.wanted:g}{unit}",
            f"{bound} {goal.acceptable:g}{unit}",
            verdict.words if verdict.words != "not acceptable" else f"**{verdict.words}**",
        ]
        yield f"| {' | '.join(cells)} |"


def _figures(workload: Workload, line: Line, samples: Sequence[Sample]) -> Iterator[str]:
    ours = values(samples, OURS, line)
    better = "" if line.better == "higher" else " (lower is better)"
    yield f"### {workload.name}, {line.name}: {workload.summary}"
    yield ""
    yield f"| server | {line.unit}{better} | rounds | trioframe : it |{' core busy |' if workload.saturates else ''}"
    yield f"|---|---|---|---|{'---|' if workload.saturates else ''}"
    for server in dict.fromkeys(sample.server for sample in samples):
        theirs = values(samples, server, line)
        if not theirs:
            continue
        found = spread(theirs)
        cells = [
            server,
            figure(found.median, line),
            f"{figure(found.lowest, line)} to {figure(found.highest, line)}",
            f"{ratio(ours, theirs).median:.2f}" if ours and server != OURS else "",
        ]
        if workload.saturates:
            cells.append(f"{median(sample.usage.busy for sample in samples if sample.server == server):.0%}")
        yield f"| {' | '.join(cells)} |"


def _machine(machine: Mapping[str, str], versions: Mapping[str, str], left_out: Mapping[str, str]) -> Iterator[str]:
    yield "### What ran"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in machine.items():
        yield f"| {name} | {value} |"
    yield f"| versions | {', '.join(f'{name} {version}' for name, version in versions.items())} |"
    for name, reason in left_out.items():
        yield f"| left out: {name} | does not import: {reason} |"


def _noise(samples: Sequence[Sample]) -> Iterator[str]:
    disturbed = sum(sample.usage.disturbed for sample in samples)
    yield (
        f"In {disturbed} of {len(samples)} measurements the server or the load had to wait for its core for more than "
        f"{DISTURBED:.0%} of the time, because something else was at work on this machine."
    )


def figure(value: float, line: Line) -> str:
    """In the unit of its line, with three digits or all before the point."""
    scaled = value / line.scale
    return f"{scaled:,.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"

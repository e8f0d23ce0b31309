"""What became of an attack, for people, for programs and for the documentation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .attack import Attack, Figure

__all__ = ["Result", "as_json", "as_lines", "as_row", "table_head"]

SHOWN = {"others, max": "others, max", "memory": "memory growth", "CPU": "CPU"}


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one attack.

    Attributes:
      own: what the attacker saw.
      around: what it did to the server and to others, by what was measured.
    """

    attack: Attack
    own: Sequence[Figure]
    around: Sequence[Figure]

    @property
    def figures(self) -> list[Figure]:
        return [*self.own, *self.around]

    @property
    def ok(self) -> bool:
        return all(figure.ok for figure in self.figures)


def as_lines(result: Result) -> Iterable[str]:
    """A figure on each line: as demanded or not, what, how much, and what was demanded."""
    yield f"\n{result.attack.name}: {result.attack.summary}"
    for figure in result.figures:
        verdict = "" if not figure.demand else "ok" if figure.ok else "FAIL"
        yield f"  {verdict:<5}{figure.what:<60}{figure.value:>14}   {figure.demand}".rstrip()


def as_json(results: Iterable[Result]) -> str:
    return json.dumps(
        {result.attack.name: [dataclasses.asdict(figure) for figure in result.figures] for result in results}
    )


def table_head() -> Iterable[str]:
    yield f"| attack | what the attacker saw | {' | '.join(SHOWN)} |"
    yield "|---|---|" + "---|" * len(SHOWN)


def as_row(result: Result) -> str:
    """A row of a Markdown table; what was found exactly as demanded is left out."""
    seen = [_described(figure) for figure in result.own if not figure.ok or figure.value != figure.demand]
    around = {figure.what.partition(", of")[0]: figure for figure in result.around}
    cells = [around[what].value if what in around else "" for what in SHOWN.values()]
    cells = [f"`{result.attack.name}`: {result.attack.summary}", "; ".join(seen) or "as demanded", *cells]
    return f"| {' | '.join(cells)} |"


def _described(figure: Figure) -> str:
    demand = f" ({figure.demand})" if figure.demand else ""
    return f"{'' if figure.ok else '**FAIL** '}{figure.what} {figure.value}{demand}"

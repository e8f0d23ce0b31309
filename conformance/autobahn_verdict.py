"""What the Autobahn|Testsuite found: read from its index, held to what is wanted, told as Markdown.

The suite judges each case twice: how the peer behaved, and how it closed.  ``OK`` is what it wants.  ``INFORMATIONAL``
is not a judgement: the RFC leaves open what is to be done, and the suite only notes what was.  ``NON-STRICT`` is
allowed, and not what it wants; everything else is a fault.  So the first two are wanted here, and no other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BEGIN", "END", "GROUPS", "Case", "read_index", "read_versions", "render", "with_results"]

BEGIN = "<!-- results of make autobahn: begin -->"
END = "<!-- results of make autobahn: end -->"

OK = "OK"
WANTED = frozenset({OK, "INFORMATIONAL"})

GROUPS = {
    1: "frames of all lengths",
    2: "pings and pongs",
    3: "reserved bits",
    4: "reserved opcodes",
    5: "fragments",
    6: "UTF-8, valid and not",
    7: "closing: order, codes and reasons",
    9: "up to 16 MiB, whole, in fragments, octet by octet",
    10: "fragments made by the sender's library",
    12: "compression: contents, sizes, fragments",
    13: "compression: parameters of the offer",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case, and how it ended.

    Parameters:
      name: numbers with dots between.
      behavior, close: in the words of the suite.
      code: of the close frame that the suite got; None if it got none, or one without a code.
    """

    name: str
    behavior: str
    close: str
    code: int | None

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(map(int, self.name.split(".")))

    @property
    def plain(self) -> bool:
        """Whether there is nothing to say about it."""
        return self.behavior == self.close == OK

    @property
    def wanted(self) -> bool:
        return {self.behavior, self.close} <= WANTED


def read_index(text: str) -> list[Case]:
    """The cases of one run, from the ``index.json`` of its reports, in the order of their numbers.

    Raises:
      ValueError: it is no index, or of more than one peer.
    """
    index = json.loads(text)
    if not isinstance(index, dict) or len(index) != 1:
        raise ValueError("an index of the cases of one peer was expected")
    [cases] = index.values()
    try:
        found = [
            Case(name, case["behavior"], case["behaviorClose"], case["remoteCloseCode"]) for name, case in cases.items()
        ]
        return sorted(found, key=lambda case: case.number)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the index is not written as expected: {error!r}") from error


def read_versions(text: str) -> dict[str, str]:
    """What ``wstest --autobahnversion`` writes: a name and a version in each line."""
    lines = (line.rpartition(" ") for line in text.strip().splitlines())
    return {name.strip(): version for name, _, version in lines if name.strip()}


def render(cases: Sequence[Case], versions: Mapping[str, str]) -> str:
    """Counts for each group, each case that is not OK, and what it was found with."""
    groups = sorted({case.number[0] for case in cases})
    rows = [_row(f"{group}: {GROUPS[group]}" if group in GROUPS else str(group), _of(group, cases)) for group in groups]
    odd = [case for case in cases if not case.plain]
    parts = [
        _table(("group", "cases", "behaviour", "close"), [*rows, _row("**all**", cases)]),
        "Each case that is not OK in both:" if odd else "Every case is OK in both.",
        *([_table(("case", "behaviour", "close", "code we closed with"), map(_odd_row, odd))] if odd else []),
        "Found with:",
        _table(("what", "version"), versions.items()),
    ]
    return "\n\n".join(parts)


def _of(group: int, cases: Iterable[Case]) -> list[Case]:
    return [case for case in cases if case.number[0] == group]


def _row(title: str, cases: Sequence[Case]) -> tuple[str, ...]:
    return title, str(len(cases)), _counted(case.behavior for case in cases), _counted(case.close for case in cases)


def _counted(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{counts[word]} {word}" for word in sorted(counts, key=lambda word: (word != OK, word)))


def _odd_row(case: Case) -> tuple[str, ...]:
    return case.name, case.behavior, case.close, "none" if case.code is None else str(case.code)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([_line(head), "|" + "---|" * len(head), *map(_line, rows)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_results(page: str, results: str) -> str:
    """The page with `results` in place of what stood between its marks.

    Raises:
      ValueError: the marks are not there, once each and in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in head + tail:
        raise ValueError(f"the page must have {BEGIN} and behind it {END}, once each")
    return f"{head}{BEGIN}\n\n{results.strip()}\n\n{END}{tail}"

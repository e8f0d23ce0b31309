"""Results as Markdown."""

from __future__ import annotations

import pytest
from side_by_side.cores import Usage
from side_by_side.report import figure, results
from side_by_side.rounds import Sample
from side_by_side.workload import Goal, Line, Probe, Workload

LINE = Line("rate", "req/s", goals=(Goal("peer", 1.7, 1.4),))
WORKLOAD = Workload("hello", "13 bytes", ("peer",), Probe(b""), (LINE,), measure=lambda *_: {})
SAMPLES = [
    Sample(WORKLOAD, "peer", 1, {"rate": 40_000.0}, Usage(0.99, 0.01)),
    Sample(WORKLOAD, "trioframe", 1, {"rate": 50_000.0}, Usage(0.98, 0.2)),
]


def test_a_run_is_told_in_tables():
    told = results(SAMPLES, {"kernel": "Linux"}, {"peer": "1.0"}, {"quart-trio": "ImportError"}).splitlines()
    assert "| hello, rate | peer | **1.25** | 1.25 to 1.25 | at least 1.7 | at least 1.4 | **not acceptable** |" in told
    assert "| peer | 40,000 | 40,000 to 40,000 | 1.25 | 99% |" in told
    assert "| trioframe | 50,000 | 50,000 to 50,000 |  | 98% |" in told
    assert "| versions | peer 1.0 |" in told
    assert "| left out: quart-trio | does not import: ImportError |" in told
    assert told[-1].startswith("In 1 of 2 measurements")


def test_all_rows_of_a_table_have_as_many_cells():
    told = results(SAMPLES, {"kernel": "Linux"}, {"peer": "1.0"}, {})
    for table in told.split("\n\n"):
        rows = [line.count("|") for line in table.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1


def test_without_goals_there_is_no_table_of_them():
    workload = Workload("large", "", (), Probe(b""), (Line("rate", "req/s"),), measure=lambda *_: {})
    told = results([Sample(workload, "trioframe", 1, {"rate": 1.0}, Usage(1.0, 0.0))], {}, {}, {})
    assert "goals" not in told


@pytest.mark.parametrize(
    ("value", "scale", "shown"),
    [(61_234.4, 1, "61,234"), (99.4, 1, "99.4"), (0.00123, 1e-3, "1.23"), (8151, 1024, "7.96"), (2.5e9, 1e6, "2,500")],
)
def test_figures_have_three_digits_or_all_before_the_point(value, scale, shown):
    assert figure(value, Line("any", "any", scale=scale)) == shown

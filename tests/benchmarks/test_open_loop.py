"""The arithmetic of latencies."""

from __future__ import annotations

import pytest
from side_by_side.open_loop import percentile


@pytest.mark.parametrize(
    ("percent", "value"),
    [(0, 1), (1, 1), (50, 50), (99, 99), (99.1, 100), (100, 100)],
)
def test_a_percentile_of_a_hundred(percent, value):
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_a_percentile_of_one():
    assert percentile([7.0], 99) == 7.0

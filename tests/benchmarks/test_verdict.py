"""Medians, ratios and verdicts."""

from __future__ import annotations

import pytest
from side_by_side.cores import Usage
from side_by_side.rounds import Sample
from side_by_side.verdict import OURS, Spread, judge, judged, ratio, spread, values
from side_by_side.workload import Goal, Line, Probe, Workload

RATE = Line("rate", "req/s", goals=(Goal("peer", 1.7, 1.4), Goal("absent", 1, 1)))
MEMORY = Line("memory", "KiB", "lower", scale=1024, goals=(Goal(None, 6, 8),))
WORKLOAD = Workload("both", "two lines", ("peer", "absent"), Probe(b""), (RATE, MEMORY), measure=lambda *_: {})


def sample(server, round, **figures):
    return Sample(WORKLOAD, server, round, figures, Usage(1.0, 0.0))


SAMPLES = [
    sample("peer", 1, rate=100.0),
    sample(OURS, 1, rate=150.0, memory=7 * 1024.0),
    sample("peer", 2, rate=50.0),
    sample(OURS, 2, rate=170.0, memory=5 * 1024.0),
    sample("peer", 3, rate=110.0),
    sample(OURS, 3, rate=190.0, memory=9 * 1024.0),
]


@pytest.mark.parametrize(
    ("found", "better", "words"),
    [
        (1.8, "higher", "goal reached"),
        (1.7, "higher", "goal reached"),
        (1.69, "higher", "acceptable"),
        (1.4, "higher", "acceptable"),
        (1.39, "higher", "not acceptable"),
    ],
)
def test_more_is_better(found, better, words):
    assert judge(found, Goal("peer", 1.7, 1.4), better) == words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (0.4, "goal reached"),
        (0.5, "goal reached"),
        (0.51, "acceptable"),
        (1.0, "acceptable"),
        (1.01, "not acceptable"),
    ],
)
def test_less_is_better(found, words):
    assert judge(found, Goal("peer", 0.5, 1.0), "lower") == words


def test_a_spread_is_median_and_extremes():
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_ratio_is_of_the_medians_and_its_extremes_of_single_rounds():
    assert ratio([150.0, 170.0, 190.0], [100.0, 50.0, 110.0]) == Spread(1.7, 1.5, 3.4)


def test_figures_are_found_by_server_and_line():
    assert values(SAMPLES, "peer", RATE) == [100.0, 50.0, 110.0]
    assert values(SAMPLES, "peer", MEMORY) == []
    assert values(SAMPLES, "absent", RATE) == []


def test_each_goal_that_was_measured_has_a_verdict():
    against_peer, absolute = judged(WORKLOAD, SAMPLES)
    assert (against_peer.goal.peer, against_peer.found, against_peer.words) == (
        "peer",
        Spread(1.7, 1.5, 3.4),
        "goal reached",
    )
    assert (absolute.goal.peer, absolute.found, absolute.words) == (None, Spread(7.0, 5.0, 9.0), "acceptable")


def test_without_our_own_figures_there_is_nothing_to_judge():
    assert judged(WORKLOAD, [one for one in SAMPLES if one.server != OURS]) == []

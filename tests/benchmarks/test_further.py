"""What one more costs."""

from __future__ import annotations

from side_by_side.further import EACH, NUMBERS, cost_of_one, further


def test_the_cost_of_one_is_that_of_nine_divided():
    assert cost_of_one({"with 0": 1.0, "with 1": 5.0, "with 10": 23.0}) == 2.0


def test_there_is_a_process_and_a_figure_for_each_number():
    workload = further("layers", "layers of nothing", "BENCH_LAYERS")
    assert [setting["BENCH_LAYERS"] for setting in workload.settings] == [str(number) for number in NUMBERS]
    assert [line.name for line in workload.lines] == ["with 0", "with 1", "with 10", EACH]
    assert [line.better for line in workload.lines] == ["lower"] * 4


def test_the_goal_is_half_of_what_the_peer_takes():
    workload = further("layers", "layers of nothing", "BENCH_LAYERS")
    assert [(goal.peer, goal.wanted) for line in workload.lines for goal in line.goals] == [(*workload.peers, 0.5)]

"""The tables of workloads and of candidates fit together."""

from __future__ import annotations

import json

import pytest
from side_by_side.candidates import CANDIDATES, SERVERS
from side_by_side.ws.echo_load import LETTERS
from workloads import WORKLOADS, json_post


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_a_workload_names_peers_and_has_goals_against_them(workload):
    assert set(workload.peers) <= set(CANDIDATES) - {"trioframe"}
    assert {goal.peer for line in workload.lines for goal in line.goals} <= {None, *workload.peers}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_a_goal_is_not_worse_than_what_is_acceptable(workload):
    for line in workload.lines:
        for goal in line.goals:
            better, worse = (goal.wanted, goal.acceptable)[:: 1 if line.better == "higher" else -1]
            assert better >= worse


@pytest.mark.parametrize("candidate", CANDIDATES.values(), ids=CANDIDATES)
def test_a_candidate_listens_where_it_is_told(candidate):
    assert "9001" in " ".join(candidate.command(9001))


@pytest.mark.parametrize("candidate", CANDIDATES.values(), ids=CANDIDATES)
def test_the_programs_of_candidates_are_there(candidate):
    for argument in candidate.arguments:
        name, _, app = argument.partition(":")
        if app == "app":
            assert (SERVERS / f"{name.removesuffix('.py')}.py").exists()
        elif name.endswith((".py", ".toml")):
            assert (SERVERS / name).exists()


def test_the_posted_order_is_of_the_size_and_the_receipt_what_is_announced():
    assert 1150 <= len(json_post.BODY) <= 1250
    assert 180 <= len(json.dumps(json_post.RECEIPT)) <= 220
    assert len(json_post.HEADERS) == 8 - len(("Host", "Content-Length"))


def test_what_is_told_to_all_is_what_all_expect():
    assert f'MESSAGE = "{LETTERS.decode()}"' in (SERVERS / "plain_message.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_what_a_workload_sets_is_read_by_the_programs_of_its_servers(workload):
    asked = (SERVERS / "asked.py").read_text(encoding="utf-8")
    for setting in workload.settings:
        assert all(f'"{variable}"' in asked for variable in setting)

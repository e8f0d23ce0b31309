"""The order of a response is what the table says, and nothing else."""

from __future__ import annotations

import itertools

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.http.response_state import (
    DATA,
    END,
    HEAD,
    INFORMATIONAL,
    NEXT,
    REQUEST,
    RESPONSE,
    STEPS,
    State,
    Step,
)

ALLOWED = [(state, step, after) for step in STEPS for state, after in step.items()]
FORBIDDEN = [(state, step) for state, step in itertools.product(State, STEPS) if state not in step]


def walk(*steps: Step) -> State:
    state = State.IDLE
    for step in steps:
        state = step[state]
    return state


@pytest.mark.parametrize(("state", "step", "after"), ALLOWED)
def test_what_the_table_has_can_be_done(state: State, step: Step, after: State) -> None:
    assert step[state] is after


@pytest.mark.parametrize(("state", "step"), FORBIDDEN)
def test_what_it_has_not_is_the_applications_mistake(state: State, step: Step) -> None:
    with pytest.raises(LocalProtocolError, match=": "):
        step[state]


def test_every_state_can_be_reached_and_only_a_switch_is_for_good() -> None:
    assert {after for _, _, after in ALLOWED} == set(State)
    assert set(State) - {state for state, _, _ in ALLOWED} == {State.SWITCHED}


def test_a_response_in_pieces() -> None:
    assert walk(REQUEST, INFORMATIONAL, INFORMATIONAL, HEAD, DATA, DATA) is State.BODY
    assert walk(REQUEST, HEAD, END) is State.COMPLETE


def test_a_response_at_once_and_the_next_request() -> None:
    assert walk(REQUEST, RESPONSE, NEXT, REQUEST) is State.AWAITED


def test_what_never_became_a_request_can_be_refused() -> None:
    assert walk(RESPONSE) is State.COMPLETE
    assert walk(HEAD, DATA, END) is State.COMPLETE


def test_there_is_one_final_head() -> None:
    with pytest.raises(LocalProtocolError, match="a response cannot begin: the response has begun and not ended"):
        walk(REQUEST, HEAD, HEAD)


def test_an_interim_response_comes_before_the_final_one() -> None:
    with pytest.raises(LocalProtocolError, match="a 1xx response cannot be sent: the response has begun"):
        walk(REQUEST, HEAD, INFORMATIONAL)

"""How a WebSocket ends is what the table says, and the table is what its page says."""

from __future__ import annotations

import pytest

from trioframe.ws import close_state
from trioframe.ws.close_state import ACCEPT, LOSE, OVER, RECEIVE, RECEIVE_CLOSE, SEND, SEND_CLOSE, SEND_PONG, State

STEPS = {
    "ACCEPT": ACCEPT,
    "SEND": SEND,
    "SEND_PONG": SEND_PONG,
    "SEND_CLOSE": SEND_CLOSE,
    "RECEIVE": RECEIVE,
    "RECEIVE_CLOSE": RECEIVE_CLOSE,
    "LOSE": LOSE,
}


def walk(*steps: dict[State, State]) -> State:
    state = State.CONNECTING
    for step in steps:
        state = step[state]
    return state


def after(*steps: dict[State, State]) -> set[str]:
    """What can be done when `steps` have been taken."""
    state = walk(*steps)
    return {name for name, step in STEPS.items() if state in step}


def test_the_table_is_as_it_is_written() -> None:
    text = (close_state.__doc__ or "").split("\n\n")[2]
    (_, *states), *rows = [line.split() for line in text.splitlines()]
    assert states == [state.name for state in State]
    assert {name: cells for name, *cells in rows} == {
        name: [step[state].name if state in step else "-" for state in State] for name, step in STEPS.items()
    }


def test_every_state_can_be_reached() -> None:
    assert {after for step in STEPS.values() for after in step.values()} == set(State) - {State.CONNECTING}


def test_what_is_over_stays_over() -> None:
    assert {state: {step[state] for step in STEPS.values() if state in step} for state in OVER} == {
        State.CLOSED: {State.CLOSED},
        State.LOST: {State.LOST},
    }


@pytest.mark.parametrize("state", State)
def test_a_connection_can_be_lost_at_any_time(state: State) -> None:
    assert LOSE[state] in OVER


class TestWays:
    def test_we_close(self) -> None:
        assert after(ACCEPT, SEND, RECEIVE, SEND_CLOSE) == {"SEND_PONG", "RECEIVE_CLOSE", "LOSE"}
        assert walk(ACCEPT, SEND_CLOSE, SEND_PONG, RECEIVE_CLOSE) is State.CLOSED

    def test_the_peer_closes(self) -> None:
        assert after(ACCEPT, RECEIVE_CLOSE) == {"SEND_CLOSE", "LOSE"}
        assert walk(ACCEPT, RECEIVE_CLOSE, SEND_CLOSE) is State.CLOSED

    def test_closed_is_not_lost_any_more(self) -> None:
        """The end of the stream is how it has to go on (RFC 6455 section 7.1.1)."""
        assert walk(ACCEPT, SEND_CLOSE, RECEIVE_CLOSE, LOSE) is State.CLOSED

    @pytest.mark.parametrize("steps", [(), (ACCEPT,), (ACCEPT, SEND_CLOSE), (ACCEPT, RECEIVE_CLOSE)])
    def test_anything_less_is_lost(self, steps: tuple[dict[State, State], ...]) -> None:
        assert walk(*steps, LOSE) is State.LOST
        assert after(*steps, LOSE) == {"LOSE"}

    def test_the_server_closes_the_connection_only_then(self) -> None:
        assert {walk(ACCEPT, SEND_CLOSE, RECEIVE_CLOSE), walk(LOSE)} == OVER

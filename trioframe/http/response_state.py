"""The order in which one response is sent, as a table that the code runs.

    IDLE ----REQUEST---> AWAITED --HEAD--> BODY --END--> COMPLETE --NEXT--> IDLE
                         INFORMATIONAL     DATA
                         (stays)           (stays)

Two short cuts: RESPONSE is HEAD and END in one, and SWITCH hands the connection to another protocol for good.  In IDLE
a final response may be sent as well: it refuses what never became a request (400, 408, 431...), or the connection
itself (503), and always closes.

The table knows nothing of framing and headers; it says what may follow what (RFC 9110 sections 15 and 7.8).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ..errors import LocalProtocolError

__all__ = ["TRANSITIONS", "State", "Step", "advance"]


class State(IntEnum):
    """How far the response to the current request is."""

    IDLE = 0  # no request has been read
    AWAITED = 1  # a request is here, and no final head was sent
    BODY = 2  # the head was sent, the end was not
    COMPLETE = 3
    SWITCHED = 4  # the connection speaks another protocol


class Step(IntEnum):
    """What can happen to a response."""

    REQUEST = 0  # a request head was read
    INFORMATIONAL = 1  # a 1xx head
    HEAD = 2  # a final head, and the body will follow
    RESPONSE = 3  # a final head with the whole body
    DATA = 4
    END = 5
    SWITCH = 6  # 101, or 2xx to CONNECT
    NEXT = 7  # on to the next request


TRANSITIONS: Final[dict[Step, dict[State, State]]] = {
    Step.REQUEST: {State.IDLE: State.AWAITED},
    Step.INFORMATIONAL: {State.AWAITED: State.AWAITED},
    Step.HEAD: {State.IDLE: State.BODY, State.AWAITED: State.BODY},
    Step.RESPONSE: {State.IDLE: State.COMPLETE, State.AWAITED: State.COMPLETE},
    Step.DATA: {State.BODY: State.BODY},
    Step.END: {State.BODY: State.COMPLETE},
    Step.SWITCH: {State.AWAITED: State.SWITCHED},
    Step.NEXT: {State.COMPLETE: State.IDLE},
}

_STEPS: Final = {
    Step.REQUEST: "a request cannot begin",
    Step.INFORMATIONAL: "a 1xx response cannot be sent",
    Step.HEAD: "a response cannot begin",
    Step.RESPONSE: "a response cannot be sent",
    Step.DATA: "body data cannot be sent",
    Step.END: "a response cannot end",
    Step.SWITCH: "the protocol cannot be switched",
    Step.NEXT: "the next request cannot begin",
}

_STATES: Final = {
    State.IDLE: "there is no request to answer",
    State.AWAITED: "the response has not begun",
    State.BODY: "the response has begun and not ended",
    State.COMPLETE: "the response is complete",
    State.SWITCHED: "the connection was handed to another protocol",
}


def advance(state: State, step: Step) -> State:
    """The state after `step`; `LocalProtocolError` if it cannot be taken in `state`."""
    try:
        return TRANSITIONS[step][state]
    except KeyError:
        raise LocalProtocolError(f"{_STEPS[step]}: {_STATES[state]}") from None

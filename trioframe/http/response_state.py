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
from typing import Final, Never

from ..errors import LocalProtocolError

__all__ = ["DATA", "END", "HEAD", "INFORMATIONAL", "NEXT", "REQUEST", "RESPONSE", "STEPS", "SWITCH", "State", "Step"]


class State(IntEnum):
    """How far the response to the current request is."""

    IDLE = 0  # no request has been read
    AWAITED = 1  # a request is here, and no final head was sent
    BODY = 2  # the head was sent, the end was not
    COMPLETE = 3
    SWITCHED = 4  # the connection speaks another protocol


_STATES: Final = {
    State.IDLE: "there is no request to answer",
    State.AWAITED: "the response has not begun",
    State.BODY: "the response has begun and not ended",
    State.COMPLETE: "the response is complete",
    State.SWITCHED: "the connection was handed to another protocol",
}


class Step(dict[State, State]):
    """A row of the table: ``step[state]`` is the state after it, `LocalProtocolError` where it cannot be taken.

    Parameters:
      cannot: how it is said that it cannot be taken.
      ways: the state after it, by the state before it.
    """

    def __init__(self, cannot: str, ways: dict[State, State]) -> None:
        super().__init__(ways)
        self._cannot = cannot

    def __missing__(self, state: State) -> Never:
        raise LocalProtocolError(f"{self._cannot}: {_STATES[state]}")


_IDLE, _AWAITED, _BODY, _COMPLETE, _SWITCHED = State

# A request head was read.
REQUEST: Final = Step("a request cannot begin", {_IDLE: _AWAITED})
# A 1xx head.
INFORMATIONAL: Final = Step("a 1xx response cannot be sent", {_AWAITED: _AWAITED})
# A final head, and the body will follow.
HEAD: Final = Step("a response cannot begin", {_IDLE: _BODY, _AWAITED: _BODY})
# A final head with the whole body.
RESPONSE: Final = Step("a response cannot be sent", {_IDLE: _COMPLETE, _AWAITED: _COMPLETE})
DATA: Final = Step("body data cannot be sent", {_BODY: _BODY})
END: Final = Step("a response cannot end", {_BODY: _COMPLETE})
# 101, or 2xx to CONNECT.
SWITCH: Final = Step("the protocol cannot be switched", {_AWAITED: _SWITCHED})
# On to the next request.
NEXT: Final = Step("the next request cannot begin", {_COMPLETE: _IDLE})

STEPS: Final = (REQUEST, INFORMATIONAL, HEAD, RESPONSE, DATA, END, SWITCH, NEXT)

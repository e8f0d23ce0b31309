"""How a WebSocket ends, as a table that the code runs (RFC 6455 sections 5.5.1 and 7.1).

Each side sends one close frame, and after that no message.  The one who sends the second only answers.

    step           CONNECTING  OPEN            CLOSE_SENT  CLOSE_RECEIVED  CLOSED  LOST
    ACCEPT         OPEN        -               -           -               -       -
    SEND           -           OPEN            -           -               -       -
    SEND_PONG      -           OPEN            CLOSE_SENT  -               -       -
    SEND_CLOSE     -           CLOSE_SENT      -           CLOSED          -       -
    RECEIVE        -           OPEN            -           -               -       -
    RECEIVE_CLOSE  -           CLOSE_RECEIVED  CLOSED      -               -       -
    LOSE           LOST        LOST            LOST        LOST            CLOSED  LOST

A row is a dictionary: ``step[state]`` is the state after it, and ``state in step`` asks whether it can be taken.  Where
it cannot, nobody is at fault, as either side may close at any time:

* what cannot be sent meets a closed WebSocket, and whoever knows its code says so (`WebSocketClosed`);
* what cannot be received is dropped, unread (section 1.4).  So frames are read as long as RECEIVE_CLOSE can come.

It must not know what is in a frame (see `close_codes`), nor how long one waits for an answer.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["ACCEPT", "LOSE", "OVER", "RECEIVE", "RECEIVE_CLOSE", "SEND", "SEND_CLOSE", "SEND_PONG", "State"]


class State(IntEnum):
    """How far a WebSocket has come to its end."""

    CONNECTING = 0  # the handshake of the peer is still to be answered
    OPEN = 1
    CLOSE_SENT = 2  # we close, and wait for the answer
    CLOSE_RECEIVED = 3  # the peer closes, and waits for ours
    CLOSED = 4  # both close frames have passed: it ended cleanly
    LOST = 5  # it ended in any other way


_CONNECTING, _OPEN, _CLOSE_SENT, _CLOSE_RECEIVED, _CLOSED, _LOST = State

# The 101 was sent.
ACCEPT: Final = {_CONNECTING: _OPEN}

# A message, a part of one, or a ping.  A peer that has closed need not read the rest of a message, though section 5.5.1
# would let us finish it; so we do not.
SEND: Final = {_OPEN: _OPEN}  # run as "is open" by `websocket`, on its short ways
# Every ping is answered before a close frame has come (section 5.5.2), and a pong is no message.
SEND_PONG: Final = {_OPEN: _OPEN, _CLOSE_SENT: _CLOSE_SENT}
SEND_CLOSE: Final = {_OPEN: _CLOSE_SENT, _CLOSE_RECEIVED: _CLOSED}
# A message, or a part of one.  Who has closed does not wait for any; those on the way are dropped.
RECEIVE: Final = {_OPEN: _OPEN}
RECEIVE_CLOSE: Final = {_OPEN: _CLOSE_RECEIVED, _CLOSE_SENT: _CLOSED}
# The handshake was refused, the stream ended or broke, the peer broke the protocol (section 7.1.7) or was too late.
LOSE: Final = {
    _CONNECTING: _LOST,
    _OPEN: _LOST,
    _CLOSE_SENT: _LOST,
    _CLOSE_RECEIVED: _LOST,
    _CLOSED: _CLOSED,
    _LOST: _LOST,
}

# Where the server closes the connection below, without waiting for the client to do it: who closes first has to keep
# the connection in mind for a while, and that should be the server (section 7.1.1).
OVER: Final = frozenset({_CLOSED, _LOST})

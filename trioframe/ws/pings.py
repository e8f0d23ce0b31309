"""The pings that wait for their pongs.

Rules of this file:

* A pong answers the ping with its payload and all that were sent before it: a peer may answer only the latest
  (RFC 6455 section 5.5.3).  Any other pong is a sign of life that nobody asked for.
* A payload is not used twice at a time.

It must not know frames, nor for how long one waits.
"""

from __future__ import annotations

import itertools

import trio

from ..errors import LocalProtocolError

__all__ = ["Pings"]


class Pings:
    """The pings of one WebSocket."""

    __slots__ = ("_numbers", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[bytes, trio.Event] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, payload: bytes | None = None) -> tuple[bytes, trio.Event]:
        """A ping that will be sent: its payload, and what is set when it was answered, or never will be.

        Parameters:
          payload: None for one of four octets that is not in use.

        Raises:
          LocalProtocolError: a ping with that payload is waiting.
        """
        if payload is None:
            fresh = ((number % 2**32).to_bytes(4) for number in self._numbers)
            payload = next(number for number in fresh if number not in self._waiting)
        elif payload in self._waiting:
            raise LocalProtocolError("a ping with this payload waits for its pong: take another one")
        answered = trio.Event()
        self._waiting[payload] = answered
        return payload, answered

    def answer(self, payload: bytes) -> None:
        """A pong has come."""
        if payload in self._waiting:
            while True:
                first = next(iter(self._waiting))
                self._waiting.pop(first).set()
                if first == payload:
                    return

    def give_up(self, payload: bytes | None = None) -> None:
        """Nobody waits for this one any more; None: none of them will be answered."""
        if payload is not None:
            self._waiting.pop(payload, None)
            return
        waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered.set()

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

__all__ = ["Pings", "SentPing"]


class SentPing:
    """A ping that was sent.

    Attributes:
      payload: by which its pong is known.
      done: set when it was answered, or never will be.
      answered: which of the two.
    """

    __slots__ = ("answered", "done", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.done = trio.Event()
        self.answered = False


class Pings:
    """The pings of one WebSocket."""

    __slots__ = ("_numbers", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[bytes, SentPing] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, payload: bytes | None = None) -> SentPing:
        """A ping that will be sent.

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
        ping = self._waiting[payload] = SentPing(payload)
        return ping

    def answer(self, payload: bytes) -> None:
        """A pong has come."""
        if payload in self._waiting:
            while True:
                ping = self._waiting.pop(next(iter(self._waiting)))
                ping.answered = True
                ping.done.set()
                if ping.payload == payload:
                    return

    def give_up(self, ping: SentPing) -> None:
        """Nobody waits for this one any more; without effect if it is not waited for."""
        if self._waiting.get(ping.payload) is ping:
            del self._waiting[ping.payload]

    def give_up_all(self) -> None:
        """None of them will be answered."""
        waiting, self._waiting = self._waiting, {}
        for ping in waiting.values():
            ping.done.set()

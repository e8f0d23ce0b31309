"""How a WebSocket finds out that its peer has gone without a word (RFC 6455 section 5.5.2).

Who has said nothing for `ping_interval` is pinged, and who says nothing for `ping_timeout` after that is given up.

Rules of this file:

* Anything that comes is a sign of life, also if it is no pong.
* Time in which nothing was read does not count against the peer: nobody could have seen a pong.  It is pinged all the
  same, as that finds out if the connection is lost.
* While a frame is on its way nobody is pinged: how slowly a peer may read, the writer sees to.

It must not know when the alarm rings for other reasons.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import trio
from wsproto.extensions import Extension

from ..http.alarm import Alarm
from ..http.exchange import Exchange
from .close_codes import CloseCode
from .close_state import OVER, State
from .pings import Pings, SentPing
from .reading import Reading
from .terms import WebSocketTerms

__all__ = ["KeepAlive"]

PASSES = 5  # of the scheduler: enough for what comes, or leaves, to pass the tasks of the stream that stand between


class KeepAlive(Reading):
    """The floor of a `WebSocket` that pings.  Parameters are those of `Reading`."""

    __slots__ = ("_alarm", "_own_ping", "_pinged_at", "_pong_due")
    _alarm: Alarm  # calls `_keep_alive`, as long as it is open

    def __init__(self, exchange: Exchange, terms: WebSocketTerms, extensions: Sequence[Extension]) -> None:
        super().__init__(exchange, terms, extensions)
        self._pinged_at: float | None = None  # None as long as nothing is due
        self._pong_due = math.inf
        self._own_ping: SentPing | None = None  # the last one

    @abstractmethod
    def _close_now(self, code: int, reason: str) -> None:
        """Begin to close."""

    def _keep_alive(self) -> None:
        now, terms = self._now(), self._terms
        if self._outbox.busy:  # a ping would be late for whoever reads slowly; how slowly it may, the writer sees to
            self._pinged_at = None
            self._alarm.deadline = now + terms.ping_interval
        elif self._was_heard or self._paused:
            # While nothing is read nobody could see a pong; but a ping finds out if the peer has gone.
            self._pinged_at = None
            if (quiet_until := self._heard_at + terms.ping_interval) > now:
                self._alarm.deadline = quiet_until
                return
            if self._own_ping is not None:  # which nobody may ever have answered
                self._give_up_ping(self._own_ping)
            self._own_ping = self._add_ping()
            self._pinged_at = now
            self._expect_pong()
            self._outbox.send_soon(self._wire.send_ping(self._own_ping.payload))
        elif now < self._pong_due:
            self._alarm.deadline = min(self._pong_due, now + terms.ping_interval)
        else:
            self._exchange.spawn(self._doubt)

    def _expect_pong(self) -> None:
        now = self._now()
        self._pong_due = now + self._terms.ping_timeout
        self._alarm.deadline = min(self._pong_due, now + self._terms.ping_interval)  # when the next ping may be due

    def _reading_resumed(self, missed: float) -> None:
        now = self._now()
        if self._pinged_at is None:
            self._heard_at = min(now, self._heard_at + missed)
        else:  # nobody could have seen the pong meanwhile
            self._pong_due = min(self._pong_due + missed, now + self._terms.ping_timeout)
            self._alarm.deadline = min(self._pong_due, now + self._terms.ping_interval)

    @property
    def _was_heard(self) -> bool:
        """Whether anything has come since the ping; it need not be the pong."""
        return self._pinged_at is None or self._heard_at >= self._pinged_at  # in virtual time an answer takes none

    async def _doubt(self) -> None:
        """The pong is late; or we are, and it is here already."""
        await _let_pass()
        if self._state is not State.OPEN:
            return
        if self._was_heard or self._paused:
            self._keep_alive()
            return
        self._close_now(CloseCode.INTERNAL_ERROR, "no answer to a ping in time")
        await _let_pass()  # a stream that only knows how to wait sends it meanwhile
        if self._state not in OVER:
            self._lose()

    def _add_ping(self, payload: bytes | None = None) -> SentPing:
        if self._pings is None:
            self._pings = Pings()
        return self._pings.add(payload)

    def _give_up_ping(self, ping: SentPing) -> None:
        if self._pings is not None:
            self._pings.give_up(ping)


async def _let_pass() -> None:
    for _ in range(PASSES):
        await trio.lowlevel.checkpoint()

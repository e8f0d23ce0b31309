"""What becomes of a request when its peer leaves: half of a `Lifetime`, the one that looks outwards.

Rules of this file:

* A peer that half-closes (FIN) may still be reading.  Its handler is given a moment, `HALF_CLOSE_GRACE`, to answer
  without waiting; sending holds that moment up (`Ebb`).  A reset ends the request at once.
* With `on_disconnect="ignore"` it is only noted that the peer has left.

It must not know scopes and deadlines: it asks for a cancellation, with its reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import trio

from ..errors import CancelReason
from .half_close import Ebb, is_waiting
from .request_nursery import Spawn
from .terms import Terms

__all__ = ["PeerWatch"]


class PeerWatch(ABC):
    """See `Lifetime`, which has the attributes."""

    disconnected: bool
    lost: bool
    left: trio.Event | None
    ebb: Ebb | None
    running = False
    on_disconnect: Literal["cancel", "ignore"] = "cancel"
    _sending = False
    _task: trio.lowlevel.Task | None = None  # the handler's; asked only while it runs
    _spawn: Spawn
    _terms: Terms

    @abstractmethod
    def cancel(self, reason: CancelReason = "application") -> None:
        """End the request now."""

    def peer_half_closed(self) -> None:
        """The peer sent FIN: it will send no more, but it may still read."""
        if self._terms.half_close == "disconnect":
            self._mark_disconnected()

    def peer_reset(self) -> None:
        """The peer is gone for good."""
        self.lost = True
        self._mark_disconnected()

    def peer_left(self) -> None:
        """The peer has left, as it may, or as everybody knows already: it is only noted."""
        self.disconnected = True
        self.end()

    def peer_stalled(self) -> None:
        """The peer reads nothing any more, and has been given up."""
        self.lost = True
        if self.on_disconnect == "cancel":
            self.cancel("timeout")

    def _begin_disconnected(self) -> None:
        if self.lost:
            self.cancel("disconnect")
        elif self.ebb is None:
            self.ebb = Ebb(self)
            if self._sending:
                self.ebb.hold()
            self._spawn(self.ebb.run)

    def sending(self) -> None:
        """Something is being sent: a half-closed peer may be reading it."""
        self._sending = True
        if self.ebb is not None:
            self.ebb.hold()

    def sent(self) -> None:
        """It was sent, or something was received: the moment of a half-closed peer starts anew."""
        self._sending = False
        if self.ebb is not None:
            self.ebb.restart()

    def end(self) -> None:
        """The request is over: nobody will tell of its peer any more, so whoever still waits for that is let go."""
        if self.left is not None:
            self.left.set()

    async def wait_disconnected(self) -> None:
        """Wait until the peer has left, or the request is over.  Cancellation leaves nothing behind."""
        if self.disconnected:
            await trio.lowlevel.checkpoint()
            return
        if self.left is None:
            self.left = trio.Event()
        await self.left.wait()

    def _mark_disconnected(self) -> None:
        self.peer_left()
        if self.running and self.on_disconnect == "cancel":
            self._begin_disconnected()

    def waits(self) -> bool:
        """Whether the handler waits for something, other than for its turn."""
        return self._task is not None and is_waiting(self._task)

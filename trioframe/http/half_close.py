"""What becomes of a request whose client has half-closed.

A FIN says that the client will send no more.  Most have left; some - ``printf ... | nc`` - still read.  Which it is,
nobody can tell.  So a handler that answers without waiting for anything has answered, and one that waits is cancelled.

It must not know what the handler does, nor who tells of the FIN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from .peer_watch import PeerWatch

__all__ = ["HALF_CLOSE_GRACE", "Ebb", "is_waiting"]

# Long enough for a handler that only computes and sends, far shorter than anything a person or a client would notice.
HALF_CLOSE_GRACE = 0.01  # seconds


# The functions of Trio in which a task stands that only lets others have their turn.
_TURNS = frozenset({"checkpoint", "cancel_shielded_checkpoint"})


def is_waiting(task: trio.lowlevel.Task) -> bool:
    """Whether `task`, which is not running, waits for something other than for its turn."""
    names = [frame.f_code.co_name for frame, _ in task.iter_await_frames()]
    return _TURNS.isdisjoint(names[-2:])  # below them there is at most the trap into Trio's scheduler


class Ebb:
    """The moment a half-closed peer leaves to its handler, kept by a task of its own.

    Such a task exists only while a request runs whose peer has half-closed.
    """

    __slots__ = ("_held", "_lifetime", "_scope", "_stopped", "_until")

    def __init__(self, lifetime: PeerWatch) -> None:
        self._lifetime = lifetime
        self._held = False
        self._stopped = False
        self._until = trio.current_time() + HALF_CLOSE_GRACE
        self._scope = trio.CancelScope(deadline=self._until)

    async def run(self) -> None:
        while True:
            with self._scope:
                await trio.sleep_forever()
            if self._stopped or self._lifetime.on_disconnect == "ignore":
                return
            if not self._held and trio.current_time() >= self._until and self._lifetime.waits():
                self._lifetime.cancel("disconnect")
                return
            # On a busy machine the moment passes while the handler is still at work, or has just sent something.
            self._until = max(self._until, trio.current_time() + HALF_CLOSE_GRACE)
            self._scope = trio.CancelScope(deadline=math.inf if self._held else self._until)

    def hold(self) -> None:
        self._held = True
        self._scope.deadline = math.inf

    def restart(self) -> None:
        self._held = False
        self._until = self._scope.deadline = trio.current_time() + HALF_CLOSE_GRACE

    def stop(self) -> None:
        self._stopped = True
        self._scope.cancel()

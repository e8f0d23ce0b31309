"""Brings the frames of one WebSocket into an order, and onto the wire.

Two kinds of frames want to leave: those of messages, whose senders wait, and control frames, which must not wait for
anybody: a pong, a close.

Rules of this file:

* A frame is never torn by another one.  Messages are not mixed: who has to wait takes *turns*, in the order of asking.
* Most frames leave at once, without a lock, a task or a wait.  Only when the peer has no room the rest is waited for:
  that of a message by its sender, that of a control frame by a task of the connection.
* While a frame is on its way, control frames are *owed*, and leave right behind it.  Of the pongs that are owed only
  the last one counts (RFC 6455 section 5.5.3), so a flood of pings fills nothing.
* A write that failed, stalled or was cancelled may have sent any part of a frame.  Nothing can follow it: `broke` is
  told at once, or by `write_nowait` whoever has called that.

It must not know what is in a frame, nor when one may be sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import trio

from ..errors import RequestCancelled
from ..http.writer import Writer

__all__ = ["Outbox"]

# What a WebSocket may send, where it need not wait, before others have their turn: some messages that are small.  To
# let them have it after each one would cost as much as to send it.
WORK_PER_TURN = 64 * 1024  # bytes
WORK_PER_FRAME = 4096  # bytes that a frame counts for beyond its own, as it costs more than to copy them


class Spawner(Protocol):
    """Starts tasks of the connection; an `Exchange` does."""

    def spawn(self, async_fn: Callable[[], Awaitable[object]], /) -> None: ...


class Outbox:
    """The sending side of one WebSocket.

    Parameters:
      writer: where frames go.
      spawner: starts tasks of the connection.
      broke: called when nothing can be sent any more; must not raise.

    Attributes:
      waiting: the tasks that wait to send a message.
      busy: whether a frame is on its way.
      writing: whether the current task is writing one, without waiting; it will hear of what goes wrong.
      sent: octets given to the writer.
    """

    __slots__ = (
        "_broke",
        "_changed",
        "_owed",
        "_owed_pong",
        "_spawner",
        "_turn",
        "_worked",
        "_writer",
        "busy",
        "sent",
        "waiting",
        "writing",
    )

    def __init__(self, writer: Writer, spawner: Spawner, broke: Callable[[], None]) -> None:
        self._writer = writer
        self._spawner = spawner
        self._broke = broke
        self._turn: trio.StrictFIFOLock | None = None
        self._changed: trio.lowlevel.ParkingLot | None = None
        self._owed: tuple[bytes, ...] = ()
        self._owed_pong = b""
        self.waiting: tuple[trio.lowlevel.Task, ...] = ()
        self.busy = False
        self.sent = 0
        self._worked = 0
        self.writing = False

    def detach(self) -> None:
        """Nobody is to be told any more: the request is over."""
        self._broke = _tell_nobody

    def owes_turn(self) -> bool:
        """Whether so much was sent that others are to have their turn; from then on it is counted anew."""
        if self._worked <= WORK_PER_TURN:
            return False
        self._worked = 0
        return True

    # --- messages ----------------------------------------------------------------------------------------------------

    def write_nowait(self, frame: bytes) -> memoryview | None:
        """Send as much of a frame as there is room for; what is left of it, for `finish`, or None.

        Only if there is nothing `busy`, and for a message, nobody `waiting`.

        Raises:
          RequestCancelled: the peer has gone; `broke` is not told.
        """
        if self._writer.broken:
            raise RequestCancelled("disconnect")
        size = len(frame)
        self.sent += size
        self._worked += size + WORK_PER_FRAME
        self.writing = True
        try:
            sent = self._writer.write_nowait(frame)
        finally:
            self.writing = False
        return None if sent == size else memoryview(frame)[sent:]

    async def finish(self, rest: memoryview) -> None:
        """Wait until the rest of a message's frame has left.

        Raises:
          RequestCancelled: the peer has gone, or reads nothing.

        If cancelled, it is broken.
        """
        with self._listed():
            await self._write(rest)

    async def in_turn(
        self, send: Callable[[], Awaitable[None]], while_waiting: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Await `send()` when all that asked before have had their turn; it sends with `write`.

        Parameters:
          while_waiting: stands around the wait for the turn; what it raises goes through.

        If cancelled before that, nothing was sent.
        """
        if self._turn is None:
            self._turn = trio.StrictFIFOLock()
        with self._listed():
            with while_waiting():
                await self._turn.acquire()
            try:
                await send()
            finally:
                self._turn.release()

    @contextmanager
    def _listed(self) -> Iterator[None]:
        task = trio.lowlevel.current_task()
        self.waiting = (*self.waiting, task)
        try:
            yield
        finally:
            self.waiting = tuple(other for other in self.waiting if other is not task)

    async def write(self, frame: Callable[[], bytes]) -> None:
        """Send a frame of a message, in its turn.

        Parameters:
          frame: makes it, when it can be sent; what it raises goes through.

        Raises and breaks as `finish`.
        """
        await self.settled()
        octets = frame()
        try:
            rest = self.write_nowait(octets)
        except RequestCancelled:
            self._broke()
            raise
        if rest is not None:
            await self._write(rest)

    async def settled(self) -> None:
        """Wait until no frame is on its way.  No checkpoint if none is."""
        while self.busy:
            if self._changed is None:
                self._changed = trio.lowlevel.ParkingLot()
            await self._changed.park()

    # --- control frames ----------------------------------------------------------------------------------------------

    def send_soon(self, frame: bytes) -> None:
        """Send a control frame now, or behind the frame that is on its way."""
        if self.busy:
            self._owed = (*self._owed, frame)
        else:
            self._send_now(frame)

    def send_last(self, frame: bytes) -> bool:
        """Send a control frame, if there is room for it, as nobody waits any more; whether it has left."""
        if self.busy:
            return False
        try:
            return self.write_nowait(frame) is None
        except RequestCancelled:
            return False

    def send_pongs(self, pongs: Sequence[bytes]) -> None:
        """Send pongs now, or the last of them behind the frame that is on its way."""
        if self.busy:
            self._owed_pong = pongs[-1]
        else:
            self._send_now(b"".join(pongs))

    def _send_now(self, frames: bytes) -> None:
        try:
            rest = self.write_nowait(frames)
        except RequestCancelled:
            self._broke()
            return
        if rest is not None:
            self.busy = True  # from now on, though the task begins later
            self._spawner.spawn(partial(self._write_alone, rest))

    # --- the wire ----------------------------------------------------------------------------------------------------

    async def _write_alone(self, rest: memoryview) -> None:
        try:
            await self._write(rest)
        except RequestCancelled:
            return  # `broke` was told

    async def _write(self, rest: memoryview) -> None:
        self.busy = True
        try:
            await self._writer.write(rest)
            while self._owed or self._owed_pong:
                owed = b"".join([self._owed_pong, *self._owed])
                self._owed_pong, self._owed = b"", ()
                self.sent += len(owed)
                await self._writer.write(owed)
        finally:
            self.busy = False
            if self._writer.broken:
                self._broke()
            if self._changed is not None:
                self._changed.unpark_all()


def _tell_nobody() -> None:
    """Whom to tell when the request is over."""

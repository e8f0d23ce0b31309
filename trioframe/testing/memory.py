"""Two ends of a connection that exists only in memory, as narrow as a real one.

Trio's own `memory_stream_pair` holds any number of bytes, so nobody who writes to it is ever held up, and it cannot be
reset.  These streams do what TCP does to a program, and nothing else:

=====================  ==============================  =======================================
what one end does      the other end receives          the other end sends
=====================  ==============================  =======================================
nothing                waits                           waits once `buffer_size` bytes wait
`stop_reading`         what was sent, then waits       waits
`send_eof` (FIN)       what was sent, then b""         as before
`aclose` (FIN)         what was sent, then b""         `BrokenResourceError`
`reset` (RST)          `BrokenResourceError`           `BrokenResourceError`
=====================  ==============================  =======================================

It must not know HTTP.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager

import trio

__all__ = ["BUFFER_SIZE", "MemoryStream", "Turn", "memory_pair"]

BUFFER_SIZE = 16 * 1024  # bytes on their way in one direction


def memory_pair(buffer_size: int = BUFFER_SIZE) -> tuple[MemoryStream, MemoryStream]:
    """Two connected streams.

    Parameters:
      buffer_size: bytes that may be on their way in each direction before a sender is held up; at least 1.
    """
    if buffer_size < 1:
        raise ValueError("buffer_size must be at least 1")
    there, back = _Pipe(buffer_size), _Pipe(buffer_size)
    return MemoryStream(back, there), MemoryStream(there, back)


class Turn:
    """Lets in one task at a time; a second one gets `trio.BusyResourceError`.

    Parameters:
      what: the task that is in the way, as in "another task is sending".
    """

    __slots__ = ("_taken", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._taken = False

    @contextmanager
    def take(self) -> Iterator[None]:
        if self._taken:
            raise trio.BusyResourceError(f"another task is {self._what}")
        self._taken = True
        try:
            yield
        finally:
            self._taken = False


class _Pipe:
    """One direction: bytes on their way, and how it ended."""

    __slots__ = ("abandoned", "broken", "buffer", "changed", "ended", "paused", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.buffer = bytearray()
        self.paused = False  # the receiver takes nothing
        self.ended = False  # the sender will send no more
        self.abandoned = False  # the receiver will receive no more
        self.broken = False
        self.changed = trio.lowlevel.ParkingLot()

    @property
    def room(self) -> int:
        return 0 if self.paused else self.size - len(self.buffer)

    @property
    def readable(self) -> bool:
        return bool(self.buffer) or self.ended or self.broken

    def change(self, **flags: bool) -> None:
        for name, value in flags.items():
            setattr(self, name, value)
        if self.broken or self.abandoned:
            self.buffer.clear()
        self.changed.unpark_all()

    def put(self, data: memoryview) -> memoryview:
        """Take what there is room for; what is left."""
        taken = data[: self.room]
        self.buffer += taken
        self.changed.unpark_all()
        return data[len(taken) :]

    def get(self, max_bytes: int | None) -> bytes:
        data = bytes(self.buffer[:max_bytes])
        del self.buffer[:max_bytes]
        self.changed.unpark_all()
        return data


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a `memory_pair`.  Every operation is a checkpoint, except `reset` and those that stop reading."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._sending = Turn("sending on this stream")
        self._receiving = Turn("receiving from this stream")

    @property
    def readable(self) -> bool:
        """Whether `receive_some` would not wait: there are bytes, or the end."""
        return self._incoming.readable

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`.  Cancellation loses no bytes."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        incoming = self._incoming
        with self._receiving.take():
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                if incoming.readable:
                    break
                await incoming.changed.park()
            if incoming.broken:
                raise trio.BrokenResourceError("the other end reset the connection")
            return incoming.get(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`.  If cancelled, an unknown part was sent."""
        left = memoryview(data)
        with self._sending.take():
            await trio.lowlevel.checkpoint()
            while True:
                self._check_sending()
                left = self._outgoing.put(left)
                if not left:
                    return
                await self._outgoing.changed.park()

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        with self._sending.take():
            await trio.lowlevel.checkpoint()
            self._check_sending()
            while not self._outgoing.room:
                await self._outgoing.changed.park()
                self._check_sending()

    async def send_eof(self) -> None:
        """See `trio.abc.HalfCloseableStream`."""
        with self._sending.take():
            await trio.lowlevel.checkpoint()
            self._check_open()
            self._outgoing.change(ended=True)

    async def aclose(self) -> None:
        """Close this end; what it has sent still arrives.  Does so also if cancelled."""
        self._closed = True
        self._outgoing.change(ended=True)
        self._incoming.change(abandoned=True)
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Break the connection: bytes on their way are lost, and whoever waits at the other end is told at once."""
        self._closed = True
        self._outgoing.change(broken=True)
        self._incoming.change(broken=True)

    def stop_reading(self) -> None:
        """Hold up the other end's sending from now on, whether or not there is room for its bytes."""
        self._incoming.change(paused=True)

    def resume_reading(self) -> None:
        """Undo `stop_reading`."""
        self._incoming.change(paused=False)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sending(self) -> None:
        self._check_open()
        if self._outgoing.broken or self._outgoing.abandoned:
            raise trio.BrokenResourceError("the other end closed the connection")
        if self._outgoing.ended:
            raise trio.ClosedResourceError("the end of this stream was sent")

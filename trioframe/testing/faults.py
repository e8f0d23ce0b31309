"""A stream that misbehaves at will, towards whoever is at its other end.

Real peers dribble, stall, stop reading and vanish.  A `FaultyStream` stands on any other stream - one end of a
`memory_pair`, a `trio.SocketStream` - and does so when it is told to, also while it is being used:

====================  =======================================================================
call                  what the other end meets
====================  =======================================================================
`aclose()`            FIN, as when a program closes its socket; its sending breaks
`send_eof()`          FIN, from a peer that still reads
`reset()`             RST: its receiving and its sending break at once
`stop_reading()`      its sending blocks, until `resume_reading()`
`dribble(1, 0.5)`     what is sent from now on arrives a byte at a time, every half second
`sip(1, 0.5)`         what it sends from now on is taken a byte at a time, every half second
`behave()`            the end of all that
====================  =======================================================================

Times are those of Trio's clock: with an `autojump_clock` they cost nothing.

It must not know HTTP.
"""

from __future__ import annotations

import trio

from ..server.sockets import reset_on_close, socket_beneath
from .memory import MemoryStream, Turn

__all__ = ["FaultyStream"]


class FaultyStream(trio.abc.HalfCloseableStream):
    """A stream with faults to be switched on; with none it is the stream below.

    Parameters:
      stream: what it stands on; closed with this one.
    """

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._sending = Turn("sending on this stream")
        self._receiving = Turn("receiving from this stream")
        self._may_read = trio.Event()
        self._may_read.set()
        self._receive_scope = trio.CancelScope()
        self._send_size: int | None = None
        self._send_delay = 0.0
        self._receive_size: int | None = None
        self._receive_delay = 0.0

    # --- faults ------------------------------------------------------------------------------------------------------

    def dribble(self, size: int, delay: float = 0.0) -> None:
        """Send `size` bytes at a time from now on, with `delay` seconds before each of them."""
        self._send_size, self._send_delay = _check_size(size), delay

    def sip(self, size: int, delay: float = 0.0) -> None:
        """Receive at most `size` bytes at a time from now on, with `delay` seconds before each of them."""
        self._receive_size, self._receive_delay = _check_size(size), delay

    def stop_reading(self) -> None:
        """Receive nothing any more: `receive_some` waits, one that is waiting already too.

        The other end of a memory pair is held up at once; a socket's, when the buffers of the kernel are full.
        """
        if self._may_read.is_set():
            self._may_read = trio.Event()
            self._receive_scope.cancel(reason="stop_reading() was called")
        if isinstance(self.stream, MemoryStream):
            self.stream.stop_reading()

    def resume_reading(self) -> None:
        """Undo `stop_reading`."""
        self._may_read.set()
        if isinstance(self.stream, MemoryStream):
            self.stream.resume_reading()

    @property
    def stopped(self) -> bool:
        """Whether it receives nothing, because of `stop_reading`."""
        return not self._may_read.is_set()

    def behave(self) -> None:
        """Switch off all faults that can be undone."""
        self._send_size = self._receive_size = None
        self._send_delay = self._receive_delay = 0.0
        self.resume_reading()

    def reset(self) -> None:
        """Break the connection, as RST does; this stream is closed then.

        Raises:
          TypeError: there is nothing below that could be reset: neither a memory pair nor a socket.
        """
        if isinstance(self.stream, MemoryStream):
            self.stream.reset()
        elif (sock := socket_beneath(self.stream)) is not None:
            reset_on_close(self.stream)
            sock.close()
        else:
            raise TypeError(f"{self.stream!r} cannot be reset: it is neither a memory stream nor on a socket")
        self._may_read.set()

    # --- trio.abc.HalfCloseableStream --------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream below, when the faults let it.  Cancellation loses no bytes."""
        with self._receiving.take():
            while True:
                await self._may_read.wait()
                if self._receive_delay:
                    await trio.sleep(self._receive_delay)
                if self._receive_size is not None and (max_bytes is None or max_bytes > self._receive_size):
                    max_bytes = self._receive_size
                with trio.CancelScope() as self._receive_scope:
                    return await self.stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream below, when the faults let it.  If cancelled, an unknown part was sent."""
        left = memoryview(data)
        with self._sending.take():
            while True:
                if self._send_delay:
                    await trio.sleep(self._send_delay)
                size = len(left) if self._send_size is None else self._send_size
                await self.stream.send_all(left[:size])
                left = left[size:]
                if not left:
                    return

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        with self._sending.take():
            await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """As the stream below: half-close."""
        with self._sending.take():
            await self.stream.send_eof()

    async def aclose(self) -> None:
        """As the stream below: close."""
        self._may_read.set()
        await self.stream.aclose()


def _check_size(size: int) -> int:
    if size < 1:
        raise ValueError("size must be at least 1 byte")
    return size

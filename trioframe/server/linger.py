"""Closing without destroying the last answer.

A socket that is closed while its peer still sends, or with bytes of the peer unread, makes the kernel send a reset, and
a reset lets the peer's kernel throw away what the peer has not read yet: our answer.  RFC 9112 section 9.6 therefore
has a server close in stages: say that nothing more comes, go on reading until the peer closes too, then close.

Rules of this file: what is read here is thrown away, and both the time and the bytes are bounded, as a peer can send
for ever.  A peer that has gone is what lingering waits for, so it is never an error.

It must not know what was sent, nor TLS: beneath TLS a `LingeringStream` does it, once TLS has said goodbye.
"""

from __future__ import annotations

import contextlib
import math

import trio

from ..http.closing import close_now

__all__ = ["LingeringStream", "discard", "linger"]

MAX_SIZE = 16 * 1024 * 1024  # bytes read and thrown away: more than any kernel holds of a peer that still sends
_CHUNK = 64 * 1024  # bytes


async def linger(stream: trio.abc.Stream, *, timeout: float = math.inf, max_bytes: int = MAX_SIZE) -> None:
    """Send the end of the stream, then read and discard until the peer's.

    A stream that has no half-close (such as TLS) is closed, in its own way, instead.

    Parameters:
      timeout: seconds for all of it.
      max_bytes: how much is read; at most `_CHUNK` bytes more.

    Raises:
      BusyResourceError: another task is using the stream.

    Afterwards, and if cancelled, the stream is still to be closed and fit for nothing else.
    """
    with trio.move_on_after(timeout), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        if not isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.aclose()
            return
        await stream.send_eof()
        await discard(stream, max_bytes)


async def discard(stream: trio.abc.ReceiveStream, max_bytes: int = MAX_SIZE) -> None:
    """Receive until the end of the stream, or until it is at least `max_bytes`, and throw it away."""
    while max_bytes > 0 and (data := await stream.receive_some(_CHUNK)):
        max_bytes -= len(data)


class LingeringStream(trio.abc.HalfCloseableStream):
    """A stream that lingers when it is closed, for the layers above that only know `aclose`.

    Parameters:
      transport_stream: what it stands on.
      timeout, max_bytes: bounds of the lingering; see `linger`.
    """

    def __init__(
        self, transport_stream: trio.abc.HalfCloseableStream, *, timeout: float, max_bytes: int = MAX_SIZE
    ) -> None:
        self.transport_stream = transport_stream
        self._timeout = timeout
        self._max_bytes = max_bytes

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the transport's."""
        return await self.transport_stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the transport's."""
        await self.transport_stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the transport's."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """As the transport's."""
        await self.transport_stream.send_eof()

    async def aclose(self) -> None:
        """Linger, then close.

        If cancelled (so also by `trio.aclose_forcefully`), or if another task is still using the stream, it is closed
        at once.
        """
        try:
            with contextlib.suppress(trio.BusyResourceError):
                await linger(self.transport_stream, timeout=self._timeout, max_bytes=self._max_bytes)
        finally:
            await close_now(self.transport_stream)

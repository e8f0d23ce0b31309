"""Any Trio stream, with a watch on its peer: a task that reads ahead.

Only reading tells that a peer has gone, and while a handler works nobody reads.  So once a request runs, a task of the
connection - the *reader* - receives whatever comes into a bounded buffer, until it meets the end.

Rules of this file:

* The reader starts with the first `watch`; until then, and after the end, nothing runs.  From then on only the reader
  receives from the stream below, and `receive_some` takes from the buffer.
* A bounded number of bytes waits.  A full buffer stops the reader: then TCP pushes back, and the going of that peer is
  seen when something is read or sent, unless the layer beneath tells.
* Lingering takes the stream back from the reader; to whoever still waits for bytes that is the end.
* What ended the stream is remembered: a listener that comes later is told at once, a reader of bytes is told after the
  bytes that came before.

It must not know HTTP.  Of TLS it knows only that what is unread has to be thrown away before the end is said (`tls`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from ..http.request_nursery import Spawn
from ..http.transport import PeerListener, Transport
from .linger import linger
from .sockets import reset_on_close
from .tls import discard_received

__all__ = ["WatchedStream"]

logger = logging.getLogger("trioframe.server")


class WatchedStream(Transport):
    """A `Transport` over any `trio.abc.Stream`.

    Parameters:
      stream: the bytes; closed with this one.
      spawn: starts a task that lives at most as long as the connection.
      read_ahead: bytes that may wait.
      beneath: a transport below `stream`, which may know of the peer's going before it can be read.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        spawn: Spawn,
        read_ahead: int = 64 * 1024,
        beneath: Transport | None = None,
    ) -> None:
        self.stream = stream
        self._beneath = beneath
        self._read_ahead_size = read_ahead
        self._spawn = spawn
        self._listener: PeerListener | None = None
        self._on_readable: Callable[[], object] | None = None
        self._reading_ahead = False
        self._reader = trio.CancelScope()
        self._reader_done = trio.Event()
        self._buffer = bytearray()
        self._changed = trio.lowlevel.ParkingLot()
        self._ended = False
        self._lingered: trio.Event | None = None  # a task lingers, or has
        self._error: BaseException | None = None  # what ended the stream, other than FIN

    # --- the watch ---------------------------------------------------------------------------------------------------

    def watch(self, listener: PeerListener | None) -> None:
        self._listener = listener
        if self._beneath is not None:
            self._beneath.watch(listener)
        if listener is None:
            return
        if not self._reading_ahead:
            self._reading_ahead = True
            self._spawn(self._read_ahead)
        self._tell()

    def when_readable(self, call: Callable[[], object] | None) -> None:
        self._on_readable = call
        if call is not None and (self._buffer or self._ended):
            call()

    def _tell(self) -> None:
        if self._ended and self._listener is not None:
            if self._error is None:
                self._listener.peer_half_closed()
            else:
                self._listener.peer_reset()

    async def _read_ahead(self) -> None:
        with self._reader:
            while not self._ended:
                while len(self._buffer) >= self._read_ahead_size:
                    await self._changed.park()
                await self._read_once()
        self._reader_done.set()

    async def _read_once(self) -> None:
        try:
            data = await self.stream.receive_some(self._read_ahead_size - len(self._buffer))
        except Exception as exc:
            if not isinstance(exc, trio.BrokenResourceError | trio.ClosedResourceError):
                logger.warning("%r broke", self.stream, exc_info=exc)
            self._ended, self._error = True, exc.with_traceback(None)
        else:
            self._buffer += data
            self._ended = not data
        is_awaited = bool(self._changed)
        self._changed.unpark_all()
        if self._on_readable is not None and not is_awaited:
            self._on_readable()
        self._tell()

    # --- trio.abc.Stream ---------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._reading_ahead:
            return bytes(await self.stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._buffer or self._ended:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not self._buffer and not self._ended:
            await self._changed.park()
        return self._take_or_end(max_bytes)

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        return self._take_or_end(max_bytes) if self._buffer or self._ended else None

    def _take_or_end(self, max_bytes: int | None) -> bytes:
        if self._buffer:
            return self._take(max_bytes)
        if self._error is not None:
            raise trio.BrokenResourceError("the connection was reset") from self._error
        return b""

    def _take(self, max_bytes: int | None) -> bytes:
        if max_bytes is None or max_bytes >= len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            data = bytes(self._buffer[:max_bytes])
            del self._buffer[:max_bytes]
        self._changed.unpark_all()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            self._tell_reset()
            raise

    def _tell_reset(self) -> None:
        if self._listener is not None:
            self._listener.peer_reset()

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def linger(self) -> None:
        if self._lingered is not None:  # TLS says goodbye once, and would cut the connection if it were interrupted
            await self._lingered.wait()
            return
        self._lingered = trio.Event()
        try:
            await self._linger()
        finally:
            self._lingered.set()

    async def _linger(self) -> None:
        if self._reading_ahead:
            self._reader.cancel()
            await self._reader_done.wait()
            self._ended = True
            self._changed.unpark_all()
        if self._error is None:
            await discard_received(self.stream)
            await linger(self.stream)

    def abort(self) -> None:
        reset_on_close(self.stream)

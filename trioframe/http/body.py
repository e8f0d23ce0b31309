"""The body of a request, as the stream a handler pulls.

Rules of this file:

* Nothing is read before somebody asks; then at most one piece of the size the connection reads (64 KiB).
* The limit is judged on what the peer *announces* - a Content-Length, the size of the chunk that comes - before it is
  read, and again on what was read.
* One task reads at a time; a second one gets `trio.BusyResourceError`.
* A cancelled read loses nothing: a piece is taken from the source only together with returning it, and one that
  somebody is told of first (`on_piece`) is held until he has been.

It must not know the protocol that carries the body.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from ..errors import PayloadTooLarge
from .events import RawHeaders

__all__ = ["BodySource", "RequestBody"]


class BodySource(Protocol):
    """Where a body comes from: one exchange of one protocol."""

    @property
    def announced(self) -> int:
        """Bytes of this body that are known to come, or to have come, so far."""

    @property
    def trailers(self) -> RawHeaders:
        """The trailer fields; empty until the end was read."""

    def next_piece_nowait(self) -> bytes | None:
        """The next bytes if they are here already, b"" at the end; None if they must be waited for."""

    async def wait(self, timeout: float | None) -> None:
        """Wait until more of it may be here.

        Parameters:
          timeout: seconds the body may stand still, None for the server's own limit.

        Raises:
          RequestCancelled: the peer has gone.
          RequestTimeout: the peer sends too slowly.
        """

    def stop(self) -> None:
        """Let whoever is in `wait` have `trio.ClosedResourceError`: the request is over."""

    def refuse_body(self) -> None:
        """The rest of the body will not be read; the connection cannot be used again."""


class RequestBody(trio.abc.ReceiveStream):
    """The request's body.

    `async for` yields pieces of at least one byte; `read` is the same one by one and gives None at the end;
    `receive_some` is Trio's.

    Parameters:
      source: where the bytes come from.
      request_max_size: how many bytes this body may have, in all; inf for any number.

    Attributes:
      received: bytes read from the source so far.
      timeout: seconds the body may stand still while it is being read; None for the server's own limit.
      on_piece: awaited with each piece when it was read, before whoever reads has it; None for nobody.
    """

    __slots__ = ("_busy", "_closed", "_ended", "_held", "_limit", "_source", "on_piece", "received", "timeout")

    def __init__(self, source: BodySource, request_max_size: float = math.inf) -> None:
        self._source = source
        self._limit = request_max_size
        self._held = b""
        self._busy = False
        self._ended = False
        self._closed = ""  # why nothing can be read any more
        self.received = 0
        self.timeout: float | None = None
        self.on_piece: Callable[[bytes], Awaitable[None]] | None = None

    @property
    def request_max_size(self) -> float:
        """Bytes this body may have in all.  May be changed as long as it has not been exceeded."""
        return self._limit

    @request_max_size.setter
    def request_max_size(self, value: float) -> None:
        self._limit = value

    @property
    def trailers(self) -> RawHeaders:
        """The trailer fields sent behind a chunked body (RFC 9110 section 6.5); empty until the end was read."""
        return self._source.trailers

    def check_size(self) -> None:
        """Judge what is announced, before any of it is read.

        Raises:
          PayloadTooLarge: it is more than the limit; the rest will not be read.
        """
        if self._source.announced > self._limit:
            self._source.refuse_body()
            raise PayloadTooLarge(f"the body is larger than the {self._limit} bytes allowed here")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes of the body, at most `max_bytes`; b"" at its end.

        Raises:
          PayloadTooLarge: the body is, or announces itself, larger than `request_max_size`.
          RequestTimeout: the client stalls or trickles.
          RemoteProtocolError: the client's framing is broken.
          RequestCancelled: the client has gone.
          Exception: what `on_piece` raises.
          trio.BusyResourceError: another task is reading.
          trio.ClosedResourceError: the body was closed.

        Neither cancellation nor `on_piece` loses bytes.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        self._claim()
        try:
            if self._held or self._ended:
                await trio.lowlevel.checkpoint()
                piece = self._take_held()
            else:
                piece = await self._next()
        finally:
            self._busy = False
        if max_bytes is not None and len(piece) > max_bytes:
            piece, self._held = piece[:max_bytes], piece[max_bytes:]
        return piece

    async def __anext__(self) -> bytes:
        piece = await self.receive_some()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its end.  Raises what `receive_some` raises."""
        return await self.receive_some() or None

    async def read_all(self) -> bytes:
        """All that is left of the body.  Raises what `receive_some` raises; what was read then can be read again."""
        self._claim()
        pieces: list[bytes] = []
        try:
            self.check_size()
            while piece := await self._next_or_held(first=not pieces):
                pieces.append(piece)
        except BaseException:
            self._held = b"".join((*pieces, self._held))  # for whoever reads next
            raise
        finally:
            self._busy = False
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Read no more of the body.  The connection is closed after this request if much of it is left."""
        self._closed = "this request's body was closed"
        self._held = b""
        await trio.lowlevel.checkpoint()

    def expire(self) -> None:
        """The request is over: what still arrives belongs to another one.  Whoever waits for this body is told."""
        if not self._closed:
            self._closed = "this request is over"
        self._held = b""
        self._source.stop()

    def _claim(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError(self._closed)
        if self._busy:
            raise trio.BusyResourceError("another task is reading this request's body")
        self._busy = True

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    async def _next(self) -> bytes:
        self.check_size()
        await trio.lowlevel.checkpoint_if_cancelled()
        piece = self._source.next_piece_nowait()
        if piece is None:
            piece = await self._wait_for_piece()
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()
        self._account(piece)
        return piece if self.on_piece is None or not piece else await self._tell(self.on_piece, piece)

    async def _next_or_held(self, *, first: bool) -> bytes:
        # Without a checkpoint for what is here already: a small body comes with its head.  But others have their turn
        # between two pieces, which they have had if this one was waited for.
        if self._held or self._ended:
            return self._take_held()
        piece = self._source.next_piece_nowait()
        if piece is None:
            piece = await self._wait_for_piece()
        elif piece and not first:
            await trio.lowlevel.cancel_shielded_checkpoint()
        self._account(piece)
        return piece if self.on_piece is None or not piece else await self._tell(self.on_piece, piece)

    async def _tell(self, listener: Callable[[bytes], Awaitable[None]], piece: bytes) -> bytes:
        self._held = piece  # until it is given out: what the listener is cancelled in, or raises, loses nothing
        await listener(piece)
        return self._take_held()

    async def _wait_for_piece(self) -> bytes:
        while True:
            self.check_size()
            await self._source.wait(self.timeout)
            piece = self._source.next_piece_nowait()
            if piece is not None:
                return piece

    def _account(self, piece: bytes) -> None:
        self.received += len(piece)
        self.check_size()
        if not piece:
            self._ended = True

"""Sends what a connection has to say: each write within its time, and none after one that failed.

A write that was cancelled or broke may have sent any part of itself.  Whatever followed it would be read as something
else, so after it the connection is `broken` and nothing is written any more (Trio's `SendStream.send_all` says the
same of its streams).

It must not know what is written.
"""

from __future__ import annotations

import trio

from ..errors import RequestCancelled
from .lifetime import Lifetime
from .transport import Transport

__all__ = ["SEND_SIZE", "Writer"]

SEND_SIZE = 64 * 1024  # bytes that must leave within one `timeout`: a slow reader of much is not a stalled one


class Writer:
    """The sending side of a connection.

    Parameters:
      transport: where the bytes go.
      timeout: seconds for each `SEND_SIZE` bytes.

    Attributes:
      broken: whether a write failed, or is under way: nothing can be written.
    """

    __slots__ = ("_timeout", "_transport", "_writing", "broken")

    def __init__(self, transport: Transport, timeout: float) -> None:
        self._transport = transport
        self._timeout = timeout
        self._writing = False
        self.broken = False

    def check(self, lifetime: Lifetime | None = None) -> None:
        """Raise what `write` would raise before it writes."""
        if self._writing:
            raise trio.BusyResourceError("another task is sending this response")
        if self.broken or (lifetime is not None and lifetime.lost):
            raise RequestCancelled((lifetime.reason if lifetime is not None else None) or "disconnect")

    def write_nowait(self, data: bytes | memoryview, lifetime: Lifetime | None = None, more: bool = False) -> int:
        """How many bytes of `data` left without waiting; the rest has to follow by `write`.  Raises as `write`.

        To be called behind `check`.  For `more` see `Transport.send_nowait`.
        """
        try:
            sent = self._transport.send_nowait(data, more)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self.broken = True
            if lifetime is not None:
                lifetime.peer_reset()
            raise RequestCancelled("disconnect") from exc
        if sent and lifetime is not None and lifetime.ebb is not None:
            lifetime.sent()
        return sent

    async def write(self, data: bytes | memoryview, lifetime: Lifetime | None = None) -> None:
        """Send `data`.

        Parameters:
          lifetime: of the request that is answered.

        Raises:
          RequestCancelled: the peer has gone, or reads nothing.
          trio.BusyResourceError: another task is sending.

        If cancelled, an unknown part was sent and the connection is broken.
        """
        self.check(lifetime)
        self._writing = self.broken = True
        if lifetime is not None:
            lifetime.sending()
        try:
            if not await self._send(data):
                if lifetime is not None:
                    lifetime.peer_stalled()
                raise RequestCancelled("timeout")
            self.broken = False
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            if lifetime is not None:
                lifetime.peer_reset()
            raise RequestCancelled("disconnect") from exc
        finally:
            self._writing = False
            if lifetime is not None:
                lifetime.sent()

    async def _send(self, data: bytes | memoryview) -> bool:
        """Whether all of it left in time."""
        if len(data) <= SEND_SIZE:
            return await self._send_piece(data)
        view = memoryview(data)
        for start in range(0, len(data), SEND_SIZE):
            if not await self._send_piece(view[start : start + SEND_SIZE]):
                return False
        return True

    async def _send_piece(self, data: bytes | memoryview) -> bool:
        with trio.move_on_after(self._timeout):
            await self._transport.send_all(data)
            return True
        return False

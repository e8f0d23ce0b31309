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

SEND_SIZE = 256 * 1024  # bytes that must leave within one `timeout`: a slow reader of much is not a stalled one


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

    async def write(self, data: bytes, lifetime: Lifetime | None = None) -> None:
        """Send `data`.

        Parameters:
          lifetime: of the request that is answered.

        Raises:
          RequestCancelled: the peer has gone, or reads nothing.
          trio.BusyResourceError: another task is sending.

        If cancelled, an unknown part was sent and the connection is broken.
        """
        if self._writing:
            raise trio.BusyResourceError("another task is sending this response")
        if self.broken or (lifetime is not None and lifetime.lost):
            raise RequestCancelled("disconnect")
        self._writing = self.broken = True
        if lifetime is not None:
            lifetime.sending()
        try:
            if len(data) <= SEND_SIZE:
                await self._send(data)
            else:
                view = memoryview(data)
                for start in range(0, len(data), SEND_SIZE):
                    await self._send(view[start : start + SEND_SIZE])
            self.broken = False
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            if lifetime is not None:
                lifetime.peer_reset()
            raise RequestCancelled("disconnect") from exc
        finally:
            self._writing = False
            if lifetime is not None:
                lifetime.sent()

    async def _send(self, data: bytes | memoryview) -> None:
        with trio.move_on_after(self._timeout):
            await self._transport.send_all(data)
            return
        raise RequestCancelled("timeout")

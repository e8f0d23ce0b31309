"""The body of a request on an HTTP/1 connection: what is pulled becomes reads, each within its time.

Rules of this file:

* A 100 (Continue) goes out when somebody first waits for a body that the client holds back (RFC 9110 section 10.1.1).
* The patience with a body counts only while somebody waits for it.  A stall is bounded by itself; a trickle by the rate
  over all the time waited so far, so that a byte now and then gains nothing.
* The limit on the start of the response stands still meanwhile: whose client sends slowly is not slow.
* A body that ends before its end is a client that has gone.

It must not know the exchange it belongs to; that knows it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from ..errors import RequestCancelled, RequestTimeout
from .events import NEED_DATA, Data, EndOfMessage, IncompleteMessage, RawHeaders
from .lifetime import Lifetime

if TYPE_CHECKING:
    from .h1_connection import H1Driver

__all__ = ["H1Body"]


class H1Body:
    """A `BodySource`.

    Parameters:
      connection: where the body comes from.
      lifetime: of the request.
    """

    __slots__ = ("_connection", "_lifetime", "_received", "_scope", "_stopped", "_waited", "trailers")

    def __init__(self, connection: H1Driver, lifetime: Lifetime) -> None:
        self._connection = connection
        self._lifetime = lifetime
        self._received = 0  # bytes
        self._waited = 0.0  # seconds
        self._scope: trio.CancelScope | None = None  # around a wait
        self._stopped = False
        self.trailers: RawHeaders = ()

    @property
    def announced(self) -> int:
        """See `BodySource`."""
        return self._connection.wire.announced

    def refuse_body(self) -> None:
        """See `BodySource`."""
        self._connection.refuse_more()

    def stop(self) -> None:
        """See `BodySource`."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel(reason="the request is over")

    def next_piece_nowait(self) -> bytes | None:
        """See `BodySource`."""
        if self._stopped:  # what comes now belongs to another request
            raise trio.ClosedResourceError("this request is over")
        try:
            event = self._connection.wire.next_event()
        except IncompleteMessage as exc:
            raise RequestCancelled("disconnect") from exc
        if event is NEED_DATA:
            return None
        if isinstance(event, Data):
            self._received += len(event.data)
            self._lifetime.sent()  # whoever reads what has come is at work, also if its client has half-closed
            return event.data
        if isinstance(event, EndOfMessage):
            self.trailers = event.trailers
        return b""

    async def wait(self, timeout: float | None) -> None:
        """See `BodySource`."""
        connection = self._connection
        if connection.wire.expects_continue:
            await connection.writer.write(connection.wire.send_informational(100), self._lifetime)
        await self._receive(connection.settings.body_timeout if timeout is None else timeout)

    async def _receive(self, timeout: float) -> None:
        settings = self._connection.settings
        began = trio.current_time()
        spare = math.inf
        if settings.body_min_rate > 0:
            spare = settings.body_min_rate_grace + self._received / settings.body_min_rate - self._waited
        self._lifetime.hold_limit()
        with trio.move_on_after(max(0.0, min(timeout, spare))) as self._scope:
            try:
                await self._connection.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lifetime.peer_reset()
                raise RequestCancelled("disconnect") from exc
            finally:
                self._waited += trio.current_time() - began
                self._lifetime.resume_limit()
            return
        if self._stopped:
            raise trio.ClosedResourceError("this request is over")
        self.refuse_body()
        raise RequestTimeout("the body of the request did not arrive in time")

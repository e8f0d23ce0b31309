"""The body of a request on an HTTP/1 connection: what is pulled becomes reads, each within its time.

Rules of this file:

* A 100 (Continue) goes out when somebody first waits for a body that the client holds back (RFC 9110 section 10.1.1).
* The patience with a body counts only while somebody waits for it.  A stall is bounded by its own timeout.  A trickle
  is judged whenever something arrives: every byte earns time at the least rate, waiting spends it, and no more than the
  timeout is kept.  So a byte now and then gains nothing, and neither does a burst long ago.
* The limit on the start of the response stands still meanwhile: whose client sends slowly is not slow.
* A body that ends before its end is a client that has gone.

It must not know the exchange it belongs to; that knows it.
"""

from __future__ import annotations

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

    __slots__ = ("_connection", "_credit", "_lifetime", "_scope", "_stopped", "trailers")

    def __init__(self, connection: H1Driver, lifetime: Lifetime) -> None:
        self._connection = connection
        self._lifetime = lifetime
        self._credit = connection.settings.body_min_rate_grace  # seconds of waiting that have been earned
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
        timeout = connection.settings.body_timeout if timeout is None else timeout
        if self._receive_nowait(timeout):
            self._lifetime.hold_limit()
            try:
                await trio.lowlevel.checkpoint()  # a client that is fast is not all there is
            finally:
                self._lifetime.resume_limit()
        else:
            await self._receive(timeout)

    def _receive_nowait(self, timeout: float) -> bool:
        """Take what has come without waiting for it, and so without a limit on the wait; whether anything had."""
        connection = self._connection
        try:
            data = connection.transport.receive_nowait(connection.settings.buffer_size)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._lifetime.peer_reset()
            raise RequestCancelled("disconnect") from exc
        if data is None:
            return False
        connection.wire.receive_data(data)
        self._account(len(data), 0, timeout)
        return True

    def _account(self, received: int, waited: float, timeout: float) -> None:
        rate = self._connection.settings.body_min_rate
        if received and rate > 0:
            self._credit = min(self._credit - waited + received / rate, timeout)

    async def _receive(self, timeout: float) -> None:
        began = trio.current_time()
        self._lifetime.hold_limit()
        with trio.move_on_after(timeout) as self._scope:
            try:
                received = await self._connection.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lifetime.peer_reset()
                raise RequestCancelled("disconnect") from exc
            finally:
                self._lifetime.resume_limit()
            self._account(received, trio.current_time() - began, timeout)
            if self._credit >= 0:
                return
        if self._stopped:
            raise trio.ClosedResourceError("this request is over")
        self.refuse_body()
        raise RequestTimeout("the body of the request did not arrive in time")

"""A response sent piece by piece by the handler itself.

Rules of this file:

* One `send` is one awaited write.  Nothing is buffered but the head, which leaves together with the first piece.
* A response that failed half-way is not ended: the connection is broken instead, so that no client takes a part for the
  whole.

It holds the exchange and not the request, so that neither keeps the other alive.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import trio

from ..errors import LocalProtocolError
from ..http.exchange import Exchange
from .before_waiting import begin
from .response import Response

__all__ = ["ResponseStream", "pieces_of", "send"]

# How much a stream may send, when it need not wait, before others have their turn.  A piece counts for more than its
# bytes, as it costs more than to copy them.
WORK_PER_TURN = 512 * 1024  # bytes
WORK_PER_PIECE = 8 * 1024


class ResponseStream:
    """Made by `Request.respond`; also ``async with await request.respond() as response:``.

    Parameters:
      response: the status and headers; its body is not looked at.

    Attributes:
      status: as sent.
      ended: whether the response is complete.

    Raises:
      LocalProtocolError: the response has begun elsewhere, or its Content-Length is no number.
    """

    __slots__ = ("_exchange", "ended", "status")

    def __init__(self, exchange: Exchange, response: Response) -> None:
        headers = response.raw_headers()
        exchange.send_head(response.status, headers, _announced_length(headers))
        self._exchange = exchange
        self.status = response.status
        self.ended = False

    async def send(self, data: bytes | str) -> None:
        """Send a piece of the body, text as UTF-8, in one write; an empty first piece sends the head alone.

        Raises:
          TypeError: `data` is neither bytes nor text.
          LocalProtocolError: the response has ended, or this is more than its Content-Length.
          RequestCancelled: the client has gone, or reads nothing.
          trio.BusyResourceError: another task is sending.

        If cancelled, an unknown part was sent and the response cannot be continued.
        """
        if self.ended:
            raise LocalProtocolError("nothing can be sent after eof(): the response has ended")
        await self._exchange.send_data(data if type(data) is bytes else self._octets(data))

    async def send_from(self, body: AsyncIterable[bytes | str]) -> None:
        """Send each piece as `send` does, and close `body` in any case; for HEAD none is asked for.

        Others have their turn not behind each piece, but behind some; and pieces that come without a wait in between
        may leave together.
        """
        async with pieces_of(body) as pieces:
            if self._exchange.head.method == "HEAD":
                return
            write, push, work = self._exchange.write_data, self._exchange.push, 0
            while True:
                try:
                    begun = begin(anext(pieces))
                    if isinstance(begun, tuple):
                        piece = begun[0]
                    else:
                        push()
                        piece = await begun
                except StopAsyncIteration:
                    push()
                    return
                data = piece if type(piece) is bytes else self._octets(piece)
                work = 0 if await write(data) else work + len(data) + WORK_PER_PIECE
                if work >= WORK_PER_TURN:
                    await trio.lowlevel.checkpoint()
                    work = 0

    @staticmethod
    def _octets(data: bytes | str) -> bytes:
        if isinstance(data, str):
            return data.encode()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a piece of a response is bytes or str, not {type(data).__name__}")
        return bytes(data)

    async def eof(self) -> None:
        """End the response; once is enough, and again is harmless.

        Raises:
          LocalProtocolError: less was sent than Content-Length announced; the connection is broken.
          RequestCancelled: the client has gone, or reads nothing.
        """
        if not self.ended:
            await self._exchange.send_end()
            self.ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.eof()


@asynccontextmanager
async def pieces_of(body: AsyncIterable[bytes | str]) -> AsyncIterator[AsyncIterator[bytes | str]]:
    """The pieces of a streamed body, which is closed in any case: it may hold a task, a file, a channel."""
    pieces = aiter(body)
    try:
        yield pieces
    finally:
        if (aclose := getattr(pieces, "aclose", None)) is not None:
            await aclose()


def _announced_length(headers: tuple[tuple[bytes, bytes], ...]) -> int | None:
    for name, value in headers:
        if name == b"content-length":
            if not (value.isdigit() and len(value) < 20):  # RFC 9110 section 8.6: Content-Length = 1*DIGIT
                raise LocalProtocolError(f"Content-Length is a number of bytes, not {value[:40]!r}")
            return int(value)
    return None


async def send(exchange: Exchange, response: Response) -> None:
    """Send a response: whole in one write, or as a stream that is closed in any case."""
    status, headers, body = response.parts()
    if isinstance(body, bytes):
        await exchange.send_response(status, headers, body)
        return
    async with pieces_of(body) as pieces:  # also if the head is refused
        stream = ResponseStream(exchange, response)
        await stream.send_from(pieces)
    await stream.eof()

"""A WebSocket, as its handler sees it: messages in and out, and an end.

It is one object in five floors; parts would each cost an idle WebSocket an object and a way back:

    Reading     takes frames from the wire: answers control frames, reads ahead
    KeepAlive   pings a peer that is silent, and gives it up
    Connection  comes to its end: closes, fails, is lost, and tells whom it concerns
    Receiving   receives messages, whole or in pieces
    WebSocket   all else that a handler calls: accept, send, ping, close

Rules of this file:

* An operation on a WebSocket that has ended raises `WebSocketClosed`; but `accept`, `close` and `aclose`, which have
  nothing left to do then.
* A cancellation leaves no message half said: one that cannot be completed ends the WebSocket, with 1011 between two
  frames, by a cut within one; and all operations behind it say so.
* The handshake is accepted by the first operation, or by `accept`.  Until then the handler may refuse it.
* Every operation can be cancelled where it begins, and lets others have their turn; but sending, which seldom waits,
  only after a bounded amount of work.

It must not know the application.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Never

import trio
from wsproto.extensions import Extension

from ..errors import RequestCancelled, WebSocketClosed
from ..http.exchange import Exchange
from ..http.switched import Switched
from .close_codes import CloseCode
from .close_state import OVER, SEND_CLOSE, State
from .receiving import Receiving
from .terms import WebSocketTerms

__all__ = ["Accept", "WebSocket"]

Accept = Callable[[Any], Awaitable[Switched]]

_OPEN = State.OPEN  # in the place of SEND and RECEIVE, which allow just this state, on short ways


class WebSocket(Receiving, trio.abc.Channel["str | bytes"]):
    """One WebSocket (RFC 6455); text is str, binary is bytes.

    ``async for message in ws`` receives until it is closed in order: with 1000, with 1001, or without a code.

    It is a `trio.abc.Channel` as well, and what it raises is also what a channel would raise.

    The first operation accepts the handshake, and raises what `accept` does.

    Parameters: besides those of `Reading`,
      accept: answers the handshake, with further headers.
      opened: awaited when it is open; None for nobody.
      subprotocol: the one that was agreed upon; None for none.
    """

    __slots__ = ("_accept", "_opened", "_opening", "subprotocol")

    def __init__(
        self,
        exchange: Exchange,
        terms: WebSocketTerms,
        accept: Accept,
        *,
        opened: Callable[[], Awaitable[None]] | None = None,
        subprotocol: str | None = None,
        extensions: Sequence[Extension] = (),
    ) -> None:
        super().__init__(exchange, terms, extensions)
        self._accept = accept
        self._opening: trio.Event | None = None
        self._opened = opened
        self.subprotocol = subprotocol

    def __repr__(self) -> str:
        return f"<WebSocket of {self._exchange!r}, {self._state.name}>"

    # --- how it stands -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: one of the two sides has closed, or the connection was lost."""
        return self._state not in (State.CONNECTING, _OPEN)

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that was first, ours or the peer's (RFC 6455 section 7.4): 1005 if it had none,
        1006 if there was no such frame; None as long as it is open."""
        return self._close_code

    @property
    def close_reason(self) -> str:
        """The words in that frame, at most 123 bytes of UTF-8."""
        return self._close_reason

    # --- accepting ---------------------------------------------------------------------------------------------------

    async def accept(self, headers: Any = ()) -> None:
        """Accept the handshake; without effect if it was accepted.

        The first of the other operations does it as well.  So does a handler that waits for anything else for longer
        than a second: it does not refuse.

        Parameters:
          headers: further ones for the response, as for `Response`.

        Raises:
          LocalProtocolError: one of them cannot be sent; then it is not accepted.
          WebSocketClosed: it was refused, or the request has ended without it.
          RequestCancelled: the client has gone.

        If cancelled, the connection is closed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._opening is not None:  # another task does it
            await self._opening.wait()
        if self._state is State.CONNECTING:
            self._opening = trio.Event()
            try:
                self._begin(await self._accept(headers))
            except WebSocketClosed as refused:
                self._refused(refused)
                self._raise_closed()
            finally:
                self._opening.set()
                self._opening = None
            opened = self._opened
            del self._accept, self._opened  # of many that wait, each would hold what only the handshake needs
            if opened is not None:
                with self._occupying():
                    await opened()
        elif self.accepted:
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await trio.lowlevel.checkpoint()
            self._raise_closed()

    def note_refusal(self) -> bool:
        """The handshake is answered with another response: nobody is to accept it any more.

        False, and without effect, if it was accepted or is being accepted.
        """
        if self.accepted or self._opening is not None:
            return False
        if self._state is State.CONNECTING:
            self._refused(WebSocketClosed(CloseCode.ABNORMAL_CLOSURE, "the handshake was refused"))
        return True

    async def opening_ended(self) -> None:
        """Wait for a task that is about to accept, if there is one; raises as `accept` what that has found out."""
        while self._opening is not None:
            await self._opening.wait()
            if self._state is not State.CONNECTING and not self.accepted:
                self._raise_closed()

    async def accept_silently(self) -> None:
        if self._state is State.CONNECTING and self._opening is None:
            await self.accept()

    async def _be_open(self) -> None:
        """Accept the handshake if that is still to be done; raise if nothing can be sent."""
        if self._state is State.CONNECTING:
            await self.accept()
        if self._state is not _OPEN:
            await trio.lowlevel.checkpoint()  # who tries again and again would stop the whole server
            self._raise_closed()

    # --- sending -----------------------------------------------------------------------------------------------------

    async def send(self, message: str | bytes | bytearray | memoryview | AsyncIterable[str | bytes]) -> None:
        """Send a message: str as text, octets as binary; or, piece by piece, what an asynchronous iterable gives.

        Several tasks may send at once; their messages leave in the order of asking.  Pieces are all of one type, each
        is sent when it is there, and if there is none, no message is.

        Raises:
          WebSocketClosed: it has ended, one of the two sides has closed, or the peer has read nothing for SEND_TIMEOUT.
          LocalProtocolError: text that is not Unicode, or pieces of both types.
          TypeError: a message of another type.
          RuntimeError: the iterable itself sends a message.
          Exception: what the iterable raises.

        If cancelled before anything was sent, nothing has happened.  If cancelled, or failed, within a message, the
        WebSocket is closed with 1011; within a frame, the connection is cut.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if type(message) is not str and type(message) is not bytes:
            if isinstance(message, AsyncIterable):
                await self._send_pieces(message)
                return
            message = _as_message(message)
        if self._state is not _OPEN:
            await self._be_open()
        outbox = self._outbox
        if outbox.waiting or outbox.busy:
            await self._in_turn(partial(outbox.write, partial(self._encode, message)))
            return
        try:
            rest = outbox.write_nowait(self._wire.send_message(message))
            if rest is not None:
                await outbox.finish(rest)
            elif outbox.owes_turn():
                await trio.lowlevel.cancel_shielded_checkpoint()
        except RequestCancelled:
            self._lose_here()

    def _encode(self, message: str | bytes) -> bytes:
        if self._state is not _OPEN:
            self._raise_closed()
        return self._wire.send_message(message)

    def _encode_piece(self, piece: str | bytes, final: bool) -> bytes:
        if self._state is not _OPEN:
            self._raise_closed()
        return self._wire.send_fragment(piece, final)

    async def _send_pieces(self, pieces: AsyncIterable[str | bytes]) -> None:
        await self._be_open()
        if isinstance(pieces, AsyncGenerator):
            async with aclosing(pieces):
                await self._in_turn(partial(self._write_pieces, pieces))
        else:
            await self._in_turn(partial(self._write_pieces, pieces))

    async def _write_pieces(self, pieces: AsyncIterable[str | bytes]) -> None:
        write, end = self._outbox.write, None
        try:
            iterator = aiter(pieces)
            while True:
                with self._until_ended():
                    try:
                        message = _as_message(await anext(iterator))
                    except StopAsyncIteration:
                        break
                await write(partial(self._encode_piece, message, False))
                end = message[:0]
                if self._outbox.owes_turn():
                    await trio.lowlevel.checkpoint()
            if end is not None:
                await write(partial(self._encode_piece, end, True))
        except BaseException:
            if end is not None and self._state is _OPEN:
                self._close_now(CloseCode.INTERNAL_ERROR, "a message could not be completed")
            raise
        await trio.lowlevel.cancel_shielded_checkpoint()  # it has been sent

    async def _in_turn(self, send: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._outbox.in_turn(send, self._until_ended)
        except RequestCancelled:
            self._lose_here()

    def _lose_here(self) -> Never:
        """The operation of this task has found out that the peer has gone, and tells it."""
        with self._occupying():
            self._lose()
        self._raise_closed()

    # --- pings -------------------------------------------------------------------------------------------------------

    async def ping(self, payload: bytes | None = None) -> float:
        """Ping the peer (RFC 6455 section 5.5.2), and wait for its pong; how many seconds that took.

        A pong is only seen as long as messages are received, or there is room for them to wait.

        Parameters:
          payload: at most 125 bytes; by default some that tell this ping from others.

        Raises:
          WebSocketClosed: it has ended, or begun to; or does so before the pong comes.
          LocalProtocolError: `payload` is too long, or the same as that of a ping that waits.

        If cancelled, the pong is not waited for.
        """
        await self._wait_for_room()
        began = self._now()
        ping = self._add_ping(payload)
        try:
            frame = self._wire.send_ping(ping.payload)
            with self._occupying():
                self._outbox.send_soon(frame)
                await ping.done.wait()
        finally:
            self._give_up_ping(ping)
        if not ping.answered:
            self._raise_closed()
        return self._now() - began

    async def pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for, as a sign of life (RFC 6455 section 5.5.3); pings are answered anyway.

        Raises:
          WebSocketClosed: it has ended, or begun to.
          LocalProtocolError: `payload` has more than 125 bytes.

        If cancelled, nothing was sent.
        """
        await self._wait_for_room()
        frame = self._wire.send_pong(payload)
        with self._occupying():
            self._outbox.send_soon(frame)
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self._state in OVER:
            self._raise_closed()

    async def _wait_for_room(self) -> None:
        """Wait until it is open and no frame is on its way: control frames that have to wait are held in memory."""
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._be_open()
        with self._occupying():
            await self._outbox.settled()
        await self._be_open()  # it may have ended meanwhile

    # --- closing -----------------------------------------------------------------------------------------------------

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close, and wait for the peer to close too, WEBSOCKET_CLOSE_TIMEOUT at most; without effect on what has ended.

        Messages that still come are dropped.  A handler that returns closes with 1000 by itself.  One that would rather
        not have accepted has to refuse instead, by what it returns or raises: this accepts first.

        Parameters:
          code: 1000 if all is well, 3000 to 4999 for reasons of your own; RFC 6455 section 7.4 has the others.
          reason: for whoever looks for a fault, at most 123 bytes of UTF-8.

        Raises:
          LocalProtocolError: a code or a reason that cannot be sent.
          WebSocketClosed: the handshake was refused in this moment.

        If cancelled, the close was sent, and its answer is not waited for.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._state is State.CONNECTING:
            await self.accept()
        with self._occupying():
            if self._state is _OPEN:
                self._close_now(code, reason)
            self._closed_here = True
            await self._wait_ended()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close with 1000.  If cancelled, the connection is cut."""
        try:
            await self.close()
        except trio.Cancelled:
            if self.accepted:
                with self._occupying():
                    self._lose()
            raise

    async def finish(self, code: int, reason: str = "") -> None:
        """The handler has ended: close if nobody has, and see that our last words leave, in bounded time.

        For whoever has called the handler, once the WebSocket was accepted.
        """
        self._finishing = True
        if self._state in OVER:
            self._alarm.deadline = math.inf  # the connection is about to end by itself
        if self._state in SEND_CLOSE:
            self._close_now(code, reason)
        await self._wait_ended()
        with trio.move_on_after(self._terms.close_timeout):
            await self._outbox.settled()
        if self._outbox.busy:
            self._lose()
        if self._state is State.CLOSED or self._failed_aloud:
            self._exchange.finished = True
        else:
            self._exchange.abandon()


def _as_message(message: object) -> str | bytes:
    if isinstance(message, str | bytes):
        return message
    if isinstance(message, bytearray | memoryview):
        return bytes(message)
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}")

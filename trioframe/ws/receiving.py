"""How a WebSocket receives.

A message is taken whole, or in pieces as they come.  In both ways the task that waits for it reads it itself; what was
read ahead comes first (see `reading`).

Rules of this file:

* One task receives at a time.
* A cancellation loses nothing: what has come is only taken where nothing can be cancelled any more.
* All that came before the end is received before the end is.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Never, Self

import trio
from wsproto.extensions import Extension

from ..errors import LocalProtocolError
from ..http.exchange import Exchange
from .close_codes import CloseCode
from .close_state import OVER, State
from .connection import Connection
from .ended import Broken, Ended
from .events import Fragment, Message
from .reading import PAUSE, Next
from .terms import WebSocketTerms

__all__ = ["MessageStream", "Receiving"]

_OPEN = State.OPEN
# How a WebSocket ends when all is well; a close without a code says nothing to the contrary.
_CLEAN = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS})


class Receiving(Connection):
    """The floor of a `WebSocket` that receives.  Parameters are those of `Reading`."""

    __slots__ = ("_stream",)

    def __init__(self, exchange: Exchange, terms: WebSocketTerms, extensions: Sequence[Extension] = ()) -> None:
        super().__init__(exchange, terms, extensions)
        self._stream: object = None  # the mark of the `MessageStream` whose message has begun and not ended

    async def recv(self) -> str | bytes:
        """Wait for a message.

        Raises:
          WebSocketClosed: it has ended, and what came before has been received.
          trio.BusyResourceError: another task receives.

        If cancelled, no message is lost.  For the first operation see `accept` as well.
        """
        return await self._recv()

    # In one piece: each idle WebSocket waits here, and a call more would be a frame more for each of them.
    async def _recv(self, *, iterating: bool = False) -> str | bytes:  # noqa: C901, PLR0912
        if self._receiver is not None:
            raise trio.BusyResourceError("another task is receiving from this WebSocket")
        if self._stream is not None:
            self._leave_stream()
        self._receiver = trio.lowlevel.current_task()
        try:
            if self._state is State.CONNECTING:
                await self.accept()
            if self._queue or self._state is not _OPEN or not self._wire.drained:
                return (await self._take()).data
            if self._paused:
                self._resume()
            try:
                data = await self._transport.receive_some(self._buffer_size)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._break_off()
            self._heard_at = self._now()
            if len(data) == self._buffer_size:
                self._unseen = True
            if self._state is _OPEN and not self._skipping:
                plain = self._wire.receive_message(data)
                if plain is not None:
                    return plain
            else:
                self._wire.receive_data(data)
            return (await self._take(waited=True)).data
        except Ended:
            if iterating:
                raise StopAsyncIteration from None
            raise
        finally:
            self._receiver = None
            if self._unseen or not self._wire.drained:
                self._look_again()

    def recv_streaming(self) -> MessageStream:
        """``async for piece in ws.recv_streaming()`` is one message, in pieces as they come, whatever its size.

        The pieces are of one type, and never cut within a character; only an empty message has an empty one.  What
        is not read of a message is dropped when the next one is received.  The limit of size holds as ever.

        Raises, in the iteration, what `recv` does, and `LocalProtocolError` if the rest was dropped meanwhile.  If
        cancelled, no piece is lost: go on iterating.
        """
        return MessageStream(self)

    async def next_piece(self, stream: MessageStream) -> Message | Fragment:
        """For `MessageStream`: what comes next of its message."""
        if self._receiver is not None:
            raise trio.BusyResourceError("another task is receiving from this WebSocket")
        if self._stream is not stream.mark:
            if stream.begun:
                raise LocalProtocolError("the rest of this message was dropped, as another one was received meanwhile")
            if self._stream is not None:
                self._leave_stream()
            self._fragmenting = not self._queue  # what waits there is whole
        self._receiver = trio.lowlevel.current_task()
        try:
            event = await self._take()
            self._stream = stream.mark if isinstance(event, Fragment) and not event.final else None
            return event
        finally:
            if self._stream is not stream.mark:
                self._fragmenting = False
            self._receiver = None
            if self._unseen or not self._wire.drained:
                self._look_again()

    def _leave_stream(self) -> None:
        """The rest of the message that is read in pieces is dropped."""
        self._stream = None
        while self._queue and isinstance(fragment := self._queue[0], Fragment):
            self._dequeue()
            if fragment.final:
                return
        self._skipping, self._fragmenting = True, False

    async def _receive(self) -> bytes:
        """Wait for what the peer sends next; as `_recv` does, which has it inline."""
        try:
            data = await self._transport.receive_some(self._buffer_size)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._break_off()
        self._heard_at = self._now()
        if len(data) == self._buffer_size:
            self._unseen = True  # there may be more, of which nobody tells any more
        return data

    def _break_off(self) -> Never:
        self._lose()
        self._raise_ended()

    async def _take(self, *, waited: bool = False) -> Message | Fragment:
        """The next message, or some of it.

        Parameters:
          waited: whether others have had their turn already; else they have it here.
        """
        if not waited:
            await trio.lowlevel.checkpoint_if_cancelled()
        if self._state is State.CONNECTING:
            await self.accept()
        if self._paused and not self._queue:
            self._resume()  # what was held of a message is taken, or the rest of it waited for
        while True:
            found = self._dequeue() or self._find()
            if found is PAUSE:
                await trio.lowlevel.checkpoint()
            elif found is None and self._state is _OPEN:
                self._wire.receive_data(await self._receive())
            else:
                if not waited:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                if found is None:
                    self._raise_ended()
                return found
            waited = True

    def _find(self) -> Next:
        """As `_next`, but None at once where nothing is to be received any more."""
        if self._state in OVER or (self._state is not _OPEN and self._wire.drained):
            return None
        return self._next()

    def _look_again(self) -> None:
        """No task receives any more: what it has not seen is read ahead, once it has had its turn."""
        self._unseen = False
        self._read_ahead(hold=True)

    def _raise_ended(self) -> Never:
        self._raise_closed(Ended if self._close_code in _CLEAN else Broken)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        return self._recv(iterating=True)

    async def receive(self) -> str | bytes:
        """As `recv`; what it raises is also the error of a channel, see `WebSocketClosed`."""
        return await self._recv()


class MessageStream:
    """One message, in pieces; made by `WebSocket.recv_streaming`.

    Attributes:
      begun: whether some of it was taken.
      mark: what is known of it by others.
    """

    __slots__ = ("_ended", "_gave", "_websocket", "begun", "mark")

    def __init__(self, websocket: Receiving) -> None:
        self._websocket = websocket
        self._ended = False
        self._gave = False  # a piece
        self.begun = False
        self.mark = object()  # held in its place: a WebSocket that held this would hold itself

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        while not self._ended:
            event = await self._websocket.next_piece(self)
            self.begun = True
            self._ended = isinstance(event, Message) or event.final
            if event.data or (self._ended and not self._gave):
                self._gave = True
                return event.data
        raise StopAsyncIteration

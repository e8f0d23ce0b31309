"""The server's side of one WebSocket, as bytes in and events out, messages in and bytes out (RFC 6455 sections 5 to 8).

Nothing here waits, reads or writes.  A driver gives what it received to `receive_data` (or `receive_message`), asks
`next_step` until that is `NEED_DATA` or `CLOSED`, and sends what the ``send_*`` methods return.  `next_event` and
`next_fragment` are `next_step` without the pauses.

Two ways lead from bytes to events.  Plain messages are read by `frames` and `long_message`; all else is wsproto's: its
frame decoder takes frames apart and its message decoder holds them to their order and to UTF-8, as the octets come.

Rules of this file:

* wsproto is asked from the first octet that the lane does not take, until what it was given ends between two messages.
* A message is put together in linear time, and nothing is allocated for a length that was only declared.
* An error of the peer is final: it is raised again at each question.
* An error of the application (`LocalProtocolError`) changes nothing.
* It answers nothing by itself: no pong, no close.  What may be sent while closing is told by `close_state`.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final, cast

from wsproto.extensions import Extension
from wsproto.frame_protocol import Frame, FrameDecoder, FrameProtocol, MessageDecoder, Opcode, ParseFailed

from ..errors import LocalProtocolError
from ..http.inbox import Inbox
from . import frames, long_message
from .bounds import Bounds, WebSocketLimits
from .close_codes import decode_close, encode_close
from .deflate import DeflateExtension, InflatingDecoder
from .events import CLOSED, NEED_DATA, Close, Event, Fragment, Message, Ping, Pong, WebSocketError

__all__ = ["WebSocketLimits", "WebSocketProtocol"]


class WebSocketProtocol:
    """One WebSocket, from the octet behind the handshake on; see the top of this file.

    Parameters:
      limits: sizes the peer must keep to.
      extensions: of wsproto, as they were accepted in the handshake.  They have to bound what they allocate.

    Attributes:
      drained: whether nothing can be said before more is received: the last word was `NEED_DATA`.
      held: octets of memory of a message of which `next_event` waits for the rest.
    """

    __slots__ = (
        "_closed",
        "_decoder",
        "_eof",
        "_extended",
        "_extensions",
        "_failure",
        "_inbox",
        "_largest",
        "_limits",
        "_long",
        "_messages",
        "_parts",
        "_plain",
        "_sending",
        "_streamed",
        "_writer",
        "drained",
        "held",
    )

    def __init__(self, limits: WebSocketLimits, extensions: Sequence[Extension] = ()) -> None:
        self._limits = limits
        self._extensions = extensions
        self._extended = bool(extensions)
        self._largest = limits.max_message_size
        self._inbox = Inbox()
        self.drained = True
        self.held = 0
        # What is wsproto's is made when it is first needed: most connections only speak in plain frames.
        self._decoder: FrameDecoder | None = None
        self._messages: MessageDecoder | None = None
        self._writer: FrameProtocol | None = None
        self._plain = not self._extended  # the lane may look at what is in the inbox: a frame begins there
        self._long: long_message.LongMessage | None = None  # which the lane reads
        self._parts: io.StringIO | io.BytesIO | None = None  # of a message that is not whole
        self._streamed = False  # fragments of the current message were given away
        self._eof = False
        self._closed = False
        self._failure: tuple[str, int] | None = None
        self._sending: bool | None = None  # whether the message that was begun is text; None if there is none

    # --- receiving ---------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the peer; ``b""`` is the end of its stream.  Then ask `next_event`.

        What comes after the peer's close, or after an error, is dropped.
        """
        self.drained = False
        if not data:
            self._eof = True
        elif not self._closed:
            self._inbox.append(data)

    def receive_message(self, data: bytes) -> str | bytes | None:
        """As `receive_data`, but a plain message at its front is given at once; None: ask `next_event`.

        The short way of what most reads are: one small message, and nothing before or behind it.
        """
        if self.drained and self._plain and (plain := frames.recognise(data, self._largest)):
            message, size = plain
            if size != len(data):
                self.drained = False
                self._inbox.append(data)
                self._inbox.discard(size)
            return message
        self.receive_data(data)
        return None

    def next_event(self) -> Event:
        """What the received bytes mean, one event at a time; a `Message` when it is whole.

        `NEED_DATA`: call `receive_data`.  `CLOSED`: nothing will come.

        Raises:
          WebSocketError: the peer broke the protocol or a limit.  Close with its `code`.  From now on it is raised at
            each call.
          LocalProtocolError: `next_fragment` has given away a part of the message; only it can give the rest.
        """
        while (event := self.next_step()) is None:
            pass
        return event

    def next_fragment(self) -> Event:
        """As `next_event`, but a message is given in `Fragment` as it comes.

        What `next_event` has held back of a message is its first fragment.
        """
        while (event := self.next_step(fragments=True)) is None:
            pass
        return event

    def next_step(self, *, fragments: bool = False) -> Event | None:
        """As `next_event`, or `next_fragment`, but None behind each frame that does not make an event by itself.

        For whoever shares the time with others: a message may be cut into very many frames.
        """
        if fragments:
            return self._next_fragment()
        if self._streamed:
            raise LocalProtocolError("this message is read in fragments: read it with next_fragment to its end")
        event = self._next_part()
        if not isinstance(event, Fragment):
            return event
        if event.final:
            return Message(self._put_together(event.data))
        self._collect(event.data)
        return None

    def _next_fragment(self) -> Event | None:
        if self._parts is not None:
            self._streamed = True
            held, self._parts, self.held = self._parts.getvalue(), None, 0
            return Fragment(held, final=False)
        event = self._next_part()
        if isinstance(event, Message):
            return Fragment(event.data, final=True)
        if isinstance(event, Fragment):
            self._streamed = not event.final
        return event

    def _next_part(self) -> Event | None:
        if self._failure is not None:
            raise WebSocketError(*self._failure)
        if self._closed:
            return CLOSED
        try:
            return self._read()
        except ParseFailed as failure:
            self._failure = _explain(failure), int(failure.code)
            self._end()
            raise WebSocketError(*self._failure) from failure
        except WebSocketError as error:
            # Not the error itself: by its traceback it holds this frame, and so this object.
            self._failure = str(error), error.code
            self._end()
            raise

    def _read(self) -> Event | None:
        if not self._plain:
            return self._ask_wsproto() if self._long is None else self._read_long(self._long)
        data = self._inbox.data
        if not data:
            return self._wait()
        plain = frames.recognise(data, self._largest)
        if plain is not None:
            message, size = plain
            self._inbox.discard(size)
            return Message(message)
        self._plain = False
        long = self._long = long_message.announced(data, self._largest)
        return self._ask_wsproto() if long is None else self._read_long(long, long.start)

    def _read_long(self, long: long_message.LongMessage, start: int = 0) -> Event:
        """Some of a long message; `start` octets of header are in front of it."""
        while len(octets := self._inbox.take(start + long.missing)) > start:
            piece = long.take(memoryview(octets)[start:] if start else octets)
            start = 0
            if not long.missing:
                self._long, self._plain = None, True
                return Fragment(piece, final=True)
            if piece:
                return Fragment(piece, final=False)
        return self._wait()

    def _ask_wsproto(self) -> Event | None:
        if self._decoder is None or self._messages is None:
            self._decoder = self._make_decoder()
            self._messages = MessageDecoder()
        self._decoder.receive_bytes(self._inbox.take(len(self._inbox)))
        frame = self._decoder.process_buffer()
        if frame is not None:
            return _READERS[frame.opcode](self, frame, self._messages)
        self._plain = not self._extended and _is_at_rest(self._decoder, self._messages)
        return self._wait()

    def _make_decoder(self) -> FrameDecoder:
        extensions = [*self._extensions, Bounds(self._limits)]
        for extension in self._extensions:
            if isinstance(extension, DeflateExtension):
                return InflatingDecoder(extension, extensions)
        return FrameDecoder(client=False, extensions=extensions)

    def _wait(self) -> Event:
        if self._eof:
            self._end()
            return CLOSED
        self.drained = True
        return NEED_DATA

    def _read_data(self, frame: Frame, messages: MessageDecoder) -> Fragment | None:
        part = messages.process_frame(frame)
        data = cast("str | bytes", part.payload)
        return Fragment(data, part.message_finished) if data or part.message_finished else None

    def _read_ping(self, frame: Frame, _: MessageDecoder) -> Ping:
        return Ping(cast("bytes", frame.payload))

    def _read_pong(self, frame: Frame, _: MessageDecoder) -> Pong:
        return Pong(cast("bytes", frame.payload))

    def _read_close(self, frame: Frame, _: MessageDecoder) -> Close:
        code, reason = decode_close(cast("bytes", frame.payload))
        self._end()
        return Close(int(code), reason)

    def _end(self) -> None:
        """Nothing more is read."""
        self._closed = True
        self.drained = False
        self._inbox = Inbox()
        self._parts, self.held = None, 0
        self._long = None
        self._streamed = False

    def _collect(self, data: str | bytes) -> None:
        if self._parts is None:
            self._parts = io.StringIO() if isinstance(data, str) else io.BytesIO()
        self._parts.write(data)  # type: ignore[arg-type]  # all parts of a message are of one type
        self.held += sys.getsizeof(data)

    def _put_together(self, last: str | bytes) -> str | bytes:
        if self._parts is None:
            return last
        self._collect(last)
        whole, self._parts, self.held = self._parts.getvalue(), None, 0
        return whole

    # --- sending -----------------------------------------------------------------------------------------------------

    def send_message(self, data: str | bytes) -> bytes:
        """A whole message: str as text, bytes as binary.

        Raises `LocalProtocolError` for text that is not Unicode, and within a message sent in fragments; then nothing
        has happened.
        """
        if self._sending is not None:
            raise LocalProtocolError("a message sent in fragments has not ended: send its final fragment first")
        if self._extended:
            return self.send_fragment(data, final=True)
        try:
            return frames.write(data)
        except UnicodeEncodeError:
            raise LocalProtocolError(_NO_UNICODE) from None

    def send_fragment(self, data: str | bytes, final: bool) -> bytes:
        """Some of a message; the first one begins it, the `final` one ends it.  Each is a frame, and may be empty.

        Raises `LocalProtocolError` for text that is not Unicode, and for text and binary in one message; then nothing
        has happened.
        """
        text = isinstance(data, str)
        if self._sending is not None and text is not self._sending:
            raise LocalProtocolError("a message is either text or binary: its fragments must be all str or all bytes")
        if self._writer is None:  # whose receiving half is not used
            self._writer = FrameProtocol(client=False, extensions=list(self._extensions))
            del self._writer._parse_more  # a generator that holds its owner: it would wait for the collector
        try:
            frame = self._writer.send_data(data, final)
        except UnicodeEncodeError:
            raise LocalProtocolError(_NO_UNICODE) from None
        self._sending = None if final else text
        return bytes(frame)

    def send_ping(self, payload: bytes = b"") -> bytes:
        """A ping; it may stand between fragments.

        Raises `LocalProtocolError` for more than 125 octets.
        """
        return frames.write_control(Opcode.PING, payload)

    def send_pong(self, payload: bytes = b"") -> bytes:
        """The answer to a ping, with its payload.

        Raises `LocalProtocolError` for more than 125 octets.
        """
        return frames.write_control(Opcode.PONG, payload)

    def send_close(self, code: int, reason: str = "") -> bytes:
        """Our close, or the answer to the peer's.

        Parameters:
          code: NO_STATUS (1005), without a reason, to give none.  What to answer with tells `answer_code`.
          reason: at most 123 bytes of UTF-8.

        Raises `LocalProtocolError` for a code or a reason that cannot be sent.
        """
        return frames.write_control(Opcode.CLOSE, encode_close(code, reason))


def _is_at_rest(decoder: FrameDecoder, messages: MessageDecoder) -> bool:
    """Whether all that wsproto was given ended between two messages."""
    return messages.opcode is None and decoder.header is None and len(decoder.buffer) == 0


def _explain(failure: ParseFailed) -> str:
    # The words of the decoder tell a position within what came last, which means nothing to anybody.
    if isinstance(failure.__context__, UnicodeDecodeError):
        return "text that is not UTF-8"
    return _OPCODE.sub(r"\1", str(failure))


_OPCODE: Final = re.compile(r"<Opcode\.(\w+): \d+>")  # as Python writes it, which the peer need not know
_NO_UNICODE: Final = "text that holds half of a surrogate pair has no UTF-8 and cannot be sent"

_READERS: Final[dict[Opcode, Callable[[WebSocketProtocol, Frame, MessageDecoder], Event | None]]] = {
    Opcode.CONTINUATION: WebSocketProtocol._read_data,
    Opcode.TEXT: WebSocketProtocol._read_data,
    Opcode.BINARY: WebSocketProtocol._read_data,
    Opcode.CLOSE: WebSocketProtocol._read_close,
    Opcode.PING: WebSocketProtocol._read_ping,
    Opcode.PONG: WebSocketProtocol._read_pong,
}

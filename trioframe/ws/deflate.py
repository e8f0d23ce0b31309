"""Compressed messages: permessage-deflate (RFC 7692).

wsproto has an extension of this name, but inflates without a bound, and after a ping within a compressed message takes
the rest of it as it is.  So this is our own, in the same place: the frame codec of wsproto.

Rules of this file:

* Inflating stops at the limit of a message, before more is allocated: one octet can become a thousand.
* It is done piece by piece, as wsproto copies what it is given several times, and others want their turn: what a frame
  inflates to comes as several frames (`InflatingDecoder`).
* A context that messages may refer back to is made with the first compressed one, and kept only if that was agreed
  upon: it is large.
* What is small is sent as it is, unless there is such a context: alone it would hardly shrink.

It must not know how that was agreed upon.
"""

from __future__ import annotations

import sys
import zlib
from typing import Final, cast

from wsproto import extensions
from wsproto.frame_protocol import Frame, FrameDecoder, FrameProtocol, Opcode, RsvBits

from .bounds import NO_BITS, WebSocketLimits, too_large
from .close_codes import CloseCode
from .deflate_terms import NAME, Deflate
from .events import WebSocketError

__all__ = ["DeflateExtension", "InflatingDecoder"]

_SMALL: Final = 128  # octets of a message that is not compressed

# Octets that are inflated at once.
_PIECE: Final = 64 * 1024

# What every message ends with, and is not sent (section 7.2.1); and an empty block that is the last.
_TAIL: Final = b"\x00\x00\xff\xff"
_LAST_BLOCK: Final = b"\x01\x00\x00\xff\xff"

_COMPRESSED: Final = RsvBits(rsv1=True, rsv2=False, rsv3=False)
_Protocol = FrameDecoder | FrameProtocol


class DeflateExtension(extensions.Extension):
    """The extension, agreed upon for one connection.

    Parameters:
      limits: how large a message may be, inflated.
      terms: what was agreed upon.

    Attributes:
      pending: whether more comes of what has been received: `next_piece` gives it.
    """

    name = NAME

    def __init__(self, limits: WebSocketLimits, terms: Deflate) -> None:
        self._limits = limits
        self._terms = terms
        self._in_message = False  # the current frame belongs to a message
        self._inflater: zlib._Decompress | None = None  # of the message that comes, if it is compressed
        self._room = 0  # octets that it may still become
        self._rest = b""  # of what has come, and is still to be inflated
        self._ending = False  # the message ends behind that
        self.pending = False
        self._context: zlib._Decompress | None = None  # to which the next one may refer back
        self._deflater: zlib._Compress | None = None  # of the message that is sent, or of the next
        self._deflating = False  # a compressed message was begun, and is sent in fragments

    def enabled(self) -> bool:
        """It was agreed upon."""
        return True

    def offer(self) -> bool:
        """A server offers nothing."""
        return False

    def frame_inbound_header(self, proto: _Protocol, opcode: Opcode, rsv: RsvBits, payload_length: int) -> RsvBits:
        """A frame has been announced; only the first of a message says whether it is compressed (section 6)."""
        self._in_message = not opcode.iscontrol()
        if opcode is not Opcode.TEXT and opcode is not Opcode.BINARY:
            return NO_BITS
        # This may come again and again, until the header is whole: nothing is used up.
        self._inflater = self._begin_inflating() if rsv.rsv1 else None
        self._room = int(min(self._limits.max_message_size, sys.maxsize - 1))
        self._rest, self._ending, self.pending = b"", False, False
        return _COMPRESSED

    def frame_inbound_payload_data(self, proto: _Protocol, data: bytes) -> bytes:
        """Some of its payload has come; raises `WebSocketError` if that is malformed or becomes too much."""
        if not self._in_message or self._inflater is None:
            return data
        return self._inflate_payload(self._inflater, data)

    def frame_inbound_complete(self, proto: _Protocol, fin: bool) -> bytes | None:
        """The frame has ended; raises `WebSocketError` if what was compressed has not."""
        if not self._in_message or not fin or self._inflater is None:
            return None
        if self.pending:
            self._ending = True
            return None
        return self._finish(self._inflater)

    def next_piece(self) -> bytes:
        """What comes next of that which is `pending`; raises `WebSocketError` as `frame_inbound_payload_data`."""
        inflater = cast("zlib._Decompress", self._inflater)
        inflated = self._inflate_payload(inflater, self._rest)
        return inflated + self._finish(inflater) if self._ending and not self.pending else inflated

    def _begin_inflating(self) -> zlib._Decompress:
        if self._context is not None:
            return self._context
        return zlib.decompressobj(-self._terms.client_max_window_bits)

    def _inflate_payload(self, inflater: zlib._Decompress, data: bytes) -> bytes:
        inflated = self._inflate(inflater, data)
        # Behind a block that says it is the last, there may be one octet of another (section 7.2.3.4).
        if inflater.unused_data not in (b"", b"\x00"):
            raise _malformed()
        return inflated

    def _finish(self, inflater: zlib._Decompress) -> bytes:
        inflated = self._inflate(inflater, _TAIL)
        # Behind a block that says it is the last, the client begins anew (section 7.2.3.4).
        is_kept = not (self._terms.client_no_context_takeover or inflater.eof)
        self._context = inflater.copy() if is_kept else None
        inflated += self._inflate(inflater, _LAST_BLOCK)
        if not inflater.eof or self.pending:
            raise _malformed()
        self._inflater, self._ending = None, False
        return inflated

    def _inflate(self, inflater: zlib._Decompress, data: bytes) -> bytes:
        most = min(_PIECE, self._room + 1)
        try:
            inflated = inflater.decompress(data, most)
        except zlib.error:
            raise _malformed() from None
        self._room -= len(inflated)
        if self._room < 0:
            raise too_large(self._limits)
        self._rest = inflater.unconsumed_tail
        self.pending = len(inflated) == most
        return inflated

    def frame_outbound(
        self, proto: _Protocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """What of a frame is sent; each fragment can be inflated when it has come."""
        if opcode.iscontrol() or not (self._deflating or self._is_worth_it(data, fin)):
            return rsv, data
        if self._deflater is None:
            self._deflater = zlib.compressobj(self._terms.level, wbits=-self._terms.server_max_window_bits)
        if not self._deflating:
            rsv = rsv._replace(rsv1=True)
        deflated = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        self._deflating = not fin
        if fin:
            deflated = deflated.removesuffix(_TAIL)
            if self._terms.server_no_context_takeover:
                self._deflater = None
        return rsv, deflated

    def _is_worth_it(self, data: bytes, fin: bool) -> bool:
        return not (fin and len(data) < _SMALL and self._terms.server_no_context_takeover)


class InflatingDecoder(FrameDecoder):
    """wsproto's decoder of frames, which gives one that inflates to much as several.

    Parameters:
      deflate: one of `extensions`.
    """

    def __init__(self, deflate: DeflateExtension, extensions: list[extensions.Extension]) -> None:
        super().__init__(client=False, extensions=extensions)
        self._deflate = deflate
        self._inflating: Frame | None = None  # some of it was given

    def process_buffer(self) -> Frame | None:
        """The next frame, or some of it; None if more is to be received."""
        whole = self._inflating
        if whole is not None:
            frame = Frame(Opcode.CONTINUATION, self._deflate.next_piece(), whole.frame_finished, whole.message_finished)
        elif (found := super().process_buffer()) is not None:
            whole = frame = found
        else:
            return None
        if self._deflate.pending:
            self._inflating = whole
            return Frame(frame.opcode, frame.payload, False, frame.message_finished)
        self._inflating = None
        return frame


def _malformed() -> WebSocketError:
    return WebSocketError("malformed compressed data", CloseCode.INVALID_DATA)

"""The chunked transfer coding, both ways (RFC 9112 section 7.1).

    chunked-body = *chunk last-chunk trailer-section CRLF
    chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
    last-chunk   = 1*("0") [ chunk-ext ] CRLF

Rules of the decoder:

* Exactly this grammar: lines end with CRLF, a size has 1 to 16 hexadecimal digits and nothing around it, extensions are
  well-formed (and then ignored).  Lenience here is request smuggling.
* All chunks that one inbox holds become one piece of data, so tiny chunks cost the reader little.  A fault behind good
  data is raised after the data was given, as if the bytes had come one by one.
* What is not data is bounded: a chunk may carry 16 bytes of framing plus twice its own size; what goes beyond is added
  up, and too much of it ends the request.  This admits honest small chunks without end and no flood of extensions.
* A size is believed only as far as bytes arrive; nothing is allocated for it.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from ..errors import RemoteProtocolError
from .events import Data, EndOfMessage
from .fields import TOKEN, Fields, encode_trailers, parse_trailers
from .framing import EndFinder
from .inbox import Inbox
from .limits import H1Limits

__all__ = ["ChunkedDecoder", "encode_chunk", "encode_last_chunk"]

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) (RFC 9112 section 7.1.1)
_QUOTED_STRING: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_EXTENSION: Final = rb"[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?" % (TOKEN, TOKEN, _QUOTED_STRING)
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:%b)*+\r\n" % _EXTENSION).fullmatch

# How a line begins that can become a good one.
_LONGEST_SIZE: Final = 16
_CHUNK_LINE_BEGUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,16}+(?:[ \t;\r].*)?)?", re.DOTALL).fullmatch

# What one chunk may spend on framing without being counted, besides twice its size.
_FAIR_OVERHEAD: Final = 16


# Chunks decoded in one go: some thousand one-byte chunks at once would make every other connection wait.
_MOST_PIECES: Final = 1024


class _Expected(IntEnum):
    """What the next byte belongs to."""

    SIZE = 0
    DATA = 1
    CRLF = 2
    TRAILERS = 3


class ChunkedDecoder:
    """Decodes one chunked body.

    `announced` is the number of bytes of content that the peer has committed itself to so far, here or still to come.
    """

    __slots__ = ("_excess", "_expected", "_limits", "_line", "_remaining", "_trailers", "announced")

    def __init__(self, limits: H1Limits) -> None:
        self.announced = 0
        self._limits = limits
        self._expected = _Expected.SIZE
        self._remaining = 0  # bytes of the current chunk's data
        self._excess = 0  # bytes of framing beyond the fair share
        self._line = EndFinder(b"\r\n", limits.max_chunk_overhead)
        self._trailers = EndFinder(b"\r\n\r\n", limits.max_trailer_size)

    def next_event(self, inbox: Inbox) -> Data | EndOfMessage | None:
        """Take what is there from the inbox; None if that is not enough for an event.

        Raises `RemoteProtocolError` (400; 431 for too large a trailer section), when the data before it was given.
        """
        if self._expected is not _Expected.TRAILERS:
            pieces = self._take_chunks(inbox)
            if pieces:
                return Data(bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces))
        return self._take_trailers(inbox) if self._expected is _Expected.TRAILERS else None

    def _take_chunks(self, inbox: Inbox) -> list[bytes | bytearray]:
        data = inbox.data
        pieces: list[bytes | bytearray] = []
        position = after = 0
        try:
            while len(pieces) < _MOST_PIECES and (after := _READERS[self._expected](self, data, position, pieces)) >= 0:
                position = after
        except RemoteProtocolError:
            if not pieces:
                raise
            # The reader left everything as it was, and will raise again when it is asked again.
        inbox.discard(position)
        return pieces

    def _read_size(self, data: bytes | bytearray, position: int, pieces: list[bytes | bytearray]) -> int:
        end = self._line.find(data, position)
        if not end:
            self._refuse_hopeless_size(data, position)
            return _MORE
        match = _CHUNK_LINE(data, position, end)
        if match is None:
            raise RemoteProtocolError("malformed chunk size line")
        size = int(match[1], 16)
        excess = max(0, self._excess + end - position - _FAIR_OVERHEAD - 2 * size)
        if excess > self._limits.max_chunk_overhead:
            # "A server ought to limit the total length of chunk extensions" (RFC 9112 section 7.1.1).
            raise RemoteProtocolError("too much chunk framing for too little data")
        self.announced += size
        self._remaining = size
        self._excess = excess
        if size:
            self._expected = _Expected.DATA
            return end
        # The CRLF of the last-chunk begins the trailer section, which so always ends with an empty line.
        self._expected = _Expected.TRAILERS
        return end - 2

    def _refuse_hopeless_size(self, data: bytes | bytearray, position: int) -> None:
        if self._line.examine(data, position):
            raise RemoteProtocolError("endless chunk size line")
        if not _CHUNK_LINE_BEGUN(data, position, position + _LONGEST_SIZE + 1):
            raise RemoteProtocolError("malformed chunk size line")

    def _read_data(self, data: bytes | bytearray, position: int, pieces: list[bytes | bytearray]) -> int:
        piece = data[position : position + self._remaining]
        if not piece:
            return _MORE
        pieces.append(piece)
        self._remaining -= len(piece)
        if not self._remaining:
            self._expected = _Expected.CRLF
        return position + len(piece)

    def _read_crlf(self, data: bytes | bytearray, position: int, pieces: list[bytes | bytearray]) -> int:
        crlf = data[position : position + 2]
        if crlf == b"\r\n":
            self._expected = _Expected.SIZE
            return position + 2
        if not b"\r\n".startswith(crlf):
            raise RemoteProtocolError("chunk data does not end where its size says")
        return _MORE

    def _read_nothing(self, data: bytes | bytearray, position: int, pieces: list[bytes | bytearray]) -> int:
        return _MORE

    def _take_trailers(self, inbox: Inbox) -> EndOfMessage | None:
        size = self._trailers.find(inbox.data)
        if size:
            return EndOfMessage(parse_trailers(inbox.take(size), self._limits.max_headers))
        if self._trailers.examine(inbox.data):
            raise RemoteProtocolError(f"trailer section larger than {self._limits.max_trailer_size} bytes", 431)
        return None


# Each returns the position behind what it read, or _MORE when that has not arrived.
_MORE: Final = -1
_READERS: Final = {
    _Expected.SIZE: ChunkedDecoder._read_size,
    _Expected.DATA: ChunkedDecoder._read_data,
    _Expected.CRLF: ChunkedDecoder._read_crlf,
    _Expected.TRAILERS: ChunkedDecoder._read_nothing,
}


def encode_chunk(data: bytes) -> bytes:
    """One chunk; `data` must not be empty, since that would be the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def encode_last_chunk(trailers: Fields = ()) -> bytes:
    """The end of a chunked body; `LocalProtocolError` for a trailer that must not be sent."""
    return b"0\r\n%b\r\n" % encode_trailers(trailers)

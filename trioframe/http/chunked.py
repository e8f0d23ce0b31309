"""The chunked transfer coding, both ways (RFC 9112 section 7.1).

    chunked-body = *chunk last-chunk trailer-section CRLF
    chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
    last-chunk   = 1*("0") [ chunk-ext ] CRLF

Rules of the decoder:

* Exactly this grammar: lines end with CRLF, a size has 1 to 16 hexadecimal digits and nothing around it, extensions are
  well-formed (and then ignored).  Lenience here is request smuggling.
* All chunks that one inbox holds become one piece of data, so tiny chunks cost the reader little.
* What is not data is bounded: a chunk may carry 16 bytes of framing plus twice its own size; what goes beyond is added
  up, and too much of it ends the request.  This admits honest small chunks without end and no flood of extensions.
* A size is believed only as far as bytes arrive; nothing is allocated for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from ..errors import RemoteProtocolError
from .events import Data, EndOfMessage
from .fields import encode_trailers, parse_trailers
from .framing import BlockFinder
from .inbox import Inbox
from .limits import H1Limits

__all__ = ["ChunkedDecoder", "encode_chunk", "encode_last_chunk"]

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) (RFC 9112 section 7.1.1)
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED_STRING: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_EXTENSION: Final = rb"[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED_STRING)
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:%b)*+\r\n" % _EXTENSION).fullmatch

# What one chunk may spend on framing without being counted, besides twice its size.
_FAIR_OVERHEAD: Final = 16


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

    __slots__ = ("_expected", "_excess", "_limits", "_line", "_remaining", "_trailers", "announced")

    def __init__(self, limits: H1Limits) -> None:
        self.announced = 0
        self._limits = limits
        self._expected = _Expected.SIZE
        self._remaining = 0  # bytes of the current chunk's data
        self._excess = 0  # bytes of framing beyond the fair share
        self._line = EndFinder(b"\r\n")
        self._trailers = EndFinder(b"\r\n\r\n")

    def next_event(self, inbox: Inbox) -> Data | EndOfMessage | None:
        """Take what is there from the inbox; None if that is not enough for an event.

        Raises `RemoteProtocolError` (400, or 431 for too large a trailer section).
        """
        if self._expected is not _Expected.TRAILERS:
            pieces = self._take_chunks(inbox)
            if pieces:
                return Data(bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces))
        return self._take_trailers(inbox) if self._expected is _Expected.TRAILERS else None

    def _take_chunks(self, inbox: Inbox) -> list[bytes | bytearray]:
        data = inbox.data
        position = 0
        pieces = []
        while True:
            if self._expected is _Expected.SIZE:
                end = self._line.find(data, position)
                if not end:
                    if len(data) - position > self._limits.max_chunk_overhead:
                        raise RemoteProtocolError("endless chunk size line")
                    break
                self._parse_size(data, position, end)
                if not self._remaining:
                    # The CRLF of the last-chunk starts the trailer section, which so always ends with an empty line.
                    self._expected = _Expected.TRAILERS
                    position = end - 2
                    break
                self._expected = _Expected.DATA
                position = end
            if self._expected is _Expected.DATA:
                piece = data[position : position + self._remaining]
                if piece:
                    pieces.append(piece)
                    position += len(piece)
                    self._remaining -= len(piece)
                if self._remaining:
                    break
                self._expected = _Expected.CRLF
            crlf = data[position : position + 2]
            if crlf != b"\r\n":
                if not b"\r\n".startswith(crlf):
                    raise RemoteProtocolError("chunk data does not end where its size says")
                break
            self._expected = _Expected.SIZE
            position += 2
        inbox.discard(position)
        return pieces

    def _parse_size(self, data: bytes | bytearray, start: int, end: int) -> None:
        match = _CHUNK_LINE(data, start, end)
        if match is None:
            raise RemoteProtocolError("malformed chunk size line")
        self._remaining = int(match[1], 16)
        self.announced += self._remaining
        self._excess = max(0, self._excess + end - start - _FAIR_OVERHEAD - 2 * self._remaining)
        if self._excess > self._limits.max_chunk_overhead:
            # "A server ought to limit the total length of chunk extensions" (RFC 9112 section 7.1.1).
            raise RemoteProtocolError("too much chunk framing for too little data")

    def _take_trailers(self, inbox: Inbox) -> EndOfMessage | None:
        size = self._trailers.find(inbox.data)
        if (size or len(inbox)) > self._limits.max_trailer_size:
            raise RemoteProtocolError(f"trailer section larger than {self._limits.max_trailer_size} bytes", 431)
        return EndOfMessage(parse_trailers(inbox.take(size), self._limits.max_headers)) if size else None


def encode_chunk(data: bytes) -> bytes:
    """One chunk; `data` must not be empty, since that would be the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def encode_last_chunk(trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The end of a chunked body; `LocalProtocolError` for a trailer that must not be sent."""
    return b"0\r\n%b\r\n" % encode_trailers(trailers)

"""Where a block of lines ends: cutting request heads out of the stream (RFC 9112 sections 2.1 and 2.2).

A block - a request head, or a trailer section - is lines that end with CRLF, and then an empty line.  Rules here:

* Each byte is looked at once, however many reads it took to arrive.
* What cannot become a valid block is refused at the first byte that shows it, not when the block is whole: a peer that
  speaks TLS, ends its lines with LF, or sends an endless line gets its answer at once.
* What comes behind that byte changes nothing.  So the verdict is the same however the bytes were cut into reads.
* No more is kept, and nothing more is parsed, than the limits allow, in whole blocks as in growing ones.

What the lines *say* is `strict`'s to judge.
"""

from __future__ import annotations

from ..errors import RemoteProtocolError
from .fields import refuse_stray_controls
from .inbox import Inbox
from .limits import H1Limits
from .strict import parse_request_line, refuse_endless_request_line

__all__ = ["EndFinder", "HeadCutter"]

_CR = ord("\r")


class EndFinder:
    """Finds the `terminator` of a line (CRLF) or of a block of lines (CRLF CRLF) within its first `limit` bytes."""

    __slots__ = ("_limit", "_overlap", "_terminator", "seen")

    def __init__(self, terminator: bytes, limit: int) -> None:
        self._terminator = terminator
        self._overlap = len(terminator) - 2
        self._limit = limit
        self.seen = 0
        """How many bytes from the start are known to hold neither the terminator nor a stray control."""

    def find(self, data: bytes | bytearray, start: int = 0) -> int:
        """Where in `data` the first byte behind the terminator is; 0 if it has not arrived, or lies beyond the limit.

        Parameters:
          start: where the line or block starts.  After a result of 0, `examine` must be called, and then `find` again
            with the same bytes and more behind them.
        """
        # Of what was seen, the last CRLF may be the first half of an empty line.
        found = data.find(self._terminator, start + max(self.seen - self._overlap, 0))
        end = found + len(self._terminator)
        if found < 0 or end - start > self._limit:
            return 0
        self.seen = 0
        return end

    def examine(self, data: bytes | bytearray, start: int = 0) -> bool:
        """Look at what has no end yet; whether the limit leaves no room for it.

        Raises `RemoteProtocolError` (400) for a control character within the limit.
        """
        stop = min(len(data), start + self._limit)
        if stop > start and data[stop - 1] == _CR:  # whether this CR is bare, the next byte will tell
            stop -= 1
        refuse_stray_controls(data[start + self.seen : stop])
        self.seen = stop - start
        return len(data) - start >= self._limit


class HeadCutter:
    """Takes one request head after the other off the front of an inbox.

    Attributes:
      begun: whether it has seen some of a head, and not yet its end.
    """

    __slots__ = ("_empty_lines", "_finder", "_limits", "_line_parsed", "begun")

    def __init__(self, limits: H1Limits) -> None:
        self.begun = False
        self._limits = limits
        self._finder = EndFinder(b"\r\n\r\n", limits.max_head_size)
        self._empty_lines = 0
        self._line_parsed = False

    def cut(self, inbox: Inbox) -> bytes:
        """The next head with its empty line, or ``b""`` when it has not arrived whole.

        Raises `RemoteProtocolError` when it is too large (414, 431, 501) or cannot become valid (400, 505).
        """
        self.begun = True
        if inbox.data.startswith(b"\r\n"):
            self._skip_empty_lines(inbox)
        size = self._finder.find(inbox.data)
        if not size:
            self._examine(inbox.data)
            return b""
        self.begun = False
        self._empty_lines = 0
        self._line_parsed = False
        return inbox.take(size)

    def _skip_empty_lines(self, inbox: Inbox) -> None:
        # "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF)
        # received prior to the request-line" (RFC 9112 section 2.2).
        while inbox.data.startswith(b"\r\n"):
            self._empty_lines += 1
            if self._empty_lines > self._limits.max_leading_crlf:
                raise RemoteProtocolError("too many empty lines before a request line")
            inbox.discard(2)

    def _examine(self, data: bytes | bytearray) -> None:
        limits = self._limits
        if not self._line_parsed:
            end = data.find(b"\r\n", self._finder.seen, limits.max_head_size)
            if end < 0:
                refuse_endless_request_line(data, limits)
            else:
                parse_request_line(bytes(data[:end]), limits)
                self._line_parsed = True
        if self._finder.examine(data):
            raise RemoteProtocolError(f"request head larger than {limits.max_head_size} bytes", 431)

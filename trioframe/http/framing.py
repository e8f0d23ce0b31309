"""Where a block of lines ends: cutting request heads out of the stream (RFC 9112 sections 2.1 and 2.2).

A block - a request head, or a trailer section - is lines that end with CRLF, and then an empty line.  Rules here:

* each byte is looked at once, however many reads it took to arrive;
* what cannot become a valid block is refused at the first byte that shows it, not when the block is whole: a peer that
  speaks TLS, ends its lines with LF, or sends an endless line gets its answer at once;
* sizes are checked before anything is parsed, for whole blocks as for growing ones.

What the lines *say* is `strict`'s to judge.
"""

from __future__ import annotations

from ..errors import RemoteProtocolError
from .fields import refuse_stray_controls
from .inbox import Inbox
from .limits import H1Limits
from .strict import MAX_METHOD_SIZE, parse_request_line, request_line_error

__all__ = ["EndFinder", "HeadCutter"]


class EndFinder:
    """Finds the `terminator` of a line (CRLF) or of a block of lines (CRLF CRLF) that may arrive in any pieces."""

    __slots__ = ("_overlap", "_terminator", "seen")

    def __init__(self, terminator: bytes) -> None:
        self._terminator = terminator
        self._overlap = len(terminator) - 2
        self.seen = 0
        """How many bytes from the start are known to hold neither the terminator nor a stray control."""

    def find(self, data: bytes | bytearray, start: int = 0) -> int:
        """Where in `data` the first byte after the terminator is; 0 if the terminator has not arrived.

        Parameters:
          start: where the line or block starts; after a result of 0 call again with the same first byte and more data.

        Raises `RemoteProtocolError` for a control character in what cannot be judged as a whole yet.
        """
        # Of what was seen, the last CRLF may be the first half of an empty line.
        end = data.find(self._terminator, start + max(self.seen - self._overlap, 0))
        if end >= 0:
            self.seen = 0
            return end + len(self._terminator)
        whole = len(data) - data.endswith(b"\r")  # whether that CR is bare, the next byte will tell
        refuse_stray_controls(data[start + self.seen : whole])
        self.seen = max(whole - start, 0)
        return 0


class HeadCutter:
    """Takes one request head after the other off the front of an inbox."""

    __slots__ = ("_empty_lines", "_finder", "_limits", "_line_parsed", "_max_line_size")

    def __init__(self, limits: H1Limits) -> None:
        self._limits = limits
        self._max_line_size = MAX_METHOD_SIZE + limits.max_target_size + len("  HTTP/1.1\r")
        self._finder = EndFinder(b"\r\n\r\n")
        self._empty_lines = 0
        self._line_parsed = False

    def cut(self, inbox: Inbox) -> bytes:
        """The next head with its empty line, or ``b""`` when it has not arrived whole.

        Raises `RemoteProtocolError` when it is too large (414, 431, 501) or cannot become valid (400, 505).
        """
        if inbox.data.startswith(b"\r\n"):
            self._skip_empty_lines(inbox)
        line_searched = self._finder.seen
        size = self._finder.find(inbox.data)
        if not 0 < size <= self._limits.max_head_size:
            self._examine_unfinished(inbox.data, line_searched)
            return b""
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

    def _examine_unfinished(self, data: bytes | bytearray, line_searched: int) -> None:
        if not self._line_parsed:
            end = data.find(b"\r\n", line_searched)
            if end >= 0:
                parse_request_line(bytes(data[:end]), self._limits)
                self._line_parsed = True
            elif len(data) > self._max_line_size or (len(data) > MAX_METHOD_SIZE and b" " not in data[:MAX_METHOD_SIZE + 1]):
                raise request_line_error(bytes(data), self._limits)
        if len(data) >= self._limits.max_head_size:
            raise RemoteProtocolError(f"request head larger than {self._limits.max_head_size} bytes", 431)

"""The body of a response, as the wire has it: framed in the way its head has said (RFC 9112 section 6).

    framing      data goes as       the end goes as       trailers
    NOTHING      nothing            nothing               are left out
    LENGTH       it is              nothing               are refused
    CHUNKED      a chunk            the last chunk        are sent
    UNTIL_CLOSE  it is              nothing               are left out

Trailers are left out where it is the request that leaves no room for them, as they may be lost anywhere (RFC 9110
section 6.5.1); beside a Content-Length they are the application's mistake.
"""

from __future__ import annotations

from enum import Enum

from ..errors import LocalProtocolError
from .chunked import encode_chunk, encode_last_chunk
from .fields import Fields

__all__ = ["BodyFraming", "ResponseBody"]


class BodyFraming(Enum):
    """How the end of a response body is told."""

    NOTHING = "nothing"  # there is no body
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


# The members by themselves: to look one up in its class costs as much as a call (CPython 3.11).
_NOTHING, _LENGTH, _CHUNKED, _ = BodyFraming


class ResponseBody:
    """A body that is being sent.

    Parameters:
      framing: what the head said.
      length: bytes of the body, with LENGTH.
    """

    __slots__ = ("_framing", "_unsent")

    def __init__(self, framing: BodyFraming, length: int) -> None:
        self._framing = framing
        self._unsent = length

    def encode(self, data: bytes) -> bytes:
        """Some of the body; ``b""`` is nothing.  `LocalProtocolError` for more than Content-Length said."""
        framing = self._framing
        if not data or framing is _NOTHING:
            return b""
        if framing is _CHUNKED:
            return encode_chunk(data)
        if framing is _LENGTH:
            if len(data) > self._unsent:
                raise LocalProtocolError(f"{len(data) - self._unsent} bytes of body more than Content-Length said")
            self._unsent -= len(data)
        return data

    def end(self, trailers: Fields) -> bytes:
        """The end of the body.  `LocalProtocolError` for fewer bytes than Content-Length said, or for bad trailers."""
        if self._framing is _CHUNKED:
            return encode_last_chunk(trailers)
        if self._framing is _LENGTH:
            if self._unsent:
                raise LocalProtocolError(f"{self._unsent} bytes of body fewer than Content-Length said")
            if any(True for _ in trailers):
                raise LocalProtocolError("a body with Content-Length has no trailers")
        return b""

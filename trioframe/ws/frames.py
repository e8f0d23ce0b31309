"""The fast lane: the plainest frames, read and written without wsproto.

Most messages are a few hundred octets in a single frame that has come whole.  Whatever else is received - a fragment, a
control frame, a frame that is large, that has come in part, that is wrong in any way - is left to wsproto.  So is what
is sent, but for whole messages that are not large, and for control frames, which no extension changes.

Rules of this file:

* wsproto and our bounds are the law.  The lane refuses nothing and decides nothing: where it says yes, the law says the
  same.  A differential test holds that.
* Falling back leaves no state behind, as there is none.
* Messages are read and written here only between two others, and where no extension was agreed upon.
"""

from __future__ import annotations

from typing import Final

from ..errors import LocalProtocolError
from .masking import unmask

__all__ = ["LARGEST", "recognise", "write", "write_control"]

LARGEST: Final = 16384
"""Octets of payload that the lane reads.  What is larger seldom comes whole, and what it would save does not grow."""

# The first octet: FIN, no reserved bit, and the opcode (RFC 6455 section 5.2).
_FIN: Final = 0x80
_TEXT: Final = 0x81
_BINARY: Final = 0x82

# The second octet: MASK, and the length or what tells that two octets of length follow.
_MASK: Final = 0x80
_LONG: Final = 126
_LONGEST: Final = 0xFFFF


def recognise(data: bytes | bytearray, largest: float) -> tuple[str | bytes, int] | None:
    """Read the message at the front of `data`; None for whatever is not plain.

    Parameters:
      largest: octets of payload beyond which a message is not plain.

    Returns the message - text is str, binary is bytes - and the octets that its frame takes.
    """
    if len(data) < 6 or (data[0] != _TEXT and data[0] != _BINARY):
        return None
    size = data[1] - _MASK
    start = 6
    if size == _LONG:
        size = data[2] << 8 | data[3]
        start = 8
        if size < _LONG:
            return None
    elif not 0 <= size < _LONG:
        return None
    end = start + size
    if end > len(data) or size > largest:
        return None
    payload = unmask(data[start:end], data[start - 4 : start])
    if data[0] == _BINARY:
        return payload, end
    try:
        return payload.decode(), end
    except UnicodeDecodeError:
        return None


def write(data: str | bytes) -> bytes | None:
    """A whole message as one frame, which a server does not mask; None if it is not small.

    Raises `UnicodeEncodeError` for text that is not Unicode.
    """
    first, payload = (_TEXT, data.encode()) if isinstance(data, str) else (_BINARY, data)
    size = len(payload)
    if size < _LONG:
        return b"%c%c%b" % (first, size, payload)
    if size <= _LONGEST:
        return b"%c%c%b%b" % (first, _LONG, size.to_bytes(2), payload)
    return None


def write_control(opcode: int, payload: bytes) -> bytes:
    """A control frame: a close, a ping or a pong.

    Raises `LocalProtocolError` for more than 125 octets (RFC 6455 section 5.5).
    """
    if len(payload) >= _LONG:
        raise LocalProtocolError(f"a ping or pong may carry 125 bytes, not {len(payload)}")
    return b"%c%c%b" % (_FIN | opcode, len(payload), payload)

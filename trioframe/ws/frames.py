"""The fast lane: the plainest frames, read and written without wsproto.

Most messages are a few hundred octets in a single frame that has come whole.  One that has come in part, or has more
than 65,535 octets, is read by `long_message`.  Whatever else is received - a fragment, a control frame, a frame that is
wrong in any way - is left to wsproto.  So is what is sent, but for whole messages, and for control frames, which no
extension changes.

Rules of this file:

* wsproto and our bounds are the law.  What the lane takes it reads as the law would; to what it does not know it says
  None.  A differential test holds that.
* `recognise` keeps nothing, so falling back costs nothing.
* Messages are read and written here only between two others, and where no extension was agreed upon.
"""

from __future__ import annotations

from typing import Final

from ..errors import LocalProtocolError
from .masking import unmask

__all__ = [
    "BINARY",
    "LENGTH_16",
    "LENGTH_64",
    "MASK",
    "MAX_LENGTH_16",
    "TEXT",
    "recognise",
    "write",
    "write_control",
]

# The first octet: FIN, no reserved bit, and the opcode (RFC 6455 section 5.2).
_FIN: Final = 0x80
TEXT: Final = 0x81
BINARY: Final = 0x82

_MESSAGES: Final = frozenset({TEXT, BINARY})

# The second octet: MASK, and the length, or what tells that two octets of length follow, or eight.
MASK: Final = 0x80
LENGTH_16: Final = 126
LENGTH_64: Final = 127
MAX_LENGTH_16: Final = 0xFFFF

_MUCH: Final = 4096  # octets that cost more to copy than a view of them


def recognise(data: bytes | bytearray, largest: float) -> tuple[str | bytes, int] | None:
    """Read the message at the front of `data`; None for whatever is not plain.

    Parameters:
      largest: octets of payload that are allowed.

    Returns the message - text is str, binary is bytes - and the octets that its frame takes.
    """
    if len(data) < 6:
        return None
    first, size, start = data[0], data[1] - MASK, 6
    if first not in _MESSAGES or size < 0:
        return None
    if size >= LENGTH_16:
        size, start = data[2] << 8 | data[3], 8
        if size < LENGTH_16 or data[1] != MASK | LENGTH_16:
            return None
    end = start + size
    if end > len(data) or size > largest:
        return None
    masked = data[start:end] if size < _MUCH else memoryview(data)[start:end]
    payload = unmask(masked, data[start - 4 : start])
    if first == BINARY:
        return payload, end
    try:
        return payload.decode(), end
    except UnicodeDecodeError:
        return None


def write(data: str | bytes) -> bytes:
    """A whole message as one frame, which a server does not mask.

    Raises `UnicodeEncodeError` for text that is not Unicode.
    """
    first, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
    size = len(payload)
    if size < LENGTH_16:
        return b"%c%c%b" % (first, size, payload)
    if size <= MAX_LENGTH_16:
        return b"%c%c%b%b" % (first, LENGTH_16, size.to_bytes(2), payload)
    return b"%c%c%b%b" % (first, LENGTH_64, size.to_bytes(8), payload)


def write_control(opcode: int, payload: bytes) -> bytes:
    """A control frame: a close, a ping or a pong.

    Raises `LocalProtocolError` for more than 125 octets (RFC 6455 section 5.5).
    """
    if len(payload) >= LENGTH_16:
        raise LocalProtocolError(f"a ping or pong may carry 125 bytes, not {len(payload)}")
    return b"%c%c%b" % (_FIN | opcode, len(payload), payload)

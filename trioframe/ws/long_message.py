"""The slower half of the fast lane: a message in one frame that has not come whole.

Only the header is recognised here.  From then on the frame is nothing but payload, taken from each read as it comes:
the mask is taken off, and text decoded, so that what is no UTF-8 is found as soon as by wsproto.

Rules of this file:

* wsproto and our bounds are the law (see `frames`), and a differential test holds it.
* Falling back is possible up to the header.  From then on this is the judge: of UTF-8, as the octets come (1007).
"""

from __future__ import annotations

import codecs
from typing import Final

from .close_codes import CloseCode
from .events import WebSocketError
from .frames import BINARY, LENGTH_16, LENGTH_64, MASK, MAX_LENGTH_16, TEXT
from .masking import unmask

__all__ = ["LongMessage", "announced"]

_decoder_of_text: Final = codecs.getincrementaldecoder("utf-8")


class LongMessage:
    """A message whose payload comes.

    Parameters:
      text: whether it is text.
      size: octets of its payload.
      key: of its mask.

    Attributes:
      start: octets of its header.
      missing: octets of payload that are still to come.
    """

    __slots__ = ("_decoder", "_key", "missing", "start")

    def __init__(self, text: bool, start: int, size: int, key: bytes) -> None:
        self.start = start
        self.missing = size
        self._key = key
        self._decoder = _decoder_of_text() if text else None

    def take(self, masked: bytes | memoryview) -> str | bytes:
        """What the next octets of payload say; characters that have not come whole are said with the next.

        Parameters:
          masked: no more than are `missing`.

        Raises:
          WebSocketError: they are no UTF-8.
        """
        octets = unmask(masked, self._key)
        self.missing -= len(octets)
        turn = len(octets) % 4
        self._key = self._key[turn:] + self._key[:turn]
        if self._decoder is None:
            return octets
        try:
            return self._decoder.decode(octets, final=self.missing == 0)
        except UnicodeDecodeError:
            raise WebSocketError("text that is not UTF-8", CloseCode.INVALID_DATA) from None


def announced(data: bytes | bytearray, largest: float) -> LongMessage | None:
    """The message whose frame begins at the front of `data`; None if its header is not plain, or has not come whole.

    Parameters:
      largest: octets of payload that are allowed.
    """
    if len(data) < 6 or data[0] not in (TEXT, BINARY):
        return None
    size = data[1] - MASK
    start = 6
    if size == LENGTH_16:
        size, start = int.from_bytes(data[2:4]), 8
        if size < LENGTH_16:
            return None
    elif size == LENGTH_64:
        size, start = int.from_bytes(data[2:10]), 14
        if size <= MAX_LENGTH_16 or size >> 63:  # below zero, says the law
            return None
    elif size < 0:
        return None
    if size > largest or len(data) < start:
        return None
    return LongMessage(data[0] == TEXT, start, size, bytes(data[start - 4 : start]))

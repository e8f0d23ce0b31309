"""The sizes a WebSocket peer must keep to, and the judge of them.

The judge is written as an extension of wsproto, since an extension is asked about each frame at the two moments that
matter: when its header has come, before any of its payload is waited for, and when payload has come.

Rules of this file:

* A length is judged when it is declared; so what compression made larger than the limit is refused as well.  It is
  judged again by what has come, as other extensions may have made that longer; what they give later, when a frame ends
  or piece by piece, they have to bound themselves, as `Deflate` does.
* wsproto asks about a header again and again until it has come whole.  So what is counted is only what has ended.
* Control frames may stand between the frames of a message, and belong to none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import FrameDecoder, FrameProtocol, Opcode, RsvBits

from .close_codes import CloseCode
from .events import WebSocketError

__all__ = ["NO_BITS", "Bounds", "WebSocketLimits", "too_large"]


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Limits of one message; the close code beyond each stands beside it (RFC 6455 section 7.4.1).

    Attributes:
      max_message_size: octets of payload, of all its frames together, inflated; inf for no limit (1009).
      max_fragments: number of frames, 1 or more; for each KiB of payload there may be one more.  1008, not 1009: the
        message may be small, and what breaks the policy is how finely it is cut.
    """

    max_message_size: float = 1 << 20
    max_fragments: int = 1024


# Octets from which on a fragment costs no more than its octets do.  Whoever cuts as coarsely, as browsers do (128 KiB),
# may cut as often as the size allows.
_COARSE: Final = 1024

NO_BITS: Final = RsvBits(rsv1=False, rsv2=False, rsv3=False)
_Protocol = FrameDecoder | FrameProtocol


class Bounds(Extension):
    """Judges the frames of one peer; the last of the extensions, so that it sees what the others made of a payload."""

    name = "bounds"

    def __init__(self, limits: WebSocketLimits) -> None:
        self._limits = limits
        self._judged = False  # the current frame belongs to a message
        self._size = 0  # octets of the current message
        self._fragments = 0  # frames of it that have ended

    def offer(self) -> bool:
        """It is not negotiated."""
        return False

    def frame_inbound_header(self, proto: _Protocol, opcode: Opcode, rsv: RsvBits, payload_length: int) -> RsvBits:
        """A frame has been announced; raises `WebSocketError` if it must not come."""
        self._judged = not opcode.iscontrol()
        if self._judged:
            size = self._size + payload_length
            self._judge(size)
            if self._fragments >= self._limits.max_fragments + size // _COARSE:
                raise WebSocketError(
                    f"a message of more fragments than {self._limits.max_fragments} and one for each KiB",
                    CloseCode.POLICY_VIOLATION,
                )
        return NO_BITS

    def frame_inbound_payload_data(self, proto: _Protocol, data: bytes) -> bytes:
        """Some of its payload has come; raises `WebSocketError` if that is too much."""
        if self._judged:
            self._size += len(data)
            self._judge(self._size)
        return data

    def frame_inbound_complete(self, proto: _Protocol, fin: bool) -> None:
        """The frame has ended."""
        if not self._judged:
            return
        self._fragments += 1
        if fin:
            self._size = self._fragments = 0

    def _judge(self, size: int) -> None:
        if size > self._limits.max_message_size:
            raise too_large(self._limits)


def too_large(limits: WebSocketLimits) -> WebSocketError:
    """What the peer is told of a message beyond the limit."""
    return WebSocketError(f"a message larger than {limits.max_message_size:.0f} octets", CloseCode.MESSAGE_TOO_BIG)

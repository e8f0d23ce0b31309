"""Why a WebSocket ends, as a number and a few words: the body of a close frame (RFC 6455 sections 5.5.1 and 7.4).

    code           who says it
    1000 to 1015   `CloseCode`: RFC 6455 section 7.4.1, and 1012 to 1014 of the registry that it founded
    3000 to 3999   libraries and frameworks
    4000 to 4999   applications
    others         nobody: section 7.4.2 keeps them for later, and a later protocol would be negotiated

Three of the codes never stand in a frame.  They say what was *not* received: NO_STATUS is a close frame without a code,
ABNORMAL_CLOSURE is no close frame at all, and TLS_HANDSHAKE no connection.

Rules of this file:

* What the peer sends wrong is a `WebSocketError`, and carries the code to close with.
* What the application would send wrong is a `LocalProtocolError`, and nothing is sent.

It must not know when a close frame may be sent (see `close_state`), nor how frames are written.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ..errors import LocalProtocolError
from .events import WebSocketError

__all__ = [
    "STOPPING",
    "CloseCode",
    "answer_code",
    "check_reason",
    "decode_close",
    "encode_close",
    "fitting_reason",
    "may_receive",
    "may_send",
]


class CloseCode(IntEnum):
    """The codes that have a meaning of their own, by their names in the registry."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001  # the server stops, or the page was left
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005  # never in a frame
    ABNORMAL_CLOSURE = 1006  # never in a frame
    INVALID_DATA = 1007  # text that is no UTF-8
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010  # the client misses one; a server would have refused the handshake
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015  # never in a frame


# The reason in a close with 1001.
STOPPING: Final = "the server is stopping"

_BY_CLIENTS: Final = frozenset(CloseCode) - {
    CloseCode.NO_STATUS,
    CloseCode.ABNORMAL_CLOSURE,
    CloseCode.TLS_HANDSHAKE,
}
_BY_SERVERS: Final = _BY_CLIENTS - {CloseCode.MANDATORY_EXTENSION}
_FREE: Final = range(3000, 5000)

# A control frame holds 125 octets (RFC 6455 section 5.5), and the code takes two.
_MAX_REASON_SIZE: Final = 123


def may_send(code: int) -> bool:
    """Whether a close frame of ours may hold `code`."""
    return code in _BY_SERVERS or code in _FREE


def may_receive(code: int) -> bool:
    """Whether a close frame of a client may hold `code`."""
    return code in _BY_CLIENTS or code in _FREE


def check_reason(reason: str) -> bytes:
    """The octets of `reason`.

    Raises:
      LocalProtocolError: it has more than 123 of them, or holds half of a surrogate pair.
    """
    try:
        octets = reason.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("the reason of a close frame holds a surrogate, which UTF-8 cannot say") from None
    if len(octets) > _MAX_REASON_SIZE:
        raise LocalProtocolError(
            f"the reason of a close frame has {len(octets)} bytes in UTF-8, and there is room for {_MAX_REASON_SIZE}"
        )
    return octets


def fitting_reason(text: str) -> str:
    """As much of `text` as a close frame has room for."""
    return text.encode("utf-8", "replace")[:_MAX_REASON_SIZE].decode("utf-8", "ignore")


def encode_close(code: int, reason: str = "") -> bytes:
    """The body of a close frame to be sent.

    Parameters:
      code: 1000 to 1003, 1007 to 1009, 1011 to 1014 or 3000 to 4999; NO_STATUS, without a reason, to give none.
      reason: for whoever looks for a fault, at most 123 bytes of UTF-8; people are not meant to see it.

    Raises:
      LocalProtocolError: another code, or a reason that cannot be sent.
    """
    if code == CloseCode.NO_STATUS and not reason:
        return b""
    if not may_send(code):
        raise LocalProtocolError(
            f"{code} cannot be sent in a close frame: use 1000 if all is well, 3000 to 4999 for codes of your own"
        )
    return code.to_bytes(2) + check_reason(reason)


def answer_code(code: int) -> int:
    """What to answer a close frame with: the code that it had (RFC 6455 section 5.5.1), unless only clients use it.

    Parameters:
      code: as `decode_close` gave it.
    """
    return CloseCode.NORMAL_CLOSURE if code == CloseCode.MANDATORY_EXTENSION else code


def decode_close(body: bytes) -> tuple[int, str]:
    """Code and reason of a close frame of the peer; NO_STATUS if it has none (RFC 6455 section 7.1.5).

    Parameters:
      body: unmasked.

    Raises:
      WebSocketError: half a code, or one that no client sends (1002); a reason that is no UTF-8 (1007).
    """
    if not body:
        return CloseCode.NO_STATUS, ""
    code = int.from_bytes(body[:2])  # half a code, a single octet, is below all that are valid
    if not may_receive(code):
        raise WebSocketError("invalid code in a close frame", CloseCode.PROTOCOL_ERROR)
    try:
        return code, body[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError("the reason in a close frame is no UTF-8", CloseCode.INVALID_DATA) from None

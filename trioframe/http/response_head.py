"""The head of a response, and how its body is framed (RFC 9110 section 8.6, RFC 9112 sections 4, 6 and 9).

    framing      when                                         what the head says
    NOTHING      HEAD, 204, 304, 2xx to CONNECT               Content-Length as for GET, if known (HEAD and 304 only)
    LENGTH       the length is known                          Content-Length
    CHUNKED      it is not, and the peer speaks HTTP/1.1      Transfer-Encoding: chunked
    UNTIL_CLOSE  it is not, and the peer may not              Connection: close

Framing is ours: an application may give Content-Length, which must then be true, but not Transfer-Encoding.  Its Date is
kept, its "Connection: close" obeyed, and its other connection options kept.

These are pure functions: they return a whole head, or raise `LocalProtocolError` and leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

from ..errors import LocalProtocolError, reason_phrase
from .events import RequestHead
from .fields import encode_field, field_name, has_controls

__all__ = ["BodyFraming", "FinalHead", "compose_final", "compose_interim", "compose_switch"]

Fields = Iterable[tuple[bytes, bytes]]


class BodyFraming(Enum):
    """How the end of a response body is told."""

    NOTHING = "nothing"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class FinalHead(NamedTuple):
    """A head ready to be sent, and what it promised."""

    data: bytes
    framing: BodyFraming
    length: int  # of the body, with LENGTH
    close: bool


# status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 section 4).  The version is the highest we
# speak, whatever the peer's (RFC 9110 section 6.2).
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus
}

# Fields that take part in framing or are added by us; they are taken out of what the application gives.
_OURS: Final = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})


def compose_final(
    status: int,
    headers: Fields,
    *,
    request: RequestHead | None,
    length: int | None,
    close: bool,
    date: bytes,
    reason: str | None = None,
) -> FinalHead:
    """The head of a final response.

    Parameters:
      status: 200 to 599.
      request: what is answered; None if it was never understood.
      length: bytes of the body, None if unknown.
      close: the connection will end after this response.
      date: what the Date field says unless `headers` have one.
      reason: the reason phrase, None for the standard one.
    """
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"{status} is no status of a final response: use 200 to 599")
    lines = [_status_line(status, reason)]
    ours = _encode(headers, lines)
    given = ours.get(b"content-length")
    bodyless = _is_bodyless(status, request)
    if given is not None:
        length = _agreed_length(given, None if bodyless else length)
    elif bodyless and not length:
        length = None  # an unsaid length is better than a guessed one

    if bodyless:
        framing = BodyFraming.NOTHING
        if length is not None and status >= 300 or request ...

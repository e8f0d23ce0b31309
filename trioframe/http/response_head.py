"""The head of a response, and how its body is framed (RFC 9110 section 8.6, RFC 9112 sections 4, 6 and 9).

    framing      when                                         what the head says
    NOTHING      HEAD, 204, 304, 2xx to CONNECT               Content-Length as for GET, if known (HEAD and 304 only)
    LENGTH       the length is known                          Content-Length
    CHUNKED      it is not, and the peer speaks HTTP/1.1      Transfer-Encoding: chunked
    UNTIL_CLOSE  it is not, and the peer may not              Connection: close

Framing is ours: an application may give Content-Length, which must then be true, but not Transfer-Encoding.  Its
"Connection: close" is obeyed; its other connection options and its Date are kept.

These are pure functions: they return a whole head, or raise `LocalProtocolError` and leave nothing behind.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

from ..errors import LocalProtocolError, reason_phrase
from .events import RequestHead
from .fields import Fields, encode_field, field_name, has_controls
from .response_body import BodyFraming

__all__ = ["OURS", "FinalHead", "compose_final", "compose_interim", "compose_switch"]


class FinalHead(NamedTuple):
    """A head ready to be sent, and what it promised."""

    data: bytes
    framing: BodyFraming
    length: int  # of the body, with LENGTH
    close: bool


# status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 section 4).  The version is the highest we
# speak, whatever the peer's (RFC 9110 section 6.2).
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, reason_phrase(status).encode("ascii")) for status in HTTPStatus
}

# Fields that take part in framing or are added by us; they are taken out of what the application gives.
OURS: Final = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})


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
      close: whether the connection ends after this response.
      date: what Date says unless `headers` have one.
      reason: the reason phrase, None for the standard one.
    """
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"{status} is not the status of a final response: use 200 to 599")
    lines = [_STATUS_LINES[status] if reason is None and status in _STATUS_LINES else _status_line(status, reason)]
    ours = _encode(headers, lines)
    given = _given_length(ours)
    if _is_bodyless(status, request):
        framing = BodyFraming.NOTHING
        # What the application did not say is said only if it is certain: an empty body may just have been left out.
        length = given if given is not None else length or None
        if _is_unmeasured(status, request):
            length = None
    else:
        length = _agreed_length(given, length)
        framing = _framing(length, request)
        close = close or framing is BodyFraming.UNTIL_CLOSE
    if length is not None:
        lines.append(b"Content-Length: %d\r\n" % length)
    elif framing is BodyFraming.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    close = _add_connection(lines, ours.get(b"connection"), close, request)
    lines.append(b"Date: %b\r\n\r\n" % ours.get(b"date", date))
    return FinalHead(b"".join(lines), framing, length or 0, close)


def compose_interim(status: int, headers: Fields) -> bytes:
    """An interim response (RFC 9110 section 15.2)."""
    if not 100 <= status <= 199 or status == 101:
        raise LocalProtocolError(f"{status} is not the status of an interim response: use 100 or 102 to 199")
    lines = [_status_line(status, None)]
    if _encode(headers, lines).keys() - {b"date"}:
        raise LocalProtocolError("Connection and framing headers belong to the final response")
    lines.append(b"\r\n")
    return b"".join(lines)


def compose_switch(status: int, headers: Fields, *, request: RequestHead, date: bytes) -> bytes:
    """The head after which the connection speaks another protocol: 101 to an Upgrade, 2xx to CONNECT."""
    headers = tuple(headers)
    lines = [_status_line(status, None)]
    ours = _encode(headers, lines)
    if b"content-length" in ours:
        raise LocalProtocolError("there is no Content-Length when the protocol is switched")
    if status == 101:
        # "A server that sends a 101 response MUST generate an Upgrade header field" (RFC 9110 section 15.2.2).
        if all(field_name(name) != b"upgrade" for name, _ in headers):
            lines.append(b"Upgrade: %b\r\n" % request.upgrade)
        lines.append(b"Connection: Upgrade\r\n")
    lines.append(b"Date: %b\r\n\r\n" % ours.get(b"date", date))
    return b"".join(lines)


def _status_line(status: int, reason: str | None) -> bytes:
    try:
        phrase = (reason_phrase(status) if reason is None else reason).encode("latin-1")
    except UnicodeEncodeError:
        phrase = b"\0"
    if has_controls(phrase):
        raise LocalProtocolError("the reason phrase holds a character that HTTP cannot send")
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase)


def _encode(headers: Fields, lines: list[bytes]) -> dict[bytes, bytes]:
    """Append the lines of `headers` to `lines`, but for those that are ours; return these."""
    ours: dict[bytes, bytes] = {}
    for name, value in headers:
        kind = field_name(name)
        line = encode_field(name, value)
        if kind not in OURS:
            lines.append(line)
        elif kind == b"transfer-encoding":
            raise LocalProtocolError("Transfer-Encoding is chosen by the server: leave it out")
        else:
            ours[kind] = ours[kind] + b", " + value if kind in ours else value
    return ours


def _is_bodyless(status: int, request: RequestHead | None) -> bool:
    """RFC 9112 section 6.3, rules 1 and 2."""
    if status in (204, 304):
        return True
    return request is not None and (request.method == "HEAD" or (request.method == "CONNECT" and status <= 299))


def _is_unmeasured(status: int, request: RequestHead | None) -> bool:
    """Whether a Content-Length MUST NOT be sent (RFC 9110 section 8.6)."""
    return status == 204 or (status <= 299 and request is not None and request.method == "CONNECT")


def _given_length(ours: dict[bytes, bytes]) -> int | None:
    value = ours.get(b"content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 20:
        raise LocalProtocolError("Content-Length must be one decimal number")
    return int(value)


def _agreed_length(given: int | None, length: int | None) -> int | None:
    if given is not None and length is not None and given != length:
        raise LocalProtocolError(f"Content-Length says {given}, but the body has {length} bytes")
    return given if length is None else length


def _framing(length: int | None, request: RequestHead | None) -> BodyFraming:
    if length is not None:
        return BodyFraming.LENGTH
    # "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request indicates
    # HTTP/1.1 (or later minor revisions)" (RFC 9112 section 6.1).
    if request is not None and request.version == "1.1":
        return BodyFraming.CHUNKED
    return BodyFraming.UNTIL_CLOSE


def _add_connection(lines: list[bytes], given: bytes | None, close: bool, request: RequestHead | None) -> bool:
    """Append the Connection line if one is needed; whether the connection ends (RFC 9112 sections 9.3 and 9.6)."""
    options = []
    if given is not None:
        members = [member.strip(b" \t").lower() for member in given.split(b",")]
        close = close or b"close" in members
        options = [member for member in members if member not in (b"", b"close", b"keep-alive")]
    if close:
        options.append(b"close")
    elif request is not None and request.version == "1.0":
        options.append(b"keep-alive")
    if options:
        lines.append(b"Connection: %b\r\n" % b", ".join(options))
    return close

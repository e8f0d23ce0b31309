"""What one request head says: h11's reading of it, and all we demand beyond h11 (RFC 9110, RFC 9112).

h11 is the law for the grammar of heads.  But a server in front of which proxies stand must refuse whatever two readers
could understand differently, so a head that h11 takes is refused here when

* a control character, a bare CR or a bare LF stands anywhere, or a line is folded;
* it is not HTTP/1 (505), or its method (501), target (414) or number of lines (431) is beyond our limits;
* Host is missing, doubled or invalid, or the target is in none of the four forms (see `target`);
* Transfer-Encoding comes with Content-Length, in HTTP/1.0, or is anything but one "chunked";
* Expect asks for what we do not know (417).

`parse_head` is a pure function of one complete head; it is the reference for any faster reading of common heads.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ..errors import RemoteProtocolError
from .events import RawHeaders, RequestHead
from .fields import TOKEN, refuse_stray_controls
from .limits import H1Limits
from .target import check_host, split_target

if TYPE_CHECKING:
    import h11

__all__ = ["parse_head", "parse_request_line", "refuse_endless_request_line"]

MAX_METHOD_SIZE: Final = 32  # the longest registered method has 17 characters

# request-line = method SP request-target SP HTTP-version (RFC 9112 section 3); the version is checked by its digits.
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>%b) (?P<target>[\x21-\x7e]++) HTTP/(?P<major>[0-9])\.(?P<minor>[0-9])" % TOKEN
).fullmatch

_TRANSFER_ENCODING: Final = re.compile(rb"\r\ntransfer-encoding:([^\r]*)", re.IGNORECASE).findall

# Most of this is said by everybody whose head comes here, which a WebSocket holds for as long as it lives.
_COMMON: Final = {
    octets: octets
    for octets in (
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"cookie", b"host"),
        *(b"origin", b"pragma", b"sec-websocket-extensions", b"sec-websocket-key", b"sec-websocket-protocol"),
        *(b"sec-websocket-version", b"upgrade", b"user-agent"),
        *(b"13", b"Upgrade", b"websocket"),
    )
}

_MEANINGFUL: Final = frozenset({b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"})


class RequestLine(NamedTuple):
    method: bytes
    target: bytes
    version: str


def parse_request_line(line: bytes, limits: H1Limits) -> RequestLine:
    """Take a request line, without its CRLF, apart.

    Raises `RemoteProtocolError`: 400 if malformed, 414 or 501 if too long, 505 if it is not HTTP/1.
    """
    match = _REQUEST_LINE(line)
    if match is None or len(match["method"]) > MAX_METHOD_SIZE or len(match["target"]) > limits.max_target_size:
        raise _request_line_error(line, limits)
    if match["major"] != b"1":
        raise RemoteProtocolError("this server speaks HTTP/1.1 and HTTP/1.0 here", 505)
    # A higher minor version is processed as the highest known (RFC 9110 section 2.5).
    return RequestLine(match["method"], match["target"], "1.0" if match["minor"] == b"0" else "1.1")


def refuse_endless_request_line(data: bytes | bytearray, limits: H1Limits) -> None:
    """Raise what `parse_request_line` would, if that is certain before the line has ended.

    Parameters:
      data: the line so far; behind the first `max_head_size` bytes nothing counts.
    """
    size = min(len(data), limits.max_head_size)
    if data[size - 1 : size] == b"\r":  # may be the first half of the line's end
        size -= 1
    if size > _max_line_size(limits) or (size > MAX_METHOD_SIZE and b" " not in data[: MAX_METHOD_SIZE + 1]):
        raise _request_line_error(bytes(data[:size]), limits)


def _max_line_size(limits: H1Limits) -> int:
    return MAX_METHOD_SIZE + limits.max_target_size + len("  HTTP/1.1")


def _request_line_error(line: bytes, limits: H1Limits) -> RemoteProtocolError:
    """The first thing wrong with a request line, whole or cut off (RFC 9112 section 3)."""
    method, _, rest = line.partition(b" ")
    if len(method) > MAX_METHOD_SIZE:
        refuse_stray_controls(line[: MAX_METHOD_SIZE + 1])
        return RemoteProtocolError(f"method longer than {MAX_METHOD_SIZE} bytes", 501)
    refuse_stray_controls(line[: _max_line_size(limits) + 1])
    if len(rest.partition(b" ")[0]) > limits.max_target_size:
        return RemoteProtocolError(f"request target longer than {limits.max_target_size} bytes", 414)
    return RemoteProtocolError("malformed request line")


def parse_head(block: bytes, limits: H1Limits) -> RequestHead:
    """Read one request head.

    Parameters:
      block: from the first byte of the request line to the end of the empty line, at most `max_head_size` bytes.

    Raises `RemoteProtocolError` with the status to answer; the connection must then be closed, as nobody knows where
    the message ends.
    """
    line = parse_request_line(block[: block.index(b"\r\n")], limits)
    refuse_stray_controls(block)
    if block.count(b"\r\n") - 2 > limits.max_headers:
        raise RemoteProtocolError(f"more than {limits.max_headers} header lines", 431)
    # "A server that receives an obs-fold in a request message ... MUST either reject the message ... or replace" it
    # (RFC 9112 section 5.2); whitespace before the first field line is as bad (section 2.2).
    if b"\r\n " in block or b"\r\n\t" in block:
        raise RemoteProtocolError("folded header line")
    _check_transfer_encoding(block)
    event = _ask_h11(block)
    return _interpret(
        line, tuple((_COMMON.get(name, name), _COMMON.get(value, value)) for name, value in event.headers)
    )


def _check_transfer_encoding(block: bytes) -> None:
    """Raise unless the block names no transfer coding, or "chunked" once."""
    lines = _TRANSFER_ENCODING(block)
    if not lines:
        return
    *others, last = [coding.strip(b" \t").lower() for coding in b",".join(lines).split(b",")]
    if last != b"chunked" or b"chunked" in others or b"" in others:
        # Nobody knows where this body ends: 400 (RFC 9112 section 6.3, rule 4).
        raise RemoteProtocolError("Transfer-Encoding does not end in one chunked")
    if others:  # "a transfer coding it does not understand": 501 (RFC 9112 section 6.1)
        raise RemoteProtocolError("the only transfer coding known here is chunked", 501)


def _ask_h11(block: bytes) -> h11.Request:
    # Here, as it takes as long as a twentieth of the start of a program; most heads are plain and never come here
    # (`head`), and the first one that does waits these few milliseconds.
    import h11  # noqa: PLC0415 - see above

    connection = h11.Connection(h11.SERVER)
    connection.receive_data(block)
    try:
        return cast("h11.Request", connection.next_event())  # of a whole block h11 makes a request or an error
    except h11.RemoteProtocolError as error:
        error.__traceback__ = None  # it runs in a circle through a frame of h11, and would keep all of ours alive
        # h11 quotes the peer behind its own words; the peer's are not for our log.
        message = str(error).partition(": b")[0]
        raise RemoteProtocolError(message, error.error_status_hint) from None


def _interpret(line: RequestLine, headers: RawHeaders) -> RequestHead:
    """Draw the conclusions from field lines that are each well-formed."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _MEANINGFUL:  # lines of one name are one list (RFC 9110 section 5.3)
            fields[name] = fields[name] + b", " + value if name in fields else value
    modern = line.version == "1.1"

    if modern and b"host" not in fields:  # that there are not two, h11 has seen to (RFC 9112 section 3.2)
        raise RemoteProtocolError("Host is missing")
    host = fields.get(b"host", b"")
    check_host(host)
    target = split_target(line.method, line.target, host)
    content_length = _content_length(fields, modern)
    connection = _members(fields, b"connection")
    upgrade = _members(fields, b"upgrade") if modern and b"upgrade" in connection else ()
    return RequestHead(
        method=sys.intern(line.method.decode()),
        target=line.target,
        raw_path=target.raw_path,
        query_string=target.query_string,
        authority=target.authority,
        headers=headers,
        version=line.version,
        content_length=content_length,
        expect_continue=modern and _expects_continue(fields) and content_length != 0,
        upgrade=_COMMON.get(upgrade[0], upgrade[0]) if upgrade else b"",
        # RFC 9112 section 9.3: "close" wins; otherwise 1.1 persists, and 1.0 if it asks to.
        keep_alive=b"close" not in connection and (modern or b"keep-alive" in connection),
    )


def _members(fields: dict[bytes, bytes], name: bytes) -> list[bytes]:
    """The members of a list of tokens, in lower case; empty ones count for nothing (RFC 9110 section 5.6.1.2)."""
    return [member for part in fields.get(name, b"").lower().split(b",") if (member := part.strip(b" \t"))]


def _content_length(fields: dict[bytes, bytes], modern: bool) -> int | None:
    """The length of the body, None if it is chunked (RFC 9112 section 6.3)."""
    if b"transfer-encoding" not in fields:
        return int(fields.get(b"content-length", b"0"))  # digits, h11 has seen to it; without any there is no body
    if b"content-length" in fields:
        raise RemoteProtocolError("Transfer-Encoding together with Content-Length")  # smuggling: section 6.1
    if not modern:
        raise RemoteProtocolError("Transfer-Encoding in HTTP/1.0")  # "faulty framing": section 6.1
    return None


def _expects_continue(fields: dict[bytes, bytes]) -> bool:
    """RFC 9110 section 10.1.1; in HTTP/1.0 there is no Expect."""
    expectations = set(_members(fields, b"expect"))
    if expectations - {b"100-continue"}:
        raise RemoteProtocolError("unknown expectation", 417)
    return bool(expectations)

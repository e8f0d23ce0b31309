"""Field lines of HTTP/1: their grammar in both directions (RFC 9110 section 5, RFC 9112 section 5).

What is received and breaks the grammar is a `RemoteProtocolError`; what the application wants sent and breaks it is a
`LocalProtocolError`.  Lines end with CRLF and nothing else: a recipient MAY take a bare LF for a line end (RFC 9112
section 2.2), but two recipients that disagree about where a line ends are what request smuggling is made of.

This module does not know what any field means, except which fields must not come late, in a trailer section.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from .events import RawHeaders

__all__ = [
    "TOKEN",
    "Fields",
    "encode_field",
    "encode_trailers",
    "field_name",
    "has_controls",
    "parse_trailers",
    "refuse_stray_controls",
]

Fields = Iterable[tuple[bytes, bytes]]
"""Names and values to be sent."""

# token = 1*tchar (RFC 9110 section 5.6.2), as a regular expression that never gives an octet back
TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
is_token: Final = re.compile(TOKEN).fullmatch

# HTAB, SP, VCHAR and obs-text: what a field value, a reason phrase or a request line may be made of at most
# (RFC 9110 section 5.5).  All other octets are controls; of those only CRLF pairs may stand in a block of lines.
TEXT: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
has_controls: Final = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search

# Fields that change framing, routing, authentication, request handling or what the content is have had their effect,
# or had none, by the time a trailer section comes (RFC 9110 section 6.5.1).
FORBIDDEN_IN_TRAILERS: Final = frozenset(
    b"""
    connection content-length host keep-alive proxy-connection te trailer transfer-encoding upgrade
    authorization cookie proxy-authenticate proxy-authorization set-cookie www-authenticate
    cache-control expect if-match if-modified-since if-none-match if-range if-unmodified-since max-forwards pragma range
    content-encoding content-range content-type
    """.split()
)


def refuse_stray_controls(block: bytes | bytearray) -> None:
    """Raise 400 unless every control octet of `block` is part of a CRLF or is a tab.

    A NUL, bare CR or bare LF MUST be rejected or replaced (RFC 9110 section 5.5, RFC 9112 section 2.2); the other
    controls are invalid as well and have no honest use.
    """
    if len(block.translate(None, TEXT)) != 2 * block.count(b"\r\n"):
        raise RemoteProtocolError("control character, bare CR or bare LF in a line")


def parse_trailers(block: bytes, max_lines: int) -> RawHeaders:
    """The field lines of a trailer section (RFC 9112 section 7.1.2).

    Parameters:
      block: the lines with the CRLF before the first of them and the empty line behind the last.
      max_lines: how many there may be.

    Raises `RemoteProtocolError` for a malformed line, a forbidden field (400) or too many lines (431).
    """
    if block == b"\r\n\r\n":
        return ()
    refuse_stray_controls(block)
    lines = block[2:-4].split(b"\r\n")
    if len(lines) > max_lines:
        raise RemoteProtocolError(f"more than {max_lines} trailer lines", 431)
    return tuple(map(_parse_trailer, lines))


def _parse_trailer(line: bytes) -> tuple[bytes, bytes]:
    # field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5).  A folded line starts with whitespace and is
    # therefore no field line, which section 5.2 lets a server reject.
    name, colon, value = line.partition(b":")
    if not colon or not is_token(name):
        raise RemoteProtocolError("malformed trailer line")
    name = name.lower()
    if name in FORBIDDEN_IN_TRAILERS:
        raise RemoteProtocolError(f"{name.decode()} must not come in a trailer")
    return name, value.strip(b" \t")


@lru_cache(maxsize=1024)  # response field names are few and short
def field_name(name: bytes) -> bytes:
    """`name` in lower case, or `LocalProtocolError` if it is not a token."""
    if not is_token(name):
        raise LocalProtocolError(
            f"illegal header name {name[:40]!r}: only letters, digits and !#$%&'*+-.^_`|~ may stand in one"
        )
    return name.lower()


def encode_field(name: bytes, value: bytes) -> bytes:
    """One field line to be sent; `name` has been through `field_name`.

    Raises `LocalProtocolError` for a value with CR, LF, NUL or another control: it could smuggle in lines of its own
    (response splitting).
    """
    if has_controls(value):
        raise LocalProtocolError(
            f"illegal value for header {name.decode()}: it holds a control character (CR, LF, NUL...)"
        )
    return b"%b: %b\r\n" % (name, value)


def encode_trailers(trailers: Fields) -> bytes:
    """A trailer section without its empty line; `LocalProtocolError` for a field that must not come late."""
    lines = []
    for name, value in trailers:
        if field_name(name) in FORBIDDEN_IN_TRAILERS:
            raise LocalProtocolError(f"{name.decode()} must not be sent in a trailer: put it into the headers")
        lines.append(encode_field(name, value))
    return b"".join(lines)

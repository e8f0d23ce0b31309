"""The four forms of a request-target, and the authority it is meant for (RFC 9112 section 3.2, RFC 3986).

    origin-form     GET /path?query           any method but CONNECT
    absolute-form   GET http://host/path      any method but CONNECT; its authority wins over the Host field
    authority-form  CONNECT host:443          CONNECT only, and the only form CONNECT has
    asterisk-form   OPTIONS *                 OPTIONS only

Anything else is 400.  Nothing is decoded or normalised here: what a path means is the router's business.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from ..errors import RemoteProtocolError

__all__ = ["Target", "check_host", "split_target"]

# uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 sections 3.2.2 and 3.2.3).  A reg-name is made of unreserved
# characters, escapes and sub-delims.  Of the last we refuse the comma: a Host with one is two lines joined on the way.
_AUTHORITY: Final = re.compile(
    rb"(?P<host>(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*+|\[(?P<literal>[^\[\]]++)\])"
    rb"(?::(?P<port>0*+[0-9]{0,5}+))?"
).fullmatch

# IP-literal = "[" ( IPv6address / IPvFuture ) "]".  A zone means nothing to another host and has no place here.
_IPV6_CHARACTERS: Final = re.compile(rb"[0-9A-Fa-f:.]+").fullmatch
_IPV_FUTURE: Final = re.compile(rb"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+").fullmatch

# absolute-form, for the schemes an HTTP server answers; a scheme is case-insensitive (RFC 3986 section 3.1).
_ABSOLUTE: Final = re.compile(
    rb"https?://(?P<authority>[^/?]*+)(?P<path>[^?]*+)(?P<query>\?.*)?", re.IGNORECASE | re.DOTALL
).fullmatch


class Target(NamedTuple):
    """What a request-target says; the names are those of `RequestHead`."""

    raw_path: bytes
    query_string: bytes
    authority: bytes


def split_target(method: bytes, target: bytes, host: bytes) -> Target:
    """Take a request-target apart.

    Parameters:
      target: visible ASCII, not empty.
      host: the value of the Host field, already checked, or ``b""``.

    Raises `RemoteProtocolError` (400) for a form that does not exist, or not with this method.
    """
    if b"#" in target:  # a fragment is never sent (RFC 9110 section 7.1)
        raise RemoteProtocolError("fragment in the request target")
    if method == b"CONNECT":
        if not _split_authority(target)[1]:
            raise RemoteProtocolError("the target of CONNECT must be host:port")
        return Target(b"", b"", target)
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return Target(path, query, host)
    if target == b"*" and method == b"OPTIONS":
        return Target(target, b"", host)
    absolute = _ABSOLUTE(target)
    if absolute is None:
        raise RemoteProtocolError("malformed request target")
    _split_authority(absolute["authority"])
    path, query = absolute["path"], absolute["query"]
    # OPTIONS without path and query is about the server as a whole (RFC 9112 section 3.2.4).
    default = b"*" if method == b"OPTIONS" and query is None else b"/"
    return Target(path or default, (query or b"?")[1:], absolute["authority"])


def check_host(host: bytes) -> None:
    """Raise 400 unless `host` is a valid value of the Host field.

    It may be empty: a target URI can lack an authority (RFC 9112 section 3.2), and section 3.3 leaves it to the server
    to fall back on a default.
    """
    if host:
        _split_authority(host)


def _split_authority(authority: bytes) -> tuple[bytes, bytes]:
    """Host and port.  An http URI with an empty host MUST be rejected (RFC 9110 section 4.2.1), and userinfo is an
    error (section 4.2.4)."""
    match = _AUTHORITY(authority)
    if match is None or not match["host"] or not _is_ip_literal(match["literal"]):
        raise RemoteProtocolError("invalid host")
    port = match["port"] or b""
    if int(port[-5:] or b"0") > 65535:
        raise RemoteProtocolError("invalid port")
    return match["host"], port


def _is_ip_literal(literal: bytes | None) -> bool:
    if literal is None:  # a name, or an IPv4 address, which is a name by its grammar
        return True
    if not _IPV6_CHARACTERS(literal):
        return _IPV_FUTURE(literal) is not None
    try:
        IPv6Address(literal.decode())
    except AddressValueError:
        return False
    return True

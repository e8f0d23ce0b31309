"""The opening handshake of a WebSocket, from the server's side (RFC 6455 section 4.2).

What a request head offers is taken apart by `read_offer`; `check_origin` and `choose_subprotocol` judge it; `accept`
makes the header of the 101 that answers it.  What is no offer is answered in HTTP, by the `HTTPError` that says so.

    the request                                       the answer
    is neither GET nor HEAD                           405, Allow
    is HTTP/1.0, or does not upgrade to websocket     426, Upgrade; so to each HEAD
    speaks another version of WebSockets              426, Upgrade, Sec-WebSocket-Version
    has a bad key, bad subprotocols or extensions     400
    comes from a page of a foreign origin             403

Rules of this file:

* Whatever octets the peer sends, nothing but an `HTTPError` is raised for them.  Fields are read as Latin-1, in which
  every octet is a character, and what must be ASCII is recognised before it is used.
* Lines of one name are one list (RFC 9110 section 5.3).  So a field that must not be doubled needs no count: two lines
  make a value that is not valid.
* What the application gets wrong is a `LocalProtocolError`, and no 101 was made.

It must not know what is spoken after the 101, nor what an extension does.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from ..errors import BadRequest, Forbidden, HTTPError, LocalProtocolError, MethodNotAllowed
from ..http.events import RawHeaders, RequestHead
from ..http.fields import TOKEN, Fields, field_name
from ..http.headers import Headers

__all__ = [
    "Extension",
    "Offer",
    "Origin",
    "accept",
    "asks_for_websocket",
    "check_origin",
    "choose_subprotocol",
    "is_subprotocol",
    "read_offer",
    "read_origin",
]

_VERSION: Final = "13"

# A 426 MUST have Upgrade (RFC 9110 section 15.5.22), which is named in Connection (section 7.8).
_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade"}

# Sec-WebSocket-Key is 16 octets in base64 (RFC 6455 section 4.2.1).  That the last digit holds bits which say nothing
# is no reason to refuse one; nobody decodes it.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch

# What the key is joined with, so that the answer cannot come from a server that knows no WebSockets (section 1.3).
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# extension-param = token [ "=" (token | quoted-string) ], and the string is a token once it is unquoted (RFC 6455
# section 9.1).  Blanks may stand between them, as in all grammar of RFC 2616.
_TOKEN: Final = TOKEN.decode("ascii")
_is_token: Final = re.compile(_TOKEN).fullmatch
_PARAMETER: Final = re.compile(
    rf'(?P<name>{_TOKEN})(?:[ \t]*+=[ \t]*+(?P<value>{_TOKEN}|"(?:{_TOKEN}|\\{_TOKEN})++"))?'
).fullmatch
_UNQUOTED: Final = str.maketrans("", "", '"\\')

# An origin as browsers write it: a host in ASCII, without userinfo, path or escapes (RFC 6454 section 6.2).
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*+)://(?P<host>[a-z0-9._~-]++|\[[0-9a-f:.]++\])(?::(?P<port>[0-9]{1,5}))?"
).fullmatch
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Fields of the 101 that are not the application's; nor are those that begin with sec-websocket-.
_OURS: Final = frozenset({b"connection", b"upgrade"})


class Extension(NamedTuple):
    """An extension, as it is offered or accepted.

    Parameters:
      name: a token, for example "permessage-deflate".
      parameters: in the order of the wire, also those that repeat; the value is None for a name that stands alone.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()


class Origin(NamedTuple):
    """Where a page comes from: what origins are told apart by (RFC 6454 section 5)."""

    scheme: str
    host: str
    port: int | None


class Offer(NamedTuple):
    """What a client asks for when it opens a WebSocket.

    Parameters:
      key: Sec-WebSocket-Key, as sent.
      subprotocols: different tokens, the client's favourite first.
      extensions: the client's favourite first; an extension may be offered several times, in several ways.
      origin: where the page that asks comes from, as sent; None if the client is no browser.
    """

    key: str
    subprotocols: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    origin: str | None = None


# --- reading ----------------------------------------------------------------------------------------------------------


def read_offer(head: RequestHead) -> Offer:
    """What `head` asks for, if it asks for a WebSocket.

    Raises:
      HTTPError: it does not, or not as RFC 6455 has it; see the top of this file.
    """
    if head.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("a WebSocket is opened with GET", allowed=("GET", "HEAD"))
    headers = Headers(head)
    # HEAD is answered as a GET that opens nothing: only GET does (RFC 6455 section 4.1).
    if head.method == "HEAD" or not asks_for_websocket(head, headers):
        message = "this is the place of a WebSocket: send Upgrade: websocket and Connection: Upgrade, in HTTP/1.1"
        raise HTTPError(426, message, headers=_UPGRADE)
    if headers.get("sec-websocket-version") != _VERSION:
        message = f"Sec-WebSocket-Version must be {_VERSION}"
        raise HTTPError(426, message, headers={**_UPGRADE, "Sec-WebSocket-Version": _VERSION})
    key = headers.get("sec-websocket-key", "")
    if not _KEY(key):
        raise BadRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    return Offer(key, _read_subprotocols(headers), _read_extensions(headers), headers.get("origin"))


def asks_for_websocket(head: RequestHead, headers: Headers) -> bool:
    """Whether a GET asks for a WebSocket, be it in a wrong way."""
    # `head.upgrade` is empty unless this is HTTP/1.1 and Connection says upgrade.  It is the first of the protocols
    # that the client would take, of which any may be chosen (RFC 9110 section 7.8).
    return bool(head.upgrade) and "websocket" in _members(headers.get("upgrade", "").lower())


def _members(value: str) -> list[str]:
    """The members of a list; empty ones count for nothing (RFC 9110 section 5.6.1.2)."""
    return [member for part in value.split(",") if (member := part.strip(" \t"))]


def _read_subprotocols(headers: Headers) -> tuple[str, ...]:
    """RFC 6455 section 4.1, item 10: one token or more, no two the same."""
    value = headers.get("sec-websocket-protocol")
    if value is None:
        return ()
    names = _members(value)
    if not names or len(set(names)) != len(names) or not all(map(_is_token, names)):
        raise BadRequest("Sec-WebSocket-Protocol must be a list of tokens, each of them once")
    return tuple(names)


def _read_extensions(headers: Headers) -> tuple[Extension, ...]:
    """RFC 6455 section 9.1: one extension or more."""
    value = headers.get("sec-websocket-extensions")
    if value is None:
        return ()
    # No comma or semicolon can stand in a quoted string, as what it quotes is a token; so a string that is cut at one
    # was malformed, and its halves are as well.
    extensions = tuple(map(_read_extension, _members(value)))
    if not extensions:
        raise _malformed_extensions()
    return extensions


def _read_extension(text: str) -> Extension:
    name, *parameters = (part.strip(" \t") for part in text.split(";"))
    if not _is_token(name):
        raise _malformed_extensions()
    return Extension(name, tuple(map(_read_parameter, parameters)))


def _read_parameter(text: str) -> tuple[str, str | None]:
    match = _PARAMETER(text)
    if match is None:
        raise _malformed_extensions()
    value = match["value"]
    return match["name"], None if value is None else value.translate(_UNQUOTED)


def _malformed_extensions() -> BadRequest:
    return BadRequest("Sec-WebSocket-Extensions must be a list of extensions, as in: name; parameter=value")


# --- judging ----------------------------------------------------------------------------------------------------------


def check_origin(offer: Offer, allowed: Collection[Origin] | None) -> None:
    """Refuse a page that may not talk to this server: a browser lets every page open a WebSocket to every server, and
    sends its cookies with it (RFC 6455 section 10.2).

    Parameters:
      allowed: None allows every page.

    A client that sends no Origin is no browser, and is allowed: it could send any.

    Raises:
      HTTPError: 403, the page's origin is not one of `allowed`.
    """
    if allowed is not None and offer.origin is not None and read_origin(offer.origin) not in allowed:
        raise Forbidden("pages of this origin may not open a WebSocket here")


def read_origin(text: str) -> Origin | None:
    """An origin, as in "https://a.example" or "http://localhost:8000"; None if `text` is not one.

    There are no wildcards, and "null" is no origin, as any page can have it.
    """
    match = _ORIGIN(text.lower())
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(match["scheme"])
    return Origin(match["scheme"], match["host"], port)


def is_subprotocol(text: str) -> bool:
    """Whether `text` could be a subprotocol: a token."""
    return _is_token(text) is not None


def choose_subprotocol(offer: Offer, supported: Sequence[str]) -> str | None:
    """The first of `supported` that the client offers, None if it offers none of them.

    RFC 6455 leaves the choice to the server.  The order is the server's, as it is the server that knows which of its
    subprotocols it would rather see the last of.
    """
    return next((name for name in supported if name in offer.subprotocols), None)


# --- accepting --------------------------------------------------------------------------------------------------------


def accept(
    offer: Offer, *, subprotocol: str | None = None, extensions: Sequence[Extension] = (), headers: Fields = ()
) -> RawHeaders:
    """The header of the 101 (RFC 6455 section 4.2.2), but for Connection, which every 101 is given when it is sent.

    Parameters:
      subprotocol: one that was offered, or None.
      extensions: what the server makes of the offered ones, in the order in which they are to be applied.
      headers: further fields of the application; Set-Cookie, for example.

    Raises:
      LocalProtocolError: the subprotocol or an extension was not offered, or a field of the application is malformed
        or belongs to the handshake.
    """
    lines = [(b"upgrade", b"websocket"), (b"sec-websocket-accept", _accept_token(offer.key))]
    if subprotocol is not None:
        if subprotocol not in offer.subprotocols:
            raise LocalProtocolError(
                f"the client did not offer the subprotocol {subprotocol!r}: take one it did, or None"
            )
        lines.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
    if extensions:
        lines.append((b"sec-websocket-extensions", ", ".join(_write_extensions(offer, extensions)).encode("ascii")))
    lines.extend(_check_headers(headers))
    return tuple(lines)


def _accept_token(key: str) -> bytes:
    # No security hangs on SHA-1 here: the token only shows that the key has been read.
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest())


def _write_extensions(offer: Offer, extensions: Sequence[Extension]) -> Iterator[str]:
    offered = {extension.name for extension in offer.extensions}
    for name, parameters in extensions:
        if name not in offered:
            raise LocalProtocolError(f"the client did not offer the extension {name!r}")
        yield "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])


def _check_headers(headers: Fields) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        kind = field_name(name)
        if kind in _OURS or kind.startswith(b"sec-websocket-"):
            raise LocalProtocolError(f"{kind.decode('ascii')} is set by the handshake of a WebSocket: leave it out")
        yield kind, value

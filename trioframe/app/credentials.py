"""Who a client says it is: the Authorization header (RFC 9110 section 11.4).

It is read, not believed: whether the password is right is for the application to find out, in constant time
(`hmac.compare_digest`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

__all__ = ["Credentials", "parse_credentials"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What Authorization says.

    Attributes:
      scheme: "basic", "bearer" and so on, in lower case.
      token: what follows the scheme.
      username, password: of the Basic scheme (RFC 7617); None with other schemes, or if they cannot be read.
    """

    scheme: str
    token: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_credentials(header: str | None) -> Credentials | None:
    """The credentials in an Authorization header; None without one, or if it has no scheme and token."""
    # credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
    scheme, _, token = (header or "").partition(" ")
    scheme, token = scheme.lower(), token.strip(" ")
    if not scheme or not token:
        return None
    username, password = _read_basic(token) if scheme == "basic" else (None, None)
    return Credentials(scheme, token, username, password)


def _read_basic(token: str) -> tuple[str | None, str | None]:
    # RFC 7617 section 2: user-id and password, which may hold colons, as base64 of what is mostly UTF-8.
    try:
        username, colon, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        return None, None
    return (username, password) if colon else (None, None)

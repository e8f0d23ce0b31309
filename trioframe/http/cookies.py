"""Cookies (RFC 6265, RFC 6265bis): reading what a browser sends, writing what it shall keep.

Rules of this file:

* Reading is lenient and linear: whatever cannot be read is left out, and no input costs more than its bytes.
* Writing is strict.  What a browser would drop without a word - a cookie too large, ``SameSite=None`` without Secure, a
  broken prefix - is a `ValueError` here, where somebody can see it.
* Values are not quoted or escaped in either direction: what was written is what is read.  A value that needs more than
  the octets of a cookie is for the application to encode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Literal, TypedDict

from .date import http_date
from .multidict import MultiDict

__all__ = ["CookieAttributes", "Cookies", "SameSite", "cookie_identity", "parse_cookies", "render_cookie"]

SameSite = Literal["Strict", "Lax", "None"]

# RFC 6265 section 4.1.1: cookie-name = token
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# cookie-octet: printable ASCII without whitespace, DQUOTE, comma, semicolon and backslash
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_PATH = re.compile(r"/[ -:<-~]*")
_DOMAIN = re.compile(r"[0-9A-Za-z.-]+")

# RFC 6265bis section 5.7: a longer name and value, or attribute value, is ignored by the browser.
MAX_NAME_AND_VALUE = 4096
MAX_ATTRIBUTE = 1024


class Cookies(MultiDict[str]):
    """The cookies of a request.

    Of several with one name the first is the one with the longest path (RFC 6265 section 5.4): the most specific.
    """

    __slots__ = ()


class CookieAttributes(TypedDict, total=False):
    """The keywords of `render_cookie`."""

    path: str | None
    domain: str | None
    max_age: int | None
    expires: datetime | None
    secure: bool
    httponly: bool
    samesite: SameSite | None
    partitioned: bool
    host_prefix: bool
    secure_prefix: bool


def parse_cookies(header: str) -> Cookies:
    """The cookies in a Cookie header (RFC 6265 section 4.2.1).

    Pieces without a name are left out: whether ``=x`` and ``x`` mean the same is not agreed, and cookies with a forged
    prefix have been smuggled that way.  One pair of double quotes around a value is taken off.
    """
    return Cookies(_pairs(header))


def _pairs(header: str) -> Iterator[tuple[str, str]]:
    for piece in header.split(";"):
        name, equals, value = piece.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        if equals and name:
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            yield name, value


def render_cookie(
    name: str,
    value: str,
    *,
    path: str | None = "/",
    domain: str | None = None,
    max_age: int | None = None,
    expires: datetime | None = None,
    secure: bool = True,
    httponly: bool = False,
    samesite: SameSite | None = "Lax",
    partitioned: bool = False,
    host_prefix: bool = False,
    secure_prefix: bool = False,
) -> str:
    """The value of a Set-Cookie header (RFC 6265 section 4.1).

    Parameters:
      path: the cookie is sent below this path; None for the path of the request.
      domain: the cookie is sent to this host and all below it; None for this host alone.
      max_age: seconds to keep it; 0 or less deletes it.
      expires: when to forget it; `max_age` goes before it.  With neither it ends with the browser's session.
      secure: it is sent over TLS only.
      httponly: scripts do not see it.
      samesite: whether requests from other sites carry it; None leaves that to the browser.
      partitioned: it is kept apart for each site that embeds this one.
      host_prefix: puts ``__Host-`` before the name, by which the browser vouches that this very host set it.
      secure_prefix: puts ``__Secure-`` before the name, by which it vouches that TLS set it.

    Raises:
      ValueError: a cookie that cannot be written, or that browsers would drop.
    """
    if host_prefix and secure_prefix:
        raise ValueError(f"cookie {name!r}: __Host- promises all that __Secure- does; use one of them")
    full_name = f"{'__Host-' * host_prefix}{'__Secure-' * secure_prefix}{name}"
    _check_pair(full_name, value)
    _check_place(full_name, path, domain)
    _check_security(full_name, path, domain, samesite, partitioned=partitioned, secure=secure)
    attributes = [
        f"{full_name}={value}",
        *([] if path is None else [f"Path={path}"]),
        *([] if domain is None else [f"Domain={domain}"]),
        *([] if max_age is None else [f"Max-Age={max_age:d}"]),
        *([] if expires is None else [f"Expires={_render_date(full_name, expires)}"]),
        *(["Secure"] if secure else []),
        *(["HttpOnly"] if httponly else []),
        *([] if samesite is None else [f"SameSite={samesite}"]),
        *(["Partitioned"] if partitioned else []),
    ]
    return "; ".join(attributes)


def cookie_identity(set_cookie: str) -> tuple[str, str, str]:
    """What tells the cookie of one Set-Cookie value from others: name, domain, path (RFC 6265 section 5.3, step 11)."""
    pair, *attributes = set_cookie.split(";")
    found = {key.strip(" \t").lower(): value for key, _, value in (text.partition("=") for text in attributes)}
    return pair.partition("=")[0], found.get("domain", "").lower(), found.get("path", "")


def _check_pair(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} cannot be the name of a cookie: only letters, digits and !#$%&'*+-.^_`|~")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"cookie {name!r}: the value may be printable ASCII without spaces, quotes, commas, semicolons and"
            " backslashes; encode it, for example by urllib.parse.quote"
        )
    if len(name) + len(value) > MAX_NAME_AND_VALUE:
        raise ValueError(f"cookie {name!r}: browsers keep no name and value longer than {MAX_NAME_AND_VALUE} bytes")


def _check_place(name: str, path: str | None, domain: str | None) -> None:
    if path is not None and not (_PATH.fullmatch(path) and len(path) <= MAX_ATTRIBUTE):
        raise ValueError(f"cookie {name!r}: {path[:80]!r} is no path; it begins with / and is ASCII without semicolons")
    if domain is not None and not (_DOMAIN.fullmatch(domain) and len(domain) <= MAX_ATTRIBUTE):
        raise ValueError(f"cookie {name!r}: {domain[:80]!r} is no domain; write an international one in its xn-- form")


def _check_security(
    name: str, path: str | None, domain: str | None, samesite: str | None, *, partitioned: bool, secure: bool
) -> None:
    if samesite not in (None, "Strict", "Lax", "None"):
        raise ValueError(f"cookie {name!r}: samesite is 'Strict', 'Lax', 'None' (the text) or None, not {samesite!r}")
    # RFC 6265bis section 4.1.3; browsers compare the prefixes without case.
    prefix = name[: name.find("-") + 1].lower()
    if prefix == "__host-" and (domain is not None or path != "/"):
        raise ValueError(f"cookie {name!r}: __Host- means this host and all of it; leave domain out and path '/'")
    for needs_secure, what in (
        (prefix in ("__host-", "__secure-"), "its prefix"),
        (samesite == "None", "SameSite=None"),
        (partitioned, "Partitioned"),
    ):
        if needs_secure and not secure:
            raise ValueError(f"cookie {name!r}: {what} needs secure=True")


def _render_date(name: str, when: datetime) -> str:
    if when.tzinfo is None:
        raise ValueError(f"cookie {name!r}: expires needs a time zone, as datetime.now(UTC) has one")
    return http_date(when.timestamp()).decode("ascii")

"""The fast lane: recognises a plain request head without h11.

Most heads are plain: a common method, a path, HTTP/1.1, one space behind each colon, nothing but printable ASCII, and
of the fields that decide where the message ends and what follows it, each at most once and in its plainest form.  One
regular expression knows such a head when it sees it, in a thirtieth of the time that h11 needs.  Whatever it does not
fully recognise - odd spacing, folded lines, Transfer-Encoding, Upgrade, Expect, HTTP/1.0, a literal address in Host,
anything doubtful - goes to h11, from the first byte of that head.

Rules of this file:

* h11 plus our own strictness (`strict.parse_head`) is the law.  The lane refuses nothing and decides nothing: where it
  says yes, the law says the same, to the last field.  Differential tests hold that.
* Falling back leaves no state behind, as there is none.
* It is linear in the head: no part of the expression can be matched in two ways, so giving up costs no second look.
"""

from __future__ import annotations

import re
from typing import Final

from .events import RequestHead
from .limits import H1Limits

__all__ = ["recognise"]

# In the order of the wire:
#
# * The target is visible ASCII but "#", and has "?" only as the mark of the query (RFC 9112 section 3.2.1).
# * `(?(7)(?!))` fails if group 7 has matched already: what matters comes once.
# * Any other field may come again.  Its name is none of those that matter, however it is spelt.
# * A value neither begins nor ends with a space.
_PLAIN: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    rb"((/[!\"$->@-~]*+)(?:\?([!\"$-~]*+))?+) HTTP/1\.1\r\n"
    rb"((?:"
    rb"(?!(?i:host|content-length|connection|transfer-encoding|upgrade|expect):)"
    rb"[0-9A-Za-z_-]++: [!-~][ -~]*+(?<! )\r\n"
    rb"|[Hh]ost: (?(6)(?!))([0-9A-Za-z._-]++(?::(?:[1-5][0-9]{4}|6[0-4][0-9]{3}|[0-9]{1,4}))?)\r\n"
    rb"|[Cc]ontent-[Ll]ength: (?(7)(?!))([0-9]{1,15}+)\r\n"
    rb"|[Cc]onnection: (?(8)(?!))([Kk]eep-[Aa]live|close)\r\n"
    rb")*)\r\n"
).fullmatch

_METHODS: Final = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


class _PlainHead(RequestHead):
    """A head that was recognised.  What all of them have in common stands in the class."""

    __slots__ = ()
    version = "1.1"
    expect_continue = False
    upgrade = b""

    def __init__(  # noqa: PLR0917 - a keyword takes as long as half of the rest
        self,
        method: str,
        target: bytes,
        raw_path: bytes,
        query_string: bytes,
        authority: bytes,
        headers: bytes,
        content_length: int,
        keep_alive: bool,
    ) -> None:
        # Not by way of the base class, as this is done for every request.
        self.method = method
        self.target = target
        self.raw_path = raw_path
        self.query_string = query_string
        self.authority = authority
        self._headers = headers
        self.content_length = content_length
        self.keep_alive = keep_alive


def recognise(block: bytes, limits: H1Limits) -> RequestHead | None:
    """Read a plain request head; None for any other.

    Parameters:
      block: from the first byte of the request line on; what does not end with the empty line is not plain.
    """
    match = _PLAIN(block)
    if match is None:
        return None
    method, target, path, query, lines, host, length, connection = match.groups()
    if host is None or (len(block) > limits.harmless_head_size and _exceeds(block, target, limits)):
        return None
    size = 0 if length is None else int(length)
    return _PlainHead(_METHODS[method], target, path, query or b"", host, lines, size, connection != b"close")


def _exceeds(block: bytes, target: bytes, limits: H1Limits) -> bool:
    if len(block) > limits.max_head_size:
        return True
    return len(target) > limits.max_target_size or block.count(b"\n") - 2 > limits.max_headers

"""The fast lane: recognises a plain request head without h11.

Most heads are plain: a common method, a path, HTTP/1.1, one line for each field, one space behind each colon, nothing
but printable ASCII.  A regular expression knows such a head when it sees it, in a tenth of the time that h11 needs.
Whatever it does not fully recognise - odd spacing, folded lines, repeated fields, Transfer-Encoding, Upgrade, Expect,
HTTP/1.0, a literal address in Host, anything doubtful - goes to h11, from the first byte of that head.

Rules of this file:

* h11 plus our own strictness (`strict.parse_head`) is the law.  The lane refuses nothing and decides nothing: where it
  says yes, the law says the same, to the last field.  A differential test holds that.
* Falling back leaves no state behind, as there is none.
"""

from __future__ import annotations

import re
from typing import Final

from .events import RequestHead
from .limits import H1Limits
from .strict import ParsedHead

__all__ = ["recognise"]

# Visible ASCII but "#", and "?" only as the mark of the query (RFC 9112 section 3.2.1).
_LINE: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ((/[!\"$->@-~]*+)(?:\?([!\"$-~]*+))?+) HTTP/1\.1\r\n"
).match
# A value neither begins nor ends with a space; one alone may be a single character.
_FIELDS: Final = re.compile(rb"([0-9A-Za-z_-]++): ([!-~](?:[ -~]*[!-~])?)\r\n").findall
_HOST: Final = re.compile(rb"[0-9A-Za-z._-]++(?::[0-9]{1,4}+)?+").fullmatch
_LENGTH: Final = re.compile(rb"[0-9]{1,15}").fullmatch

_FOR_H11: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
_KEEP_ALIVE: Final = {b"keep-alive": True, b"Keep-Alive": True, b"close": False}
_METHODS: Final = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


def recognise(block: bytes, limits: H1Limits) -> ParsedHead | None:
    """Read a plain request head; None for any other.

    Parameters:
      block: as for `parse_head`: up to the end of the empty line, within `max_head_size`.
    """
    line = _LINE(block)
    if line is None:
        return None
    method, target, path, query = line.groups()
    lines = _FIELDS(block, line.end())
    headers = tuple([(name.lower(), value) for name, value in lines])
    fields = dict(headers)
    # Every byte behind the request line belongs to a field, or is the empty line; and no field comes twice.
    size = sum([len(name) + len(value) for name, value in lines]) + 4 * len(lines) + 2
    if line.end() + size != len(block) or len(fields) != len(lines):
        return None
    if len(lines) > limits.max_headers or len(target) > limits.max_target_size or not _FOR_H11.isdisjoint(fields):
        return None
    host = fields.get(b"host", b"")
    length = fields.get(b"content-length", b"0")
    keep_alive = _KEEP_ALIVE.get(fields.get(b"connection", b"keep-alive"))
    if keep_alive is None or not _HOST(host) or not _LENGTH(length):
        return None
    head = RequestHead(_METHODS[method], target, path, query or b"", host, headers, "1.1", int(length), False, b"")
    return ParsedHead(head, keep_alive)

"""JSON as the standard library reads it, without what that does anew for each text.

`json.loads` is the law.  There are two shorter ways to what it says:

* Where the first two octets are ASCII and no NUL the encoding is UTF-8, as it nearly always is (RFC 8259 section 8.1),
  and a decoder that is kept can begin.
* msgspec, if it is installed (the extra ``[speed]``), reads in a quarter of the time.  It is stricter than the law, and
  where it takes a text it makes the same of it; what it does not take, the law judges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

__all__ = ["read_json"]

_decode: Final = json.JSONDecoder().decode
# A byte order mark begins beyond ASCII; in UTF-16 and UTF-32 without one, one of the first two octets is NUL.
_begins_as_utf_8: Final = re.compile(rb"[\x01-\x7f]{2}").match


def read_json(octets: bytes) -> Any:
    """The value of a JSON text; what is returned and raised is what `json.loads` would."""
    quick = _quick_reader()
    if quick is not None:
        try:
            return quick(octets)
        except (ValueError, RecursionError):
            return _read_by_the_law(octets)
    return _read_by_the_law(octets)


def _read_by_the_law(octets: bytes) -> Any:
    if _begins_as_utf_8(octets) is None:
        return json.loads(octets)
    return _decode(octets.decode("utf-8", "surrogatepass"))


@cache
def _quick_reader() -> Callable[[bytes], Any] | None:
    try:
        from msgspec.json import Decoder  # noqa: PLC0415 - it may not be there, and is only for those who read JSON
    except ImportError:
        return None
    return Decoder().decode

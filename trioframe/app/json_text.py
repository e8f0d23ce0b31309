"""JSON as the standard library reads and writes it, without what that does anew for each text.

`json.loads` and `json.JSONEncoder` are the law.  There are shorter ways to what they say:

* Where the first two octets are ASCII and no NUL the encoding is UTF-8, as it nearly always is (RFC 8259 section 8.1),
  and a decoder that is kept can begin.
* msgspec, if it is installed (the extra ``[speed]``), reads in a quarter of the time.  It is stricter than the law, and
  where it takes a text it makes the same of it; what it does not take, the law judges.
* It writes more than the law would, and in other words.  So it is asked only for what both write alike: a dictionary
  of text, whole numbers, truth and None by name, as most answers are; and only what comes out as ASCII is taken.
* The encoder in C that `json.JSONEncoder` makes for each value is kept.  It does not look for circles: where it gives
  up, the law says why.
"""

from __future__ import annotations

import json
import json.encoder
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

__all__ = ["read_json", "write_json"]

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


# RFC 8259 has no NaN and no infinity; a client could not read them.
_law: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _kept_encoder() -> Callable[[Any, int], Iterable[str]] | None:
    make: Callable[..., Callable[[Any, int], Iterable[str]]] | None = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without it
        return None
    # What looks for circles, gives what has no form, writes text; indent, separators, and whether to sort keys, to skip
    # those that are no text, and to allow NaN.
    return make(None, _law.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)


_encode: Final = _kept_encoder()


_NAMES: Final = frozenset({str})
_PLAIN: Final = frozenset({str, int, bool, type(None)})


def write_json(value: Any) -> str | bytes:
    """The JSON text of a value; what is returned and raised is what `json.JSONEncoder` would."""
    if type(value) is dict and _NAMES.issuperset(map(type, value)) and _PLAIN.issuperset(map(type, value.values())):
        quick = _quick_writer()
        if quick is not None:
            try:
                octets = quick(value)
            except (ValueError, OverflowError):  # half of a surrogate pair, a number of more than 64 bits
                return _write_by_the_law(value)
            if (
                octets.isascii() and b"\x7f" not in octets
            ):  # the one octet of ASCII that the law escapes, and it does not
                return octets
    return _write_by_the_law(value)


def _write_by_the_law(value: Any) -> str:
    if _encode is not None:
        try:
            return "".join(_encode(value, 0))
        except RecursionError:
            return _law.encode(value)
    return _law.encode(value)


@cache
def _quick_writer() -> Callable[[Any], bytes] | None:
    try:
        from msgspec.json import Encoder  # noqa: PLC0415 - as above
    except ImportError:
        return None
    return Encoder().encode

"""Header fields as a mapping (RFC 9110 section 5): `Headers` of a request, `MutableHeaders` of a response.

Names are case-insensitive and kept in lower case; values are text of Latin-1 octets without the whitespace around them.
A name may stand on several lines: ``headers[name]`` joins them, ``headers.getall(name)`` has them one by one.

Rules of this file:

* What came from the wire is valid already and is not judged again.  A look at single fields decodes these fields alone,
  where each name stands on one line, as it mostly does; the index of all lines is built for whoever needs more.
* What goes to the wire is judged when it is set, where the mistake is made, and not only when it is sent.
* Every operation is linear in what it touches, so no number of equal names costs more than its bytes.
* A value never shows in a `repr`: it may be a credential.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Self, overload

from ..errors import LocalProtocolError
from .events import RawHeaders, RequestHead

__all__ = ["HeaderInput", "Headers", "MutableHeaders"]

# RFC 9110 section 5.6.2: token = 1*tchar
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 section 5.5: field-vchar = VCHAR / obs-text, and SP and HTAB between them
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers:
    """The header fields of a message, to be read.

    ``headers["accept"]`` raises `KeyError` if there is no such field, ``headers.get("accept")`` and ``headers.accept``
    give None.  Iteration and `len` are over the different names.

    Parameters:
      raw: field lines as the wire gives them: names in lower case, values stripped; or the head that has them.
    """

    __slots__ = ("_index", "_raw", "_single")

    def __init__(self, raw: RawHeaders | RequestHead = ()) -> None:
        self._raw = raw
        self._single: dict[bytes, bytes] | None = None
        self._index: dict[str, list[str]] | None = None

    @property
    def raw(self) -> RawHeaders:
        """All lines as octets."""
        return self._raw.headers if isinstance(self._raw, RequestHead) else self._raw

    def _lines(self) -> dict[str, list[str]]:
        index = self._index
        if index is None:
            index = self._index = {}
            for name, value in self.raw:
                index.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return index

    def _value(self, name: str) -> str | None:
        """All values of `name`, which is in lower case, as one; None if there is none."""
        single = self._single
        if single is None and self._index is None:
            single = self._if_single()
        if single is not None:
            try:
                value = single.get(name.encode("latin-1"))
            except UnicodeEncodeError:  # no name that can come from the wire
                return None
            return None if value is None else value.decode("latin-1")
        values = self._lines().get(name)
        if values is None:
            return None
        # RFC 9110 section 5.3: lines of one name are joined by a comma.
        # RFC 9113 section 8.2.3: the pieces of Cookie are joined by "; ".
        return values[0] if len(values) == 1 else ("; " if name == "cookie" else ", ").join(values)

    def _if_single(self) -> dict[bytes, bytes] | None:
        """The lines by name, if no name repeats; else None."""
        if isinstance(self._raw, RequestHead):
            self._single = self._raw.single_lines()
        else:
            lines = dict(self._raw)
            if len(lines) == len(self._raw):
                self._single = lines
        return self._single

    def __getitem__(self, name: str) -> str:
        """All values of `name` as one (RFC 9110 section 5.3)."""
        if self._single is not None and (single := self._single.get(_on_the_wire(name))) is not None:
            return single.decode("latin-1")  # `_value`, without the calls
        name = name.lower()
        value = self._value(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """All values of `name` as one, or `default`."""
        value = self._value(name.lower())
        return default if value is None else value

    def getall(self, name: str) -> list[str]:
        """The values of `name`, line by line; empty if there is none."""
        return list(self._lines().get(name.lower(), ()))

    def __getattr__(self, name: str) -> str | None:
        """``headers.user_agent`` is ``headers.get("user-agent")``."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        return self._value(name.replace("_", "-").lower())

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = name.lower()
        return self._value(name) is not None if self._index is None else name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())

    def keys(self) -> Iterable[str]:
        """The different names."""
        return self._lines().keys()

    def items(self) -> Iterator[tuple[str, str]]:
        """Every line as (name, value); the lines of one name stand together."""
        return ((name, value) for name, values in self._lines().items() for value in values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self) or 'none'}>"


HeaderInput = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
"""What header fields can be made of."""


class MutableHeaders(Headers):
    """The header fields of a message, to be written; in the order in which their names were first set.

    Parameters:
      fields: the first ones; pairs may repeat a name.

    Raises:
      LocalProtocolError: a name that is no token, or a value with CR, LF, NUL, another control character, or one
        beyond Latin-1.
      TypeError: a name or value that is not text.
    """

    __slots__ = ()
    _index: dict[str, list[str]]

    def __init__(self, fields: HeaderInput = ()) -> None:
        super().__init__()
        self._index = {}
        for name, value in _pairs(fields):
            self.add(name, value)

    @classmethod
    def of_valid(cls, raw: RawHeaders) -> Self:
        """Headers of lines that have been judged, with no name twice."""
        headers = cls.__new__(cls)
        headers._raw, headers._single = (), None
        headers._index = {_decoded(name): [_decoded(value)] for name, value in raw}
        return headers

    @property
    def raw(self) -> RawHeaders:
        """All lines as octets."""
        lines = [
            (_encoded_name(name), value.encode("latin-1")) for name, values in self._index.items() for value in values
        ]
        return tuple(lines)

    def encode(self) -> list[tuple[bytes, bytes]]:
        """The lines for the wire."""
        return list(self.raw)

    def set(self, name: str, value: str) -> None:
        """Let `name` have this one value.  As everywhere, what cannot be sent is refused and changes nothing."""
        self._index[_field_name(name)] = [_field_value(name, value)]

    def add(self, name: str, value: str) -> None:
        """Add a line, also if there is one of that name already."""
        key, line = _field_name(name), _field_value(name, value)
        self._index.setdefault(key, []).append(line)

    def setdefault(self, name: str, value: str) -> None:
        """Set `name` unless it is there."""
        if name not in self:
            self.set(name, value)

    def update(self, fields: HeaderInput) -> None:
        """Let every name in `fields` have the values it has there, and no others."""
        self._index.update(MutableHeaders(fields)._index)

    def remove(self, name: str) -> None:
        """Remove every line of `name`; none is fine too."""
        self._index.pop(name.lower(), None)

    def __setitem__(self, name: str, value: str) -> None:
        self._index[_field_name(name)] = [_field_value(name, value)]  # `set`, without the call

    def __delitem__(self, name: str) -> None:
        del self._index[name.lower()]


def _pairs(fields: HeaderInput) -> Iterable[tuple[str, str]]:
    return fields.items() if isinstance(fields, Headers | Mapping) else fields


@lru_cache(maxsize=512)
def _field_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a header is text, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise LocalProtocolError(
            f"{name[:80]!r} cannot be the name of a header: only letters, digits and !#$%&'*+-.^_`|~"
        )
    return name.lower()


@lru_cache(maxsize=512)
def _on_the_wire(name: str) -> bytes:
    return name.lower().encode("utf-8")  # beyond Latin-1 it is no name that can come from there


@lru_cache(maxsize=512)
def _encoded_name(name: str) -> bytes:
    return name.encode("ascii")


@lru_cache(maxsize=512)
def _decoded(octets: bytes) -> str:
    return octets.decode("latin-1")


def _field_value(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the value of the header {name} is text, not {type(value).__name__}")
    value = value.strip(" \t")
    if not _VALUE.fullmatch(value):
        bad = next(character for character in value if not _VALUE.fullmatch(character))
        raise LocalProtocolError(
            f"the header {name} cannot hold {bad!r}: only tabs, spaces and printable Latin-1 can be sent"
        )
    return value

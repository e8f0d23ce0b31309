r"""Anything as text that is fit to be shown: bounded, harmless, and there whatever happens.

Rules of this file:

* A ``__str__`` or an iteration that fails is described, not raised: who asks is busy with another error.
* The work is bounded by what is shown, not by what there is; only an object's own ``__str__`` takes what it takes.
* Control characters, which could speak to a terminal, and lone surrogates, which have no UTF-8, are escaped: ``\x1b``.

Escaping for HTML or JSON is not done here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Set

__all__ = ["MAX_ITEMS", "MAX_TEXT", "Plain", "clip", "describe", "in_words", "plain"]

MAX_TEXT = 4000  # characters of one text
MAX_ITEMS = 500  # of all containers of one value together
MAX_DEPTH = 8  # containers in containers
MAX_KEY = 200  # characters of a name
_MAX_INT = 2**64
_MORE = "..."

# Not compiled here: that takes as long as importing the module, and there may never be an error to show.
_UNFIT = "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"


def clip(text: str, limit: int = MAX_TEXT) -> str:
    """`text`, harmless, and at most about `limit` characters of it."""
    end = f" ... ({len(text) - limit} more characters)" if len(text) > limit else ""
    return re.sub(_UNFIT, _escape, text[:limit]) + end


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def describe(value: object, limit: int = MAX_TEXT) -> str:
    """What ``str(value)`` says, clipped; or that it could not be asked."""
    try:
        return clip(str(value), limit)
    except Exception as exc:  # noqa: BLE001  # user code, whatever it raises
        return f"<{type(value).__name__} object; its text failed with {type(exc).__name__}>"


Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """`value` as what JSON can say, bounded; text, by `describe`, for what JSON does not know."""
    return _Walk().visit(value, MAX_DEPTH)


def in_words(value: Plain) -> str:
    """What `plain` made, as text: itself if it is text, JSON otherwise."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Walk:
    """One walk through a value; remembers how much may still be shown."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def visit(self, value: object, depth: int) -> Plain:
        # Exact types: a subclass, such as an Enum, has its own idea of how it looks.
        if value is None or type(value) is bool:
            return value
        if type(value) is int and abs(value) < _MAX_INT:
            return value
        if type(value) is float and math.isfinite(value):
            return value
        if isinstance(value, bytes | bytearray):
            return describe(bytes(value[:MAX_TEXT]))
        if type(value) is int:  # Python refuses to write a huge one in decimal
            return describe(hex(value))
        if isinstance(value, Mapping | list | tuple | Set):
            return self._visit_container(value, depth)
        return describe(value)

    def _visit_container(self, value: Mapping[object, object] | Iterable[object], depth: int) -> Plain:
        if depth == 0:
            return _MORE
        try:
            if isinstance(value, Mapping):
                return self._visit_mapping(value, depth - 1)
            return self._visit_items(value, depth - 1)
        except Exception as exc:  # noqa: BLE001  # user code, whatever it raises
            return f"<{type(value).__name__} object; reading it failed with {type(exc).__name__}>"

    def _visit_mapping(self, value: Mapping[object, object], depth: int) -> dict[str, Plain]:
        shown: dict[str, Plain] = {}
        for key, item in value.items():
            if self._left == 0:
                shown[_MORE] = _MORE
                break
            self._left -= 1
            shown[describe(key, MAX_KEY)] = self.visit(item, depth)
        return shown

    def _visit_items(self, value: Iterable[object], depth: int) -> list[Plain]:
        shown: list[Plain] = []
        for item in value:
            if self._left == 0:
                shown.append(_MORE)
                break
            self._left -= 1
            shown.append(self.visit(item, depth))
        return shown

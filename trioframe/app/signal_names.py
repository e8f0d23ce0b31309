"""Names of signals: three parts, `namespace.reference.action`, and which of them hear which event.

A part is a word, a parameter `<what>`, or `*`.  An *event* is a name of three words: it is what happens.  A name with
parameters or `*` is a *pattern*: it hears all events that agree with its words.

Rules of this file:

* A name is taken apart once, and then compared part by part.  No regular expression is made of what a user wrote.
* A message says what is wrong with a name, and what a right one looks like.

It must not know who listens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from .reserved import NAMESPACES, RESERVED

__all__ = ["NameIndex", "check_reserved", "is_backwards", "is_pattern", "match", "parameters", "split", "split_event"]

T = TypeVar("T")

Parts = tuple[str, ...]

_WORD = r"[A-Za-z_][A-Za-z0-9_-]*"
_PART = re.compile(rf"{_WORD}|<{_WORD}>|\*")


def split(name: str) -> Parts:
    """The three parts of a name.

    Raises:
      ValueError: it is none.
    """
    parts = tuple(name.split("."))
    if len(parts) != 3:
        raise ValueError(f"{name!r} is no name of a signal: it needs three parts, namespace.reference.action")
    for part in parts:
        if not _PART.fullmatch(part):
            raise ValueError(
                f"{name!r} is no name of a signal: {part!r} is neither a word (letters, digits, _ and -, not beginning "
                "with a digit or -), nor <parameter> without a type, nor *"
            )
    found = parameters(parts)
    if len(found) != len(set(found)):
        raise ValueError(f"{name!r} is no name of a signal: its parameters need different names")
    return parts


def split_event(event: str) -> Parts:
    """The three words of an event.

    Raises:
      ValueError: it is no name, or a pattern, or unknown in a namespace of the framework.
    """
    parts = split(event)
    if is_pattern(parts):
        raise ValueError(f"{event!r} is a pattern, and only what has a name of three words can happen")
    check_reserved(event, parts)
    return parts


def check_reserved(name: str, parts: Parts) -> None:
    """What is in a namespace of the framework has to be in its table.

    Raises:
      ValueError: it is not.
    """
    if parts[0] in NAMESPACES and name not in RESERVED:
        import difflib  # noqa: PLC0415 - most programs never mistype a name

        close = difflib.get_close_matches(name, RESERVED)
        hint = f"did you mean {' or '.join(close)}?" if close else "choose a namespace of your own"
        raise ValueError(f"there is no signal {name!r} in the namespace {parts[0]!r} of the framework: {hint}")


def is_pattern(parts: Parts) -> bool:
    """Whether it may hear several events."""
    return any(part[0] in "<*" for part in parts)


def parameters(parts: Parts) -> list[str]:
    """The names of its parameters."""
    return [part[1:-1] for part in parts if part[0] == "<"]


def match(pattern: Parts, event: Parts) -> dict[str, str] | None:
    """The parameters with which a name hears an event; None if it does not."""
    found: dict[str, str] = {}
    for part, word in zip(pattern, event, strict=True):
        if part[0] == "<":
            found[part[1:-1]] = word
        elif part not in (word, "*"):
            return None
    return found


def is_backwards(name: str) -> bool:
    """Whether receivers are called in the opposite order, as what ends is taken down in the order opposite to setup."""
    if name in RESERVED:
        return RESERVED[name].backwards
    return name.endswith((".after", ".exception"))


class NameIndex(Generic[T]):
    """Values under names, found by event.

    Raises:
      ValueError: one is no name.
    """

    def __init__(self, values: Mapping[str, T] = MappingProxyType({})) -> None:
        self.values: dict[str, T] = {}
        self._patterns: dict[str, Parts] = {}
        for name, value in values.items():
            self.add(name, value)

    def add(self, name: str, value: T) -> None:
        """Put a value under a name.

        Raises:
          ValueError: it is none.
        """
        parts = split(name)
        self.values[name] = value
        if is_pattern(parts):
            self._patterns[name] = parts

    def remove(self, name: str) -> None:
        """Forget what is there."""
        del self.values[name]
        self._patterns.pop(name, None)

    def find(self, event: str) -> list[tuple[T, Mapping[str, str]]]:
        """What hears an event: the value under its own name first, then the patterns; each with its parameters."""
        found: list[tuple[T, Mapping[str, str]]] = []
        if event in self.values:
            found.append((self.values[event], {}))
        words = tuple(event.split("."))
        for name, parts in self._patterns.items():
            arguments = match(parts, words)
            if arguments is not None:
                found.append((self.values[name], arguments))
        return found

    def heard_by(self, name: str) -> list[tuple[T, Mapping[str, str]]]:
        """The other way round: the values under the events that a name hears, each with the parameters it finds."""
        parts = split(name)
        if not is_pattern(parts):
            return [(self.values[name], {})] if name in self.values else []
        heard: list[tuple[T, Mapping[str, str]]] = []
        for event, value in self.values.items():
            if event not in self._patterns and (arguments := match(parts, tuple(event.split(".")))) is not None:
                heard.append((value, arguments))
        return heard

"""The types of parameters: which text of a path each one takes, and the value it becomes.

Rules of this file:

* A pattern sees one segment of a path, whole and percent-decoded: a slash in it was ``%2F``.  ``path`` sees several.
* Text that does not fit is no match, never an error: the next route is tried, and in the end the answer is 404.  A cast
  says "no match" by ValueError, as `int` does at the 4301st digit.
* What is built from a value for a URL is parsed again, so that what was built will match.
* Where several patterns stand at one place they are tried in this order: the application's own as registered, the
  built-in ones from the specific to the general, regular expressions as declared, and ``path``.

Nothing here protects a regular expression of the application from endless backtracking; what it can be given is bounded
by the longest request target the server takes.

A built-in type is made when the first URI names it: few programs need the modules and expressions of them all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from ..errors import Mistake

__all__ = ["MISMATCH", "Pattern", "Patterns"]

MISMATCH: Final = object()
"""What `Pattern.parse` gives for text that does not fit."""


class Pattern:
    """One type of parameter.

    Parameters:
      label: the type as it is written in a URI; within one application the same label is the same type.
      parse: from text to the value, or `MISMATCH`.
      text: from the value to text, for building URLs.
      order: patterns with a lower one are tried first.
    """

    __slots__ = ("label", "order", "parse", "text")

    def __init__(
        self,
        label: str,
        parse: Callable[[str], Any],
        text: Callable[[Any], str] = str,
        order: tuple[int, ...] = (),
    ) -> None:
        self.label = label
        self.parse = parse
        self.text = text
        self.order = order

    def build(self, value: Any) -> str:
        """The text of `value`; raises ValueError if this pattern would not take it back."""
        text = self.text(value)
        if self.parse(text) is MISMATCH:
            raise ValueError(f"{value!r} is not of type {self.label}")
        return text


def _matching(regex: str | re.Pattern[str], cast: Callable[[str], Any]) -> Callable[[str], Any]:
    fullmatch = re.compile(regex).fullmatch

    def parse(text: str) -> Any:
        if fullmatch(text) is None:
            return MISMATCH
        try:
            return cast(text)
        except ValueError:
            return MISMATCH

    return parse


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # 400 digits
        raise ValueError
    return value


def _plain(number: float | str) -> str:
    """A float without an exponent, which no URI type has: 1e-7 is 0.0000001."""
    if not isinstance(number, float):
        return str(number)
    from decimal import Decimal  # noqa: PLC0415 - only for URLs with a float in them

    return format(Decimal(str(number)), "f")


# The more specific type before the more general one: which is tried first where several stand at one place.
ORDER = ("uuid", "ymd", "int", "float", "alpha", "slug", "ext", "str", "strorempty")
OWN, BUILT_IN, REGEX, PATH = range(4)


def _built_in(label: str, parse: Callable[[str], Any], text: Callable[[Any], str] = str) -> Pattern:
    return Pattern(label, parse, text, (BUILT_IN, ORDER.index(label)))


def _uuid() -> Pattern:
    from uuid import UUID  # noqa: PLC0415 - only where a URI has the type

    return _built_in("uuid", _matching("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", UUID))


TYPES: Final[Mapping[str, Callable[[], Pattern]]] = {
    "uuid": _uuid,
    "ymd": lambda: _built_in("ymd", _matching("[0-9]{4}-[0-9]{2}-[0-9]{2}", date.fromisoformat)),
    "int": lambda: _built_in("int", _matching("-?[0-9]+", int)),
    "float": lambda: _built_in("float", _matching(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", _finite), _plain),
    "alpha": lambda: _built_in("alpha", _matching("[A-Za-z]+", str)),
    "slug": lambda: _built_in("slug", _matching("[a-z0-9]+(?:-[a-z0-9]+)*", str)),
    "str": lambda: _built_in("str", lambda text: text or MISMATCH),
    "strorempty": lambda: _built_in("strorempty", str),
    # Never empty; what a client says, so whoever joins it to a folder has to look at ".." and a leading slash.
    "path": lambda: Pattern("path", lambda text: text or MISMATCH, order=(PATH,)),
}


class Patterns:
    """The types that the URIs of one application may name: the built-in ones and its own."""

    def __init__(self) -> None:
        self._types = dict(TYPES)

    def register(self, label: str, cast: Callable[[str], Any], regex: str) -> None:
        """Add a type: ``<x:label>`` takes a segment that is `regex` from end to end, and gives ``cast(segment)``.

        Parameters:
          label: a new name.
          cast: may refuse with ValueError; then the segment does not match.  `str` of its value must be what `url_for`
            is to write.

        Raises:
          Mistake: the label is taken or is no name, the cast cannot be called, or the regular expression is wrong.
        """
        if not label.isidentifier():
            raise Mistake(f"a parameter type cannot be called {label!r}: letters, digits and _ make its name")
        if label in self._types or label == "ext":
            raise Mistake(f"there is a parameter type {label!r} already")
        if not callable(cast):
            raise Mistake(f"the cast of the parameter type {label!r} is {cast!r}, which cannot be called")
        pattern = Pattern(label, _matching(_compile(regex), cast), order=(OWN, len(self._types)))
        self._types[label] = lambda: pattern

    def typed(self, label: str) -> Pattern:
        """The type called `label`; raises `Mistake` if there is none."""
        if label not in self._types:
            from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistyped

            near = get_close_matches(label, [*self._types, "ext"], n=1)
            hint = f"did you mean {near[0]}?" if near else f"a regular expression is written ({label})"
            raise Mistake(f"there is no parameter type {label!r}; {hint}")
        return self._types[label]()

    def regex(self, regex: str, name: str) -> Pattern:
        """A regular expression for the parameter `name`.

        The value is the whole segment or, if the expression has a group called `name`, what that group took.  Raises
        `Mistake` if it is wrong, or has a group of another name.
        """
        compiled = _compile(regex)
        if strange := [group for group in compiled.groupindex if group != name]:
            raise Mistake(f"the group {strange[0]!r} in {regex!r} must be called {name!r}, like the parameter")
        value: int | str = name if compiled.groupindex else 0

        def parse(text: str) -> Any:
            match = compiled.fullmatch(text)
            return MISMATCH if match is None else match[value]

        return Pattern(regex, parse, order=(REGEX,))

    def file(self, stem: str, extensions: tuple[str, ...]) -> Pattern:
        """The name of a file: its value is a pair, the stem, of type `stem`, and the extension.

        Without `extensions` the extension is what follows the last dot: ASCII letters and digits.  Raises `Mistake`.
        """
        if stem in ("ext", "path"):
            raise Mistake(f"the stem of a file cannot be of type {stem!r}")
        inner = self.typed(stem)
        allowed = "|".join(map(re.escape, extensions))
        fullmatch = re.compile(rf"(.+?)\.({allowed})" if allowed else r"(.+)\.([0-9A-Za-z]+)", re.DOTALL).fullmatch

        def parse(text: str) -> Any:
            match = fullmatch(text)
            if match is None or (value := inner.parse(match[1])) is MISMATCH:
                return MISMATCH
            return value, match[2]

        def text(value: tuple[Any, str]) -> str:
            return f"{inner.build(value[0])}.{value[1]}"

        label = f"{stem}:ext={'|'.join(extensions)}"
        return Pattern(label, parse, text, (BUILT_IN, ORDER.index("ext"), *inner.order, not extensions))


def _compile(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except (re.error, OverflowError) as error:
        raise Mistake(f"{regex!r} is no regular expression: {error}") from error

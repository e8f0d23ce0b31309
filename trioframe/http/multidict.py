"""Names with one or more values, as query strings, forms and cookies have them.

Mostly one value is wanted, so the mapping itself has the first of each name; `getlist` has them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, overload

__all__ = ["MultiDict"]

V = TypeVar("V")
D = TypeVar("D")


class MultiDict(Generic[V]):
    """An immutable mapping of names to values, several per name.

    ``fields[name]`` is the first value and raises `KeyError` if there is none; ``fields.get(name)`` is the first value
    or None.  Iteration and `len` are over the different names.

    Parameters:
      pairs: names and values, in their order.
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, V]] = ()) -> None:
        self._values: dict[str, list[V]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> V:
        return self._values[name][0]

    @overload
    def get(self, name: str) -> V | None: ...
    @overload
    def get(self, name: str, default: D) -> V | D: ...
    def get(self, name: str, default: D | None = None) -> V | D | None:
        """The first value of `name`, or `default`."""
        values = self._values.get(name)
        return default if values is None else values[0]

    def getlist(self, name: str) -> list[V]:
        """All values of `name`; empty if there is none."""
        return list(self._values.get(name, ()))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Iterable[str]:
        """The different names."""
        return self._values.keys()

    def items(self) -> Iterator[tuple[str, V]]:
        """Every (name, value); the values of one name stand together."""
        return ((name, value) for name, values in self._values.items() for value in values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self) or 'empty'}>"

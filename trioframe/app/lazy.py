"""Attributes computed when they are first looked at, in classes with slots.

`functools.cached_property` needs a ``__dict__``; here the value goes to the slot of the same name behind an underscore.
An object pays nothing, not even an initialisation, for what nobody asks.

It is a `property`, as CPython gets to one of those sooner than to a descriptor that is written in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["lazy"]

T = TypeVar("T")

_EMPTY: Any = object()

if TYPE_CHECKING:
    lazy = property
else:

    def lazy(compute: Callable[[Any], T]) -> property:
        """Decorates a method of no arguments: its result is the attribute, kept in the slot ``_<name>``.

        If it raises, nothing is kept and the next look computes again.
        """
        slot = f"_{compute.__name__}"

        def get(instance: Any) -> T:
            value = getattr(instance, slot, _EMPTY)
            if value is _EMPTY:
                value = compute(instance)
                setattr(instance, slot, value)
            return value

        return property(get, doc=compute.__doc__)

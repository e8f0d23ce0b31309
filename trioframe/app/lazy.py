"""Attributes computed when they are first looked at, in classes with slots.

`functools.cached_property` needs a ``__dict__``; here the value goes to the slot of the same name behind an underscore.
An object pays nothing, not even an initialisation, for what nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["lazy"]

T = TypeVar("T")

_EMPTY: Any = object()


class lazy(Generic[T]):  # noqa: N801  # it is read as a decorator, as `property` is
    """Decorates a method of no arguments: its result is the attribute, kept in the slot ``_<name>``.

    If it raises, nothing is kept and the next look computes again.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.__doc__ = compute.__doc__
        self._compute = compute
        self._slot = f"_{compute.__name__}"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value: T = getattr(instance, self._slot, _EMPTY)
        if value is _EMPTY:
            value = self._compute(instance)
            setattr(instance, self._slot, value)
        return value

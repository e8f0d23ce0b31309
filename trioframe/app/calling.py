"""Calls what a user gave, async or not, and names it for messages.

Whether a callable is async cannot always be seen before it is called - it may be partial, decorated, an object - so
what comes back is looked at.  A callable that is not async runs right here, in the task of who calls it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .place import place_of

__all__ = ["call", "describe", "is_async"]


async def call(function: Callable[..., Any], *args: object, **context: object) -> Any:
    """What `function` returns; awaited, if it is something to await."""
    result = function(*args, **context)
    return await result if inspect.isawaitable(result) else result


def describe(function: Callable[..., Any]) -> str:
    """Its name, and the place in the user's code if it has one."""
    name = getattr(function, "__qualname__", None) or repr(function)
    place = place_of(function)
    return name if place is None else f"{name}, at {place}"


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await; sees through partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004

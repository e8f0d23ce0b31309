"""Where in the user's code something was defined: mistakes and plans name it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["place_of"]


def place_of(function: Callable[..., Any]) -> str | None:
    """ "file:line" of a function, behind its decorators and partials; None if it has none."""
    while (inner := getattr(function, "__wrapped__", None) or getattr(function, "func", None)) is not None:
        function = inner
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"

"""What is noted of one declaration, for those that have no file of their own as routes and middleware have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["DeclaredListener", "ExceptionHandler", "SignalReceiver"]


class ExceptionHandler(NamedTuple):
    """A declaration of `Declarations.exception`."""

    types: tuple[type[BaseException], ...]
    handler: Callable[..., Any]
    place: str | None


class SignalReceiver(NamedTuple):
    """A declaration of `Declarations.signal`."""

    name: str
    receiver: Callable[..., Any]
    condition: Mapping[str, Any] | None
    priority: int
    place: str | None


class DeclaredListener(NamedTuple):
    """A declaration of a listener.

    Parameters:
      moment: the name of the decorator.
    """

    moment: str
    function: Callable[..., Any]
    priority: int
    place: str | None

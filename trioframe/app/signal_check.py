"""What can be wrong with a subscription, found before anything is sent.

Rules of this file:

* Of a signal of the framework everything is known: its name and what it carries.  Of a signal of the user nothing is
  known but the parameters in its name, so a receiver is wrong only if no keyword could satisfy it.
* What a receiver names with a default may be missing, and is no mistake.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import Mistake
from .reserved import RESERVED
from .signal_keywords import Keywords
from .signal_names import check_reserved, split

__all__ = ["check"]


def check(name: str, receiver: Callable[..., Any], place: str | None) -> list[Mistake]:
    """The mistakes of one subscription.

    Parameters:
      name: of the signal, or a pattern.
      receiver: what is to be called, with keywords.
      place: "file:line" where that was declared.
    """
    try:
        check_reserved(name, split(name))
    except ValueError as exc:
        return [Mistake(str(exc), place)]
    what = f"the receiver of {name!r}"
    if not callable(receiver):
        return [Mistake(f"{what} is {receiver!r}, which cannot be called", place)]
    if inspect.isgeneratorfunction(receiver) or inspect.isasyncgenfunction(receiver):
        return [Mistake(f"{what} is a generator, and would never run: do not yield in it", place)]
    return [Mistake(f"{what} {fault}", place) for fault in _faults(name, Keywords.of(receiver))]


def _faults(name: str, keywords: Keywords) -> list[str]:
    faults = []
    if keywords.positional:
        faults.append(f"is called with keywords, and takes {_list(keywords.positional)} by position alone")
    if name in RESERVED:
        carried = RESERVED[name].context
        unknown = sorted(keywords.required - carried.keys())
        if unknown:
            faults.append(f"asks for {_list(unknown)}; this signal carries {_list(carried)}")
    return faults


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

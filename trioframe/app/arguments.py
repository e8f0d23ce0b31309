"""Arguments without which a declaration cannot even be noted: they are checked at once.

Rules of this file:

* They are a `TypeError`, as in any call that is wrong, and it says how the call is written.
* Whether a value is right is not looked at here: `compile_app` does that, and reports all mistakes together.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable

from .calling import describe

__all__ = ["each", "path", "priority", "refuse_bare", "refuse_unknown", "text", "texts"]


def refuse_bare(given: object, decorator: str, argument: str) -> None:
    """Raise if `decorator` stands bare, and so is given what it decorates in place of an argument.

    Parameters:
      given: its argument.
      argument: how one is written, for example.
    """
    if callable(given):
        bare = f"@app.{decorator} cannot stand bare, as on {describe(given)}"
        raise TypeError(f"{bare}: write @app.{decorator}({argument})")


def path(given: str, decorator: str = "") -> str:
    """The path that a route answers, perhaps given to a decorator."""
    if decorator:
        refuse_bare(given, decorator, '"/path"')
    return text("the path of a route", given)


def text(what: str, given: str) -> str:
    """What may be nothing but text."""
    if isinstance(given, str):
        return given
    raise TypeError(f"{what} is text, and not {given!r}")


def priority(given: int) -> int:
    """By what declarations of one kind are put into order."""
    if isinstance(given, int | float) and not math.isnan(given):
        return given
    raise TypeError(f"priority={given!r}: give a number, higher for earlier")


def each(name: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
    """A lone string is one of its kind, and no sequence of letters.  None is none."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Iterable) and not isinstance(given, bytes):
        return tuple(given)
    raise _neither(name, given)


def texts(name: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
    """As `each`, and they have to be text."""
    found = each(name, given)
    if all(isinstance(one, str) for one in found):
        return found
    raise _neither(name, given)


def _neither(name: str, given: object) -> TypeError:
    return TypeError(f"{name}={given!r}: give a str, or several in a list")


def refuse_unknown(unknown: Iterable[str], *declaring: Callable[..., object]) -> None:
    """Raise if there are `unknown` options; it says which of those that `declaring` takes was meant."""
    unknown = list(unknown)
    if not unknown:
        return
    import difflib  # noqa: PLC0415 - only for those who mistyped

    declared = [one for method in declaring for one in inspect.signature(method).parameters.values()]
    known = [one.name for one in declared if one.kind is one.KEYWORD_ONLY]
    shown = []
    for option in unknown:
        near = difflib.get_close_matches(option, known, n=1)
        shown.append(repr(option) + "".join(f" (did you mean {name!r}?)" for name in near))
    raise TypeError(f"a route has no option {', '.join(shown)}; your own facts begin with ctx_")

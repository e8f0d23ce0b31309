"""Where something was defined."""

from __future__ import annotations

import functools

from trioframe.app.place import place_of


def function() -> None: ...


LINE = function.__code__.co_firstlineno


class Class:
    def method(self) -> None: ...


def test_it_is_found_behind_what_wraps_it() -> None:
    @functools.wraps(function)
    def wrapper() -> None: ...

    here = f"{__file__}:{LINE}"
    assert place_of(function) == here
    assert place_of(wrapper) == here
    assert place_of(functools.partial(function)) == here
    method = place_of(Class().method)
    assert method is not None
    assert method.endswith(f":{LINE + 7}") or __file__ in method
    assert place_of(len) is None

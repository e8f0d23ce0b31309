"""What a receiver takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from trioframe.app.signal_keywords import Keywords


class Receiver:
    def method(self, a: int) -> None: ...

    def __call__(self, b: int) -> None: ...


def plain(a: int, b: int = 0, *, c: int, d: int = 0) -> None: ...


def others(a: int, *args: int, **rest: int) -> None: ...


def positional(a: int, b: int = 0, /, c: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("receiver", "names", "required", "by_position", "takes_others"),
    [
        (plain, "abcd", "ac", "", False),
        (others, "a", "a", "", True),
        (positional, "c", "", "a", False),
        (lambda: None, "", "", "", False),
        (Receiver().method, "a", "a", "", False),
        (Receiver(), "b", "b", "", False),
        (partial(plain, 1), "bcd", "c", "", False),
        (dict.update, "", "", "", True),  # has no signature
    ],
)
def test_keywords(
    receiver: Callable[..., Any], names: str, required: str, by_position: str, takes_others: bool
) -> None:
    expected = Keywords(frozenset(names), frozenset(required), tuple(by_position), takes_others)
    assert Keywords.of(receiver) == expected


def test_the_part_of_a_context_that_is_taken() -> None:
    context = {"a": 1, "b": 2}
    assert Keywords.of(others).choose(context) is context
    assert Keywords.of(plain).choose(context) is context
    assert Keywords.of(Receiver()).choose(context) == {"b": 2}
    assert Keywords.of(lambda: None).choose(context) == {}
    assert Keywords.of(Receiver()).choose({"a": 1}) == {}

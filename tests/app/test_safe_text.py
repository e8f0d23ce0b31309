"""Anything as text: bounded, harmless, and there whatever happens."""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioframe.app.safe_text import MAX_DEPTH, MAX_ITEMS, MAX_TEXT, clip, describe, in_words, plain


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


class BrokenMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise OSError("gone")

    def __len__(self) -> int:
        return 1


class Colour(enum.IntEnum):
    RED = 1

    def __str__(self) -> str:
        return "red"


def test_text_is_clipped_and_says_by_how_much() -> None:
    assert clip("x" * 10, 10) == "x" * 10
    assert clip("x" * 12, 10) == "x" * 10 + " ... (2 more characters)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc é €", "a\tb\nc é €"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\x00\x7f\x9b", "a\\x0d\\x00\\x7f\\x9b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_do_harm_is_escaped(text, shown) -> None:
    assert clip(text) == shown


def test_an_object_without_text_is_described() -> None:
    assert describe(Broken()) == "<Broken object; its text failed with ValueError>"
    assert describe(5) == "5"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        ("a", "a"),
        ({"a": [1, (2,)]}, {"a": [1, [2]]}),
        ({1: 2}, {"1": 2}),
        ({5}, [5]),
        (Decimal("1.5"), "1.5"),
        (Colour.RED, "red"),
        (float("nan"), "nan"),
        (2**64, "0x10000000000000000"),
        (b"a\xff", "b'a\\xff'"),
        (Broken(), "<Broken object; its text failed with ValueError>"),
        ({Broken(): 1}, {"<Broken object; its text failed with ValueError>": 1}),
        (BrokenMapping(), "<BrokenMapping object; reading it failed with OSError>"),
    ],
)
def test_values_as_json_can_say_them(value, shown) -> None:
    assert plain(value) == shown
    json.dumps(plain(value), allow_nan=False)


def test_in_words_is_json_but_for_text() -> None:
    assert in_words("a") == "a"
    assert in_words(["é", None]) == '["é", null]'


def test_containers_are_bounded_in_all() -> None:
    inner = list(range(MAX_ITEMS))
    assert plain([inner, inner]) == [[*range(MAX_ITEMS - 1), "..."], "..."]
    shown = plain(dict.fromkeys(range(MAX_ITEMS + 1)))
    assert isinstance(shown, dict)
    assert len(shown) == MAX_ITEMS + 1
    assert shown["..."] == "..."


def test_containers_are_bounded_in_depth_so_that_cycles_end() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert in_words(plain(cycle)) == "[" * MAX_DEPTH + '"..."' + "]" * MAX_DEPTH


@pytest.mark.parametrize(
    "value",
    [b"x" * 10**7, "x" * 10**7, 10**100_000, [[0] * 1000] * 100_000],
    ids=["bytes", "text", "number", "containers"],
)
def test_huge_values_cost_no_more_than_is_shown(value) -> None:
    began = time.process_time()
    assert len(in_words(plain(value))) < 25 * MAX_TEXT
    assert time.process_time() - began < 0.1


@settings(max_examples=50)
@given(st.lists(st.lists(st.text(st.characters()) | st.floats(), max_size=5), max_size=5))
def test_everything_shown_has_utf_8(value) -> None:
    in_words(plain(value)).encode()

"""What a declaration cannot be written down with is told in the line where it stands."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioframe.app import arguments


async def handler(request: object) -> str:
    return ""


class Declaring:
    def add(self, handler: object, *, timeout: float = 1, stream: bool = False) -> None: ...

    def more(self, uri: str, *, origins: object = None, **options: Any) -> None: ...


def test_a_decorator_that_stands_bare_is_told_how_to_stand() -> None:
    arguments.refuse_bare("/x", "get", '"/path"')
    with pytest.raises(
        TypeError, match=r'@app\.get cannot stand bare, as on handler, at .*: write @app\.get\("/path"\)$'
    ):
        arguments.refuse_bare(handler, "get", '"/path"')


def test_a_path() -> None:
    assert arguments.path("/x") == arguments.path("/x", "put") == "/x"
    with pytest.raises(TypeError, match=r"^@app\.put cannot stand bare"):
        arguments.path(handler, "put")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^the path of a route is text, and not <function handler"):
        arguments.path(handler)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^the path of a route is text, and not 5$"):
        arguments.path(5, "put")  # type: ignore[arg-type]


def test_one_or_several() -> None:
    for take in (arguments.each, arguments.texts):
        assert take("host", "abc") == ("abc",)
        assert take("host", iter(["a", "b"])) == ("a", "b")
        assert take("host", None) == take("host", []) == ()


@pytest.mark.parametrize("wrong", [5, b"abc", True])
def test_neither_one_nor_several(wrong: Any) -> None:
    for take in (arguments.each, arguments.texts):
        with pytest.raises(TypeError, match=f"^host={wrong!r}: give a str, or several in a list$"):
            take("host", wrong)


def test_several_that_are_no_texts() -> None:
    wrong: Any = ["a", 5]
    assert arguments.each("host", wrong) == ("a", 5)
    with pytest.raises(TypeError, match=r"^host=\['a', 5\]: give a str, or several in a list$"):
        arguments.texts("host", wrong)


def test_an_unknown_option_is_told_with_what_was_meant() -> None:
    arguments.refuse_unknown([], Declaring().add)
    with pytest.raises(TypeError) as caught:
        arguments.refuse_unknown(["tiemout", "role", "origin"], Declaring().add, Declaring().more)
    assert str(caught.value) == (
        "a route has no option 'tiemout' (did you mean 'timeout'?), 'role', 'origin' (did you mean 'origins'?); "
        "your own facts begin with ctx_"
    )


@pytest.mark.parametrize("wrong", ["1", None, math.nan, [1]])
def test_a_priority_is_a_number(wrong: Any) -> None:
    assert arguments.priority(-5) == -5
    with pytest.raises(TypeError, match=r"^priority=.*: give a number, higher for earlier$"):
        arguments.priority(wrong)

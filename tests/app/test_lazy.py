"""Attributes that are computed when they are first looked at, and kept in a slot."""

from __future__ import annotations

import pytest

from trioframe.app.lazy import lazy


class Lamp:
    __slots__ = ("_light", "looks")

    def __init__(self) -> None:
        self.looks = 0

    @lazy
    def light(self) -> str:
        """Whether it shines."""
        self.looks += 1
        if self.looks == 1:
            raise AttributeError("flickers")
        return "on"


def test_it_is_computed_once_and_not_kept_if_that_failed() -> None:
    lamp = Lamp()
    with pytest.raises(AttributeError, match="flickers"):
        _ = lamp.light
    assert [lamp.light, lamp.light, lamp.looks] == ["on", "on", 2]


def test_of_the_class_it_is_itself_with_its_documentation() -> None:
    assert Lamp.light.__doc__ == "Whether it shines."

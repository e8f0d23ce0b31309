"""What is wrong with the options of a route is told as the configuration tells it of its own."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioframe.app.route import Route
from trioframe.app.route_check import check_options

SECONDS = "a number of seconds above 0, or inf"
BYTES = "a whole number, 0 or more, or inf"
SWITCH = "True or False"

RIGHT: list[tuple[str, object]] = [
    ("version", 1),
    ("version", 1.5),
    ("version", "beta"),
    ("strict_slashes", True),
    ("stream", True),
    ("request_max_size", 0),
    ("request_max_size", math.inf),
    ("timeout", 0.5),
    ("timeout", math.inf),
    ("body_timeout", 3),
    ("on_disconnect", "ignore"),
    ("error_format", "json"),
]
WRONG: list[tuple[str, object, str]] = [
    ("version", True, "a number from 0, or text that is not empty"),
    ("version", "", "a number from 0, or text that is not empty"),
    ("version", -1, "a number from 0, or text that is not empty"),
    ("version", math.inf, "a number from 0, or text that is not empty"),
    ("version", math.nan, "a number from 0, or text that is not empty"),
    ("version", [1], "a number from 0, or text that is not empty"),
    ("strict_slashes", 1, SWITCH),
    ("stream", "yes", SWITCH),
    ("request_max_size", -3, BYTES),
    ("request_max_size", "x", BYTES),
    ("timeout", "a", SECONDS),
    ("timeout", 0, SECONDS),
    ("timeout", -1, SECONDS),
    ("timeout", math.nan, SECONDS),
    ("timeout", 10**400, SECONDS),
    ("body_timeout", True, SECONDS),
    ("on_disconnect", "Ignore", "one of cancel, ignore"),
    ("error_format", "zz", "one of auto, html, json, text"),
    ("error_format", ["html"], "one of auto, html, json, text"),
]


def complaints(**options: Any) -> list[str]:
    """What is wrong, without the place."""
    route = Route(uri="/x", methods=frozenset({"GET"}), name="x", handler=print, place="app.py:7", **options)
    mistakes = check_options(route)
    assert all(str(mistake) == f"app.py:7: {mistake.message}" for mistake in mistakes)
    return [mistake.message for mistake in mistakes]


@pytest.mark.parametrize(("name", "value"), [*RIGHT, *[(name, None) for name, _ in RIGHT]])
def test_what_an_option_takes(name: str, value: object) -> None:
    given: dict[str, Any] = {name: value}
    assert complaints(**given) == []


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_what_it_does_not_take(name: str, value: object, allowed: str) -> None:
    given: dict[str, Any] = {name: value}
    [complaint] = complaints(**given)
    assert complaint.endswith(f"; allowed is {allowed}")
    if name != "version":
        assert complaint.startswith(f"the route /x is wrong: {name} cannot be ")


def test_all_that_is_wrong_is_told() -> None:
    found = complaints(version=2, timeout="a", error_format="zz")
    assert found == [
        "the route /v2/x is wrong: timeout cannot be 'a'; allowed is a number of seconds above 0, or inf",
        "the route /v2/x is wrong: error_format cannot be 'zz'; allowed is one of auto, html, json, text",
    ]


def test_a_long_value_is_shown_in_short() -> None:
    [complaint] = complaints(timeout="a" * 1000)
    assert len(complaint) < 200

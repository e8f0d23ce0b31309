"""What is wrong with the declaration of a WebSocket is told with its place."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from trioframe import Deflate
from trioframe.app.route import Route, WebSocketOptions
from trioframe.app.websocket_check import check_websocket

SIZE = "a whole number, 1 or more, or inf"
SWITCH = "True or False"
TOKEN = "it has to be a token, of letters, digits and some signs"
WRONG: list[tuple[str, object, str]] = [
    ("max_size", 0, f"the route /x is wrong: max_size cannot be 0; allowed is {SIZE}"),
    ("max_size", math.nan, f"the route /x is wrong: max_size cannot be nan; allowed is {SIZE}"),
    ("max_size", True, f"the route /x is wrong: max_size cannot be True; allowed is {SIZE}"),
    ("max_size", "1", f"the route /x is wrong: max_size cannot be '1'; allowed is {SIZE}"),
    ("cancel_on_close", "no", f"the route /x is wrong: cancel_on_close cannot be 'no'; allowed is {SWITCH}"),
    ("send_only", 1, f"the route /x is wrong: send_only cannot be 1; allowed is {SWITCH}"),
    ("deflate", 9, "deflate=9 tells nothing about compression: give True, False or a Deflate"),
    ("subprotocols", ("v 1",), f"'v 1' cannot be a subprotocol: {TOKEN}"),
    ("subprotocols", (1,), f"1 cannot be a subprotocol: {TOKEN}"),
    ("origins", ("a",), "'a' is no origin: write scheme://host or scheme://host:port, without a path"),
    ("origins", (1,), "1 is no origin: write scheme://host or scheme://host:port, without a path"),
]


async def handle(request: Any, ws: Any) -> None: ...


async def generate(request: Any, ws: Any) -> AsyncIterator[str]:
    yield ""


def complaints(handler: Any = handle, **options: Any) -> list[str]:
    """What is wrong, without the place."""
    route = Route(uri="/x", methods=frozenset({"GET"}), name="x", handler=handler, place="app.py:7")
    mistakes = check_websocket(route, WebSocketOptions(**options))
    assert all(str(mistake) == f"app.py:7: {mistake.message}" for mistake in mistakes)
    return [mistake.message for mistake in mistakes]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_size": math.inf, "cancel_on_close": True, "send_only": True},
        {"max_size": 1e6, "deflate": None, "origins": ()},
        {"deflate": Deflate(level=9), "origins": ("https://a.example",), "subprotocols": ("v1", "v2.x")},
    ],
)
def test_what_a_websocket_takes(options: dict[str, object]) -> None:
    assert complaints(**options) == []


@pytest.mark.parametrize(("name", "value", "complaint"), WRONG)
def test_what_it_does_not_take(name: str, value: object, complaint: str) -> None:
    assert complaints(**{name: value}) == [complaint]


def test_its_handler_is_async() -> None:
    assert complaints(print) == ["the handler of the WebSocket at '/x' must be async"]
    assert complaints(generate) == []  # which the router's own check refuses, as of every route


def test_all_that_is_wrong_is_told() -> None:
    given: dict[str, Any] = {name: value for name, value, _ in reversed(WRONG)}
    assert len(complaints(print, **given)) == 1 + len(given)

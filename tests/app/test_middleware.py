"""The order in which a request meets what was declared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from trioframe.app.middleware import Around, Chain, Kind, Middleware, arrange, opened


def declared(kind: Kind, priority: int = 0) -> Middleware:
    return Middleware(kind, lambda *args: None, priority, "app.py:7", is_async=False)


async def generator(subject: list[str]) -> AsyncIterator[str]:
    subject.append("into")
    try:
        yield "entered"
    finally:
        subject.append("out of")


def test_nothing() -> None:
    chain = arrange([], [])
    assert not any(chain)
    assert not chain.nested


@pytest.mark.parametrize(("kind", "nested"), [("around", True), ("request", False), ("response", False)])
def test_priority_comes_first_for_every_kind(kind: Kind, nested: bool) -> None:
    low, none, high = (declared(kind, priority) for priority in (-1, 0, 1))
    others = [declared(other) for other in ("around", "request", "response") if other != kind]
    assert getattr(arrange([none, low, *others, high], []), kind) == (high, none, low)
    assert arrange([none], []).nested is nested


def test_with_equal_priority_the_way_back_is_that_there_backwards() -> None:
    there = [declared(kind, priority) for kind in ("around", "request") for priority in (0, 1, 0, 1)]
    back = [declared("response", priority) for priority in (0, 1, 0, 1)]
    chain = arrange([*back, *there], [])
    assert chain.around == (there[1], there[3], there[0], there[2])
    assert chain.request == (there[5], there[7], there[4], there[6])
    assert chain.response == (back[3], back[1], back[2], back[0])


def test_each_phase_has_its_own() -> None:
    handler, lifecycle, server = (Around(f"{name}", generator, None) for name in PHASES)
    chain = arrange([], [lifecycle, server, handler])
    assert chain == Chain((), (), (), lifecycle=(lifecycle,), handler=(handler,), request_calls=(), response_calls=())
    assert chain.nested
    assert arrange([], [server]).nested is False


PHASES = ("http.handler", "http.lifecycle", "server.lifecycle")


class Manager:
    """A context manager that is no generator."""

    def __init__(self, subject: list[str]) -> None:
        self._subject = subject

    async def __aenter__(self) -> str:
        self._subject.append("into")
        return "entered"

    async def __aexit__(self, *error: object) -> None:
        self._subject.append("out of")


@pytest.mark.parametrize("function", [generator, asynccontextmanager(generator), Manager])
async def test_what_stands_around_is_a_context_manager(function: Any) -> None:
    for enter in (Around("http.handler", function, None).enter, partial(opened, function)):
        subject: list[str] = []
        async with enter(subject) as entered:
            assert entered == "entered"
            assert subject == ["into"]
        assert subject == ["into", "out of"]


async def coroutine(subject: object) -> None: ...


@pytest.mark.parametrize("function", [coroutine, lambda subject: 7])
def test_what_gives_something_else_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match="has to be an async generator with one yield"):
        opened(function, None)


class Callable:
    """An object that is called, and is an async generator function then."""

    async def __call__(self, subject: list[str]) -> AsyncIterator[str]:
        yield "entered"


async def test_an_object_that_is_called() -> None:
    async with opened(Callable(), []) as entered:
        assert entered == "entered"

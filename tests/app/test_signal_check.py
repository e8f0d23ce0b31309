"""What is wrong with a subscription is told before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from trioframe.app.reserved import RESERVED
from trioframe.app.signal_check import check


def request_only(request: object) -> None: ...


def everything(**context: object) -> None: ...


def nothing() -> None: ...


def with_default(request: object, log: object = None) -> None: ...


def too_much(request: object, conn: object, respons: object) -> None: ...


def by_position(request: object, /) -> None: ...


def generator(request: object) -> Iterator[None]:
    yield


async def async_generator(request: object) -> AsyncIterator[None]:
    yield


def what(name: str, receiver: Any) -> str:
    """The mistakes, in one line each, without their place."""
    mistakes = check(name, receiver, "app.py:7")
    assert all(str(mistake) == f"app.py:7: {mistake.message}" for mistake in mistakes)
    return "\n".join(mistake.message for mistake in mistakes)


@pytest.mark.parametrize("receiver", [request_only, everything, nothing, with_default])
@pytest.mark.parametrize("name", ["http.handler.before", "user.order.done", "user.<what>.done", "user.*.*"])
def test_nothing_is_wrong(name: str, receiver: Callable[..., Any]) -> None:
    assert what(name, receiver) == ""


@pytest.mark.parametrize("name", RESERVED)
def test_what_a_signal_carries_can_be_asked_for(name: str) -> None:
    receiver = eval(f"lambda *, {', '.join(RESERVED[name].context)}: None")
    assert what(name, receiver) == ""


def test_names() -> None:
    assert "did you mean http.handler.before" in what("http.handler.befor", nothing)
    assert "no signal 'http.*.before'" in what("http.*.before", nothing)
    assert "three parts" in what("http", nothing)


def test_what_is_not_carried() -> None:
    told = what("http.lifecycle.response", too_much)
    assert "'http.lifecycle.response' asks for 'conn', 'respons'; this signal carries 'request', 'response'" in told
    assert what("user.order.done", too_much) == ""


@pytest.mark.parametrize("name", ["http.handler.before", "user.order.done"])
def test_what_cannot_be_called_with_keywords(name: str) -> None:
    assert what(name, by_position) == (
        f"the receiver of {name!r} is called with keywords, and takes 'request' by position alone"
    )


@pytest.mark.parametrize("receiver", [generator, async_generator])
def test_generators_would_never_run(receiver: Callable[..., Any]) -> None:
    assert "is a generator" in what("http.handler.before", receiver)


def test_what_cannot_be_called_at_all() -> None:
    assert "is 'print', which cannot be called" in what("user.order.done", "print")

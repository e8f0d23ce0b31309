"""Listeners are called in their order, and say who they are when they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trioframe.app.listeners import MOMENTS, Listener, Listeners
from trioframe.app.reserved import RESERVED

Subscribed = list[tuple[str, Listener, int]]


@pytest.fixture
def subscribed() -> Subscribed:
    return []


@pytest.fixture
def listeners(subscribed: Subscribed) -> Listeners:
    return Listeners(lambda *subscription: subscribed.append(subscription))


def recording(order: list[object], name: str) -> Callable[[object], None]:
    def listener(app: object) -> None:
        order.append((name, app))

    return listener


def test_every_signal_is_one() -> None:
    assert {signal for signal in MOMENTS.values() if signal is not None} < RESERVED.keys()


async def test_in_order_of_definition(listeners: Listeners) -> None:
    order: list[object] = []

    async def first(app: object) -> None:
        order.append(("first", app))

    listeners.declare("main_process_start", first)
    listeners.declare("main_process_start", recording(order, "second"))
    await listeners.run("main_process_start", "app")
    await listeners.run("main_process_ready", "app")
    assert order == [("first", "app"), ("second", "app")]


@pytest.mark.parametrize(("event", "expected"), [("main_process_ready", "CABD"), ("main_process_stop", "DBAC")])
async def test_high_priority_starts_first_and_stops_last(listeners: Listeners, event: str, expected: str) -> None:
    order: list[Any] = []
    for name, priority in (("A", 0), ("B", 0), ("C", 5), ("D", -1)):
        listeners.declare(event, recording(order, name), priority)
    await listeners.run(event, "app")
    assert "".join(name for name, _ in order) == expected


async def test_one_with_a_signal_is_subscribed_to_it(listeners: Listeners, subscribed: Subscribed) -> None:
    order: list[object] = []
    listeners.declare("after_server_stop", recording(order, "x"), priority=3)
    [(signal, listener, priority)] = subscribed
    assert (signal, priority) == ("server.shutdown.after", 3)
    await listener(app="app")
    assert order == [("x", "app")]
    with pytest.raises(ValueError, match=r"by the signal server\.shutdown\.after"):
        await listeners.run("after_server_stop", "app")


async def fail(app: object) -> None:
    raise ValueError("broken")


async def test_a_start_goes_no_further_than_what_fails(listeners: Listeners) -> None:
    order: list[object] = []
    for function in (recording(order, "a"), fail, recording(order, "b")):
        listeners.declare("main_process_start", function)
    with pytest.raises(ValueError, match="broken") as caught:
        await listeners.run("main_process_start", "app")
    [note] = caught.value.__notes__
    assert note == f"raised by a listener of main_process_start: fail, at {__file__}:{fail.__code__.co_firstlineno}"
    assert order == [("a", "app")]


async def test_stopping_goes_on(listeners: Listeners) -> None:
    order: list[object] = []
    for function in (recording(order, "a"), fail, recording(order, "b")):
        listeners.declare("main_process_stop", function)
    with pytest.raises(ValueError, match="broken"):
        await listeners.run("main_process_stop", "app")
    assert order == [("b", "app"), ("a", "app")]
    listeners.declare("main_process_stop", fail)
    with pytest.RaisesGroup(ValueError, ValueError, match="listeners of main_process_stop failed"):
        await listeners.run("main_process_stop", "app")

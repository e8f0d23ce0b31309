"""All signals of an app: made when asked for, found by event, and waited for."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from typing import Any

import blinker
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.app.reserved import RESERVED
from trioframe.app.signal_channel import EventChannel
from trioframe.app.signal_registry import Signals
from trioframe.app.signals import Signal


class App:
    """A sender."""


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def signals(changes: list[str]) -> Signals:
    return Signals(App(), on_change=changes.append)


# --- by name ----------------------------------------------------------------------------------------------------------


def test_a_signal_is_made_once(signals: Signals) -> None:
    signal = signals["user.order.done"]
    assert isinstance(signal, Signal)
    assert signal.name == "user.order.done"
    assert signals["user.order.done"] is signal
    assert signals.signal("user.order.done", "too late") is signal
    assert signals.signal("user.order.begun", "An order began.").__doc__ == "An order began."


def test_the_names_of_the_framework_exist(signals: Signals) -> None:
    assert list(signals) == list(RESERVED)
    assert len(signals) == len(RESERVED)
    assert "http.handler.before" in signals
    assert signals["http.handler.before"].__doc__ == RESERVED["http.handler.before"].when
    assert all(signals[name].backwards is row.backwards for name, row in RESERVED.items())


def test_those_of_the_user_do_when_they_are_made(signals: Signals) -> None:
    for name in ("user.order.done", "no name", 3, None):
        assert name not in signals
    assert signals.get("user.order.done") is None
    assert signals.get("user.order.done", 5) == 5
    signal = signals["user.order.done"]
    assert signals.get("user.order.done") is signal
    signals["http.handler.before"]
    assert list(signals) == [*RESERVED, "user.order.done"]
    assert signals["user.order.after"].backwards


def test_and_no_others_in_the_namespaces_of_the_framework(signals: Signals) -> None:
    with pytest.raises(KeyError, match=r"did you mean http\.handler\.before"):
        signals["http.handler.befor"]
    with pytest.raises(KeyError, match=r"no signal 'http\.<what>\.before'"):
        signals.signal("http.<what>.before")
    assert "http.handler.befor" not in signals


def test_bad_names(signals: Signals) -> None:
    with pytest.raises(ValueError, match="three parts"):
        signals["user.done"]


# --- matching ---------------------------------------------------------------------------------------------------------


def test_matching(signals: Signals) -> None:
    pattern, exact, other = signals["user.<what>.done"], signals["user.order.done"], signals["<x>.*.begun"]
    assert signals.matching("user.order.done") == ((exact, {}), (pattern, {"what": "order"}))
    assert signals.matching("user.order.begun") == ((other, {"x": "user"}),)
    late = signals["*.order.done"]
    assert signals.matching("user.order.done") == ((exact, {}), (pattern, {"what": "order"}), (late, {}))
    assert signals.matching("user.order.done") is signals.matching("user.order.done")


def test_an_event_of_the_framework_is_heard_under_its_name_alone(signals: Signals) -> None:
    signals["*.*.*"]
    assert signals.matching("http.handler.before") == ((signals["http.handler.before"], {}),)


def test_what_does_not_happen_has_no_matches(signals: Signals) -> None:
    for name in ("user.*.done", "http.handler.befor", "user"):
        with pytest.raises(ValueError, match=r"pattern|did you mean|three parts"):
            signals.matching(name)


# --- dispatch ---------------------------------------------------------------------------------------------------------


async def test_one_run_over_all_that_match(signals: Signals) -> None:
    heard: list[str] = []

    def noting(key: str) -> Callable[..., str]:
        def receiver() -> str:
            heard.append(key)
            return key

        return receiver

    signals["user.<what>.done"].subscribe(noting("pattern"))
    signals["user.order.done"].subscribe(noting("blueprint"), rank=1)
    signals["user.order.done"].subscribe(noting("exact"))
    signals["*.*.*"].subscribe(noting("high"), priority=1)
    signals["*.order.done"].subscribe(noting("muted"))
    signals["*.order.done"].is_muted = True
    results = await signals.dispatch("user.order.done")
    assert heard == [value for _, value in results] == ["high", "pattern", "exact", "blueprint"]


async def test_the_event_decides_about_the_order(signals: Signals) -> None:
    signals["user.*.*"].subscribe(lambda: "first")
    signals["user.order.after"].subscribe(lambda: "second")
    assert [value for _, value in await signals.dispatch("user.order.after")] == ["second", "first"]
    assert [value for _, value in await signals.dispatch("user.order.done")] == ["first"]


async def test_what_receivers_are_given(signals: Signals) -> None:
    app = signals._sender

    async def subscribed(what: str, number: int = 0) -> tuple[str, int]:
        return what, number

    signals["user.<what>.done"].subscribe(subscribed)
    connected = signals["user.<what>.done"].connect(lambda *args, **context: (args, context), app, weak=False)
    assert await signals.dispatch("user.order.done", {"number": 1, "what": "overridden"}) == [
        (subscribed, ("order", 1)),
        (connected, ((app,), {"number": 1, "what": "order"})),
    ]
    assert await signals.dispatch("user.order.done") == [
        (subscribed, ("order", 0)),
        (connected, ((app,), {"what": "order"})),
    ]


async def test_conditions(signals: Signals) -> None:
    receiver = signals["user.order.done"].subscribe(lambda: None, condition={"paid": True})
    assert await signals.dispatch("user.order.done") == []
    assert await signals.dispatch("user.order.done", None, {"paid": True, "x": 1}) == [(receiver, None)]


async def test_what_nobody_knows_is_no_error_and_leaves_nothing(signals: Signals) -> None:
    for number in range(5000):
        assert await signals.dispatch(f"user.order.n{number}") == []
    assert list(signals) == list(RESERVED)
    assert len(signals._audiences) <= 1024
    for name in ("http.handler.befor", "user.<what>.done", "user.*.done", "user"):
        with pytest.raises(ValueError, match=repr(name).replace("*", r"\*")):
            await signals.dispatch(name)


async def test_who_comes_and_goes(signals: Signals) -> None:
    async def count() -> int:
        return len(await signals.dispatch("user.order.done"))

    assert await count() == 0
    signal = signals["user.order.done"]
    receiver = signal.connect(lambda sender: None)
    assert await count() == 1
    other = signals["user.<what>.done"].subscribe(lambda: None)
    assert await count() == 2
    with signal.muted():
        assert await count() == 1
    signals["user.<what>.done"].disconnect(other)
    assert await count() == 1
    del receiver
    gc.collect()
    assert await count() == 0


async def test_a_library_that_knows_only_blinker(signals: Signals) -> None:
    def library(namespace: blinker.Namespace) -> blinker.Signal:
        return namespace.signal("user.order.done")

    heard: list[object] = []
    library(signals).connect(heard.append, weak=False)  # type: ignore[arg-type]
    library(signals).send("me")  # type: ignore[arg-type]
    assert heard == ["me"]


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_the_next_event(signals: Signals, nursery: trio.Nursery) -> None:
    got: list[tuple[str, dict[str, Any]]] = []

    async def wait(name: str, condition: dict[str, Any] | None = None) -> None:
        event = await signals.event(name, condition)
        got.append((event.name, event))

    for name in ("user.order.done", "user.*.*", "user.<what>.done", "other.order.done"):
        nursery.start_soon(wait, name)
    nursery.start_soon(wait, "user.order.done", {"paid": True})
    await wait_all_tasks_blocked()
    for number in range(2):
        await signals.dispatch("user.order.done", {"number": number})
    await wait_all_tasks_blocked()
    assert sorted(got, key=lambda each: len(each[1])) == [
        ("user.order.done", {"number": 0}),
        ("user.order.done", {"number": 0}),
        ("user.order.done", {"number": 0, "what": "order"}),
    ]
    got.clear()
    await signals.dispatch("user.order.done", {}, {"paid": True})
    await signals.dispatch("other.order.done")
    await wait_all_tasks_blocked()
    assert sorted(got) == [("other.order.done", {}), ("user.order.done", {})]
    assert list(signals) == list(RESERVED)
    assert signals._waiting.values == {}


async def test_a_loop_over_events_misses_none(signals: Signals, nursery: trio.Nursery) -> None:
    async def dispatch_many() -> None:
        for number in range(10):
            await signals.dispatch("user.order.done", {"number": number})
        await signals.dispatch("user.order.closed")

    got = []
    async with signals.events("user.*.*", max_buffer=2) as channel:
        assert isinstance(channel, trio.abc.ReceiveChannel)
        nursery.start_soon(dispatch_many)
        async for event in channel:
            if event.name == "user.order.closed":
                break
            await wait_all_tasks_blocked()
            got.append(event["number"])
    assert got == list(range(10))
    with pytest.raises(trio.ClosedResourceError):
        await channel.receive()


async def test_leaving_frees_who_waits_for_room(signals: Signals, nursery: trio.Nursery) -> None:
    heard = []
    signals["user.order.done"].subscribe(lambda number: heard.append(number))
    async with signals.events("user.*.*", max_buffer=1), signals.events("user.order.done", max_buffer=3):
        for number in range(3):
            nursery.start_soon(signals.dispatch, "user.order.done", {"number": number})
            await wait_all_tasks_blocked()
        assert heard == [0]
    await wait_all_tasks_blocked()
    assert sorted(heard) == [0, 1, 2]


async def test_a_dispatcher_cancelled_while_waiting_for_room(signals: Signals, autojump_clock: MockClock) -> None:
    async with signals.events("user.*.*", max_buffer=1) as channel:
        await signals.dispatch("user.order.done", {"number": 0})
        with trio.move_on_after(1) as scope:
            await signals.dispatch("user.order.done", {"number": 1})
        assert scope.cancelled_caught
        assert (await channel.receive())["number"] == 0
        await signals.dispatch("user.order.done", {"number": 2})
        assert (await channel.receive())["number"] == 2


async def test_cancelled_waiting_leaves_nothing(
    signals: Signals, changes: list[str], autojump_clock: MockClock
) -> None:
    with trio.move_on_after(1):
        await signals.event("http.*.before")
    assert signals._waiting.values == {}
    assert not any(signal.receivers for signal in signals.values())
    assert signals.hook("http.handler.before") is None
    assert sorted(changes) == sorted(["http.handler.before", "http.middleware.before", "http.routing.before"] * 2)


async def test_receivers_are_true_while_somebody_waits(signals: Signals) -> None:
    signal = signals["user.order.done"]
    pattern = signals["user.<what>.done"]
    for name in ("user.order.done", "user.*.*", "*.<what>.done"):
        async with signals.events(name), signals.events(name) as channel:
            assert signal.receivers
            assert not pattern.receivers
            signal.send(None, number=1)
            assert (await channel.receive())["number"] == 1
        assert not signal.receivers
    assert not any(each.receivers for each in signals.values())


async def test_a_signal_made_while_somebody_waits(signals: Signals) -> None:
    async with signals.events("user.<what>.done") as channel:
        assert signals["user.order.done"].receivers
        signals["user.order.done"].send(number=1)
        assert await channel.receive() == {"number": 1, "what": "order"}
        assert not signals["user.order.begun"].receivers
        assert not signals["user.*.done"].receivers
    assert not signals["user.order.done"].receivers


async def test_a_muted_signal_is_not_waited_for(signals: Signals) -> None:
    async with signals.events("user.*.done", max_buffer=0):
        with signals["user.order.done"].muted():
            assert await signals.dispatch("user.order.done") == []


@pytest.mark.parametrize("name", ["http.handler.befor", "http.*.nothing", "server.<what>.begin", "user.done"])
async def test_what_cannot_be_waited_for(signals: Signals, name: str) -> None:
    with pytest.raises(ValueError, match=r"there is no signal|three parts"):
        await signals.event(name)


async def test_a_buffer_has_a_size(signals: Signals) -> None:
    with pytest.raises(ValueError, match="cannot be -1"):
        async with signals.events("user.*.*", max_buffer=-1):
            pass
    assert signals._waiting.values == {}


# --- hooks ------------------------------------------------------------------------------------------------------------


async def request_only(request: object) -> None: ...


async def request_and_response(request: object, response: object) -> None: ...


def test_hooks_come_and_go(signals: Signals, changes: list[str]) -> None:
    signal = signals["http.handler.before"]
    assert signals.hook("http.handler.before") is None
    assert changes == []
    signal.subscribe(request_only)
    assert changes == ["http.handler.before"]
    hook = signals.hook("http.handler.before")
    assert hook is request_only
    signal.subscribe(request_only)
    assert signals.hook("http.handler.before") is not request_only
    with signal.muted():
        assert signals.hook("http.handler.before") is None
    signal.disconnect(request_only)
    assert signals.hook("http.handler.before") is None
    assert set(changes) == {"http.handler.before"}
    signals["user.order.done"].subscribe(request_only)
    assert set(changes) == {"http.handler.before"}


def test_hooks_by_condition(signals: Signals) -> None:
    signal = signals["http.middleware.before"]
    signal.subscribe(request_and_response, condition={"attach_to": "response"})
    assert signals.hook("http.middleware.before") is None
    assert signals.hook("http.middleware.before", {"attach_to": "request"}) is None
    assert signals.hook("http.middleware.before", {"attach_to": "response"}) is request_and_response


def test_only_the_framework_has_hooks(signals: Signals) -> None:
    for name in ("user.order.done", "http.handler.befor", "http.*.before"):
        with pytest.raises(ValueError, match="no event of the framework"):
            signals.hook(name)


async def test_a_hook_tells_those_who_wait(signals: Signals, changes: list[str]) -> None:
    async with signals.events("http.*.before", max_buffer=1) as channel:
        assert "http.handler.before" in changes
        changes.clear()
        hook = signals.hook("http.handler.before")
        assert hook is not None
        assert hook(request=1) is None
        pending = hook(request=2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: pending)
            for number in (1, 2):
                event = await channel.receive()
                assert (event.name, event) == ("http.handler.before", {"request": number})
    assert set(changes) == {"http.handler.before", "http.middleware.before", "http.routing.before"}
    assert signals.hook("http.handler.before") is None
    assert hook(request=3) is None


async def test_a_hook_that_reports(signals: Signals) -> None:
    reported: list[Exception] = []

    async def report(exc: Exception, request: object) -> None:
        reported.append(exc)

    error = ZeroDivisionError()

    def fail() -> None:
        raise error

    signals["http.lifecycle.complete"].subscribe(fail)
    hook = signals.hook("http.lifecycle.complete", report=report)
    assert hook is not None
    pending = hook(request=1, response=2, conn_info=3)
    assert inspect.isawaitable(pending)
    await pending
    assert reported == [error]


def test_a_change_can_ask_for_the_hook_at_once() -> None:
    hooks: list[object] = []
    registry = Signals(App(), on_change=lambda name: hooks.append(registry.hook(name)))
    registry["http.handler.before"].subscribe(request_only)
    receiver = registry["http.handler.before"].connect(lambda sender, request: None)
    del receiver
    gc.collect()
    registry["http.handler.before"].disconnect(request_only)
    assert hooks[0] is request_only
    assert hooks[1] is not None
    assert hooks[2] is request_only
    assert hooks[-1] is None


async def test_and_so_it_can_when_somebody_waits() -> None:
    hooks: list[object] = []
    registry = Signals(App(), on_change=lambda name: hooks.append(registry.hook(name)))
    async with registry.events("http.handler.before") as channel:
        assert isinstance(channel, EventChannel)
        assert hooks[-1] is not None
    assert hooks[-1] is None

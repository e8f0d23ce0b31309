"""What a Signal has beside what blinker promises: order, conditions, keywords, waiting, and news of changes."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioframe.app.signal_channel import EventChannel
from trioframe.app.signals import Signal


@pytest.fixture
def signal() -> Signal:
    return Signal(name="user.order.done")


@pytest.fixture
def order() -> list[str]:
    return []


def noting(order: list[str], key: str) -> Callable[..., None]:
    def receiver(sender: object = None, /, **_: object) -> None:
        order.append(key)

    return receiver


async def values(signal: Signal, context: Mapping[str, Any], condition: Mapping[str, Any] | None = None) -> list[Any]:
    return [value for _, value in await signal.dispatch("sender", context, condition)]


def test_repr(signal: Signal) -> None:
    assert repr(signal) == "<Signal 'user.order.done'>"


# --- keywords ---------------------------------------------------------------------------------------------------------


async def test_a_subscriber_gets_the_keywords_it_names(signal: Signal) -> None:
    def sync(user: str) -> str:
        return user

    async def everything(**context: str) -> dict[str, str]:
        return context

    for receiver in (sync, everything):
        assert signal.subscribe(receiver) is receiver
    results = await signal.dispatch("sender", {"user": "Ann", "order": "7"})
    assert results == [(sync, "Ann"), (everything, {"user": "Ann", "order": "7"})]


async def test_both_kinds_hear_dispatch(signal: Signal) -> None:
    @signal.connect
    async def connected(sender: str, user: str) -> tuple[str, str]:
        return sender, user

    subscribed = signal.subscribe(lambda user: user)
    assert await signal.dispatch("sender", {"user": "Ann"}) == [(connected, ("sender", "Ann")), (subscribed, "Ann")]


def test_both_kinds_hear_send(signal: Signal) -> None:
    @signal.connect
    def connected(sender: str, user: str) -> tuple[str, str]:
        return sender, user

    subscribed = signal.subscribe(lambda user: user)
    assert signal.send("sender", user="Ann") == [(connected, ("sender", "Ann")), (subscribed, "Ann")]
    assert signal.has_receivers_for("anybody")


async def test_both_kinds_hear_send_async(signal: Signal) -> None:
    class Subscribed:
        async def __call__(self, user: str) -> str:
            return user

    @signal.connect
    async def connected(sender: str, user: str) -> tuple[str, str]:
        return sender, user

    subscribed = signal.subscribe(Subscribed())
    assert await signal.send_async("sender", user="Ann") == [(connected, ("sender", "Ann")), (subscribed, "Ann")]
    with pytest.raises(RuntimeError, match="coroutine function"):
        signal.send("sender", user="Ann")


async def test_a_sync_subscriber_of_send_async(signal: Signal) -> None:
    signal.subscribe(lambda: None)
    with pytest.raises(RuntimeError, match="non-coroutine function"):
        await signal.send_async()


async def test_it_is_held(signal: Signal) -> None:
    signal.subscribe(lambda: 1)
    gc.collect()
    assert signal.receivers
    assert await values(signal, {}) == [1]


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
async def test_order_is_the_same_for_all_ways_to_send(order: list[str], backwards: bool) -> None:
    signal = Signal(backwards=backwards)
    signal.subscribe(noting(order, "blueprint"), rank=1)
    signal.connect(noting(order, "first"), weak=False)
    signal.subscribe(noting(order, "low"), priority=-1)
    signal.subscribe(noting(order, "high"), priority=1, rank=1)
    signal.connect(noting(order, "higher"), weak=False, priority=2)
    signal.subscribe(noting(order, "second"))
    expected = ["higher", "high", "first", "second", "blueprint", "low"]
    if backwards:
        expected.reverse()
    signal.send()
    assert order == expected
    order.clear()
    await signal.dispatch(None, {})
    assert order == expected
    order.clear()
    for receiver in signal.receivers_for(None):
        receiver(None)
    assert order == expected


async def test_the_latest_connection_decides_about_the_order(signal: Signal, order: list[str]) -> None:
    first, second = noting(order, "first"), noting(order, "second")
    signal.connect(first, priority=1)
    signal.connect(second)
    signal.send()
    signal.connect(second, 123, priority=2)
    signal.send()
    assert order == ["first", "second", "second", "first"]


# --- conditions -------------------------------------------------------------------------------------------------------


async def test_conditions(signal: Signal) -> None:
    signal.subscribe(lambda: "request", condition={"attach_to": "request"})
    signal.subscribe(lambda: "response", condition={"attach_to": "response"})
    signal.connect(lambda sender: "connected", weak=False, condition={"attach_to": "request"})
    signal.subscribe(lambda: "any")
    assert await values(signal, {}) == ["any"]
    assert await values(signal, {}, {"attach_to": "request", "x": 1}) == ["request", "connected", "any"]
    assert await values(signal, {}, {"attach_to": "response"}) == ["response", "any"]
    assert [value for _, value in signal.send()] == ["any"]


async def test_the_same_function_with_several_conditions(signal: Signal) -> None:
    def receiver() -> str:
        return "called"

    for number in (1, 2):
        signal.subscribe(receiver, condition={"number": number})
    assert await values(signal, {}, {"number": 1}) == ["called"]
    signal.subscribe(receiver)
    assert await values(signal, {}, {"number": 2}) == ["called", "called"]
    signal.disconnect(receiver)
    assert await values(signal, {}, {"number": 2}) == []
    assert not signal.receivers


# --- disconnecting ----------------------------------------------------------------------------------------------------


async def test_disconnect_ends_all_that_a_function_hears(signal: Signal) -> None:
    class Receiver:
        def both(self, sender: object = None) -> str:
            return "both"

        def other(self) -> str:
            return "other"

    receiver = Receiver()
    signal.subscribe(receiver.both)
    signal.connect(receiver.both)
    signal.subscribe(receiver.other)
    assert await values(signal, {}) == ["both", "both", "other"]
    signal.disconnect(receiver.both, "a sender")
    assert await values(signal, {}) == ["both", "both", "other"]
    signal.disconnect(receiver.both)
    assert await values(signal, {}) == ["other"]


async def test_changes_while_a_dispatch_runs(signal: Signal) -> None:
    def late() -> str:
        return "late"

    def early() -> str:
        signal.disconnect(middle)
        signal.subscribe(late)
        return "early"

    def middle() -> str:
        return "middle"

    signal.subscribe(early)
    signal.subscribe(middle)
    assert await values(signal, {}) == ["early", "middle"]
    assert await values(signal, {}) == ["early", "late"]


# --- failure and cancellation -----------------------------------------------------------------------------------------


async def test_an_exception_stops_the_rest(signal: Signal, order: list[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    signal.subscribe(noting(order, "before"))
    signal.subscribe(fail)
    signal.subscribe(noting(order, "behind"))
    with pytest.raises(ZeroDivisionError):
        await signal.dispatch(None, {})
    assert order == ["before"]


async def test_cancellation_stops_the_rest(signal: Signal, order: list[str], autojump_clock: MockClock) -> None:
    signal.subscribe(trio.sleep_forever)
    signal.subscribe(noting(order, "behind"))
    with trio.move_on_after(1) as scope:
        await signal.dispatch(None, {})
    assert scope.cancelled_caught
    assert order == []


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_whoever_waits_is_a_receiver_as_far_as_others_see(signal: Signal) -> None:
    channel = EventChannel(10)
    signal.admit(channel, {"what": "order"})
    assert signal.receivers
    assert signal.has_receivers_for(None)
    assert list(signal.receivers_for(None)) == []
    assert await signal.dispatch(None, {"by": "dispatch"}) == []
    assert signal.send(by="send") == []
    assert await signal.send_async(by="send_async") == []
    for way in ("dispatch", "send", "send_async"):
        event = await channel.receive()
        assert event.name == "user.order.done"
        assert event == {"by": way, "what": "order"}
    signal.release(channel)
    signal.release(channel)
    assert not signal.receivers


async def test_what_cannot_name_a_condition_does_not_fulfil_one(signal: Signal) -> None:
    channel = EventChannel(10, {"paid": True})
    signal.admit(channel, {})
    signal.send(by="send")
    await signal.send_async(by="send_async")
    await signal.dispatch(None, {"by": "dispatch"})
    await signal.dispatch(None, {"by": "the right one"}, {"paid": True})
    assert await channel.receive() == {"by": "the right one"}


async def test_he_hears_of_it_first(order: list[str]) -> None:
    signal = Signal(backwards=True)
    channel = EventChannel(1)
    signal.subscribe(lambda: order.append("told" if len(channel._buffer) else "not told"), priority=99)
    signal.admit(channel, {})
    await signal.dispatch(None, {})
    assert order == ["told"]


async def test_muted_nobody_hears(signal: Signal, order: list[str]) -> None:
    channel = EventChannel(0)
    signal.admit(channel, {})
    signal.subscribe(noting(order, "a"))
    with signal.muted():
        assert await signal.dispatch(None, {}) == []
        assert await signal.send_async() == []
        assert signal.send() == []
    assert order == []


# --- news of changes --------------------------------------------------------------------------------------------------


def test_every_change_is_told(signal: Signal) -> None:
    told: list[int] = []
    signal.changed = lambda: told.append(len(signal.audience.receivers))

    def news() -> list[int]:
        news = told.copy()
        told.clear()
        return news

    def receiver(sender: object = None) -> None: ...

    def other(sender: object) -> None: ...

    signal.connect(receiver)
    assert news() == [1]
    signal.subscribe(receiver)
    assert news() == [2]
    signal.connect(other, 123)
    assert news() == [3]
    signal.disconnect(other, 123)
    assert news() == [3]
    del other
    gc.collect()
    assert news() == [2]
    signal.disconnect(receiver)
    assert news() == [1, 0]
    with signal.muted():
        assert news() == [0]
    assert news() == [0]
    signal.is_muted = False
    assert news() == []
    signal._clear_state()
    assert news() == [0]


async def test_a_weak_receiver_is_not_held_by_the_snapshot(signal: Signal) -> None:
    def receiver(sender: object) -> str:
        return "called"

    signal.connect(receiver)
    assert await values(signal, {}) == ["called"]
    snapshot = signal.audience
    del receiver
    gc.collect()
    assert not signal.receivers
    assert signal.audience is not snapshot
    assert await values(signal, {}) == []


async def test_a_change_in_the_middle_of_a_snapshot(signal: Signal) -> None:
    """Somebody dies and somebody comes, just while the order is made."""
    dying: list[Any] = [lambda sender: "dying"]
    coming = threading.Thread(target=lambda: signal.subscribe(lambda: "new"))

    class Priority(int):
        def __neg__(self) -> Priority:
            return self

        def __lt__(self, other: int) -> bool:
            if dying:
                dying.clear()
                gc.collect()
                coming.start()
                coming.join()
            return False

    signal.connect(dying[0], priority=Priority(1))
    signal.subscribe(lambda: "stays", priority=Priority(2))
    assert await values(signal, {}) == ["stays"]
    assert dying == []
    assert sorted(await values(signal, {})) == ["new", "stays"]

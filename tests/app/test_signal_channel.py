"""A channel of events loses none, keeps their order, and lets nobody wait for one who has left."""

from __future__ import annotations

import math
from collections.abc import Awaitable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.app.signal_channel import Event, EventChannel


async def tell(channel: EventChannel, number: int) -> None:
    """Tell the channel of an event, and wait if it has no room."""
    pending = channel.hear("user.order.done", number=number)
    if pending is not None:
        await pending


async def test_an_event_is_its_context() -> None:
    event = Event("user.order.done", {"a": 1, "name": "Ann", "self": 2})
    assert event == {"a": 1, "name": "Ann", "self": 2}
    assert event.name == "user.order.done"
    assert event.context is event
    assert repr(event) == "<Event 'user.order.done' {'a': 1, 'name': 'Ann', 'self': 2}>"


async def test_what_is_in_the_buffer() -> None:
    channel = EventChannel(2)
    for number in range(2):
        assert channel.hear("user.order.done", number=number, name="Ann", self=0) is None
    event = await channel.receive()
    assert (event.name, event) == ("user.order.done", {"number": 0, "name": "Ann", "self": 0})
    assert (await channel.receive())["number"] == 1


async def test_receivers_wait_for_an_event(nursery: trio.Nursery) -> None:
    channel = EventChannel(1)
    got: list[int] = []

    async def receive() -> None:
        got.append((await channel.receive())["number"])

    for _ in range(3):
        nursery.start_soon(receive)
    await wait_all_tasks_blocked()
    for number in range(3):
        await tell(channel, number)
    await wait_all_tasks_blocked()
    assert sorted(got) == [0, 1, 2]


@pytest.mark.parametrize("max_buffer", [0, 1, 3])
async def test_who_finds_no_room_waits_and_keeps_his_place(nursery: trio.Nursery, max_buffer: int) -> None:
    channel = EventChannel(max_buffer)
    told: list[int] = []

    async def dispatch(number: int) -> None:
        await tell(channel, number)
        told.append(number)

    for number in range(6):
        nursery.start_soon(dispatch, number)
        await wait_all_tasks_blocked()
    assert told == list(range(max_buffer))
    for number in range(6):
        assert (await channel.receive())["number"] == number
        await wait_all_tasks_blocked()
        assert told == list(range(min(6, max_buffer + number + 1)))


async def test_without_a_buffer_a_waiting_receiver_takes_it(nursery: trio.Nursery) -> None:
    channel = EventChannel(0)
    nursery.start_soon(channel.receive)
    await wait_all_tasks_blocked()
    await tell(channel, 1)


async def test_one_who_cannot_wait_keeps_the_order(nursery: trio.Nursery) -> None:
    channel = EventChannel(1)
    for number in range(3):
        nursery.start_soon(tell, channel, number)
        await wait_all_tasks_blocked()
    channel.put("user.order.done", {"number": 3})
    assert [(await channel.receive())["number"] for _ in range(4)] == [0, 1, 2, 3]
    for number in range(3):
        channel.put("user.order.done", {"number": number})
    assert [(await channel.receive())["number"] for _ in range(3)] == [0, 1, 2]


async def test_cancelled_while_waiting_for_room(autojump_clock: MockClock) -> None:
    channel = EventChannel(1)
    await tell(channel, 0)
    with trio.move_on_after(1) as scope:
        await tell(channel, 1)
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell, channel, 2)
        assert [(await channel.receive())["number"] for _ in range(2)] == [0, 2]


async def test_cancelled_while_waiting_for_an_event(autojump_clock: MockClock) -> None:
    channel = EventChannel(1)
    with trio.move_on_after(1) as scope:
        await channel.receive()
    assert scope.cancelled_caught
    await tell(channel, 0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.receive()
    assert scope.cancelled_caught
    assert (await channel.receive())["number"] == 0


async def test_closing_frees_everybody() -> None:
    channel = EventChannel(0)

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError, match="has ended"):
            await channel.receive()

    async with trio.open_nursery() as readers:
        readers.start_soon(receive)
        readers.start_soon(receive)
        await wait_all_tasks_blocked()
        await channel.aclose()
    channel = EventChannel(1)
    async with trio.open_nursery() as writers:
        for number in range(3):
            writers.start_soon(tell, channel, number)
        await wait_all_tasks_blocked()
        channel.put("user.order.done", {})
        await channel.aclose()
    await receive()


async def test_conditions() -> None:
    channel = EventChannel(1, {"paid": True})
    assert channel.link("user.order.done").condition == {"paid": True}
    channel.put("user.order.done", {"number": 1})
    channel.hear("user.order.done", number=2)
    assert (await channel.receive())["number"] == 2


async def test_closed_it_hears_nothing() -> None:
    for max_buffer in (0, math.inf):
        channel = EventChannel(max_buffer)
        await channel.aclose()
        await channel.aclose()
        await tell(channel, 1)
        channel.put("user.order.done", {})
        with pytest.raises(trio.ClosedResourceError):
            await channel.receive()


async def late(channel: EventChannel) -> Awaitable[None]:
    """What a full channel gives to be awaited."""
    await tell(channel, 0)
    pending = channel.hear("user.order.done", number=1)
    assert pending is not None
    return pending


async def test_room_that_was_made_before_anybody_waited() -> None:
    channel = EventChannel(1)
    pending = await late(channel)
    await channel.receive()
    await pending
    assert (await channel.receive())["number"] == 1


async def test_closed_before_anybody_waited() -> None:
    channel = EventChannel(1)
    pending = await late(channel)
    await channel.aclose()
    await pending


async def test_leaving_a_loop() -> None:
    channel = EventChannel(2)
    await tell(channel, 0)
    await tell(channel, 1)
    async for event in channel:
        assert event["number"] == 0
        break
    assert (await channel.receive())["number"] == 1


def test_a_buffer_has_a_size() -> None:
    with pytest.raises(ValueError, match="cannot be -1"):
        EventChannel(-1)

"""Something is done before an awaitable waits, and only then; whatever is awaited behaves as if awaited plainly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe.app.before_waiting import begin


async def doing_before_waiting(action: Callable[[], object], awaitable: Awaitable[Any]) -> Any:
    begun = begin(awaitable)
    if isinstance(begun, tuple):
        return begun[0]
    action()
    return await begun


class Record:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def at_once(value: object) -> object:
    return value


async def waiting(turns: int, value: object) -> object:
    for _ in range(turns):
        await trio.lowlevel.checkpoint()
    return value


async def test_what_does_not_wait_is_just_awaited() -> None:
    record = Record()
    assert await doing_before_waiting(record, at_once(5)) == 5
    assert record.times == 0


@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_it_is_done_once_however_often_it_waits(turns: int) -> None:
    record = Record()
    assert await doing_before_waiting(record, waiting(turns, "x")) == "x"
    assert record.times == 1


async def test_it_is_done_before_anybody_else_has_a_turn(nursery: trio.Nursery) -> None:
    order: list[str] = []
    event = trio.Event()

    async def other() -> None:
        order.append("other")
        event.set()

    nursery.start_soon(other)
    await doing_before_waiting(lambda: order.append("action"), event.wait())
    assert order == ["action", "other"]


async def test_what_is_raised_is_raised() -> None:
    async def fail(turns: int) -> None:
        await waiting(turns, None)
        raise ValueError("x")

    for turns in (0, 2):
        with pytest.raises(ValueError, match="x"):
            await doing_before_waiting(Record(), fail(turns))


async def test_the_end_of_an_iterator_goes_through() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        await trio.lowlevel.checkpoint()
        yield 2
        await trio.lowlevel.checkpoint()

    record, iterator, seen = Record(), numbers(), []
    with pytest.raises(StopAsyncIteration):
        while True:
            seen.append(await doing_before_waiting(record, anext(iterator)))
    assert seen == [1, 2]
    assert record.times == 2


async def test_a_cancellation_reaches_what_waits_and_it_may_go_on(nursery: trio.Nursery) -> None:
    steps: list[str] = []

    async def careful() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            steps.append("cancelled")
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            steps.append("cleaned up")
            raise
        return "never"

    record = Record()
    with trio.CancelScope() as scope:
        nursery.start_soon(cancel_soon, scope)
        await doing_before_waiting(record, careful())
    assert scope.cancelled_caught
    assert steps == ["cancelled", "cleaned up"]
    assert record.times == 1


async def cancel_soon(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_a_receive_channel() -> None:
    send, receive = trio.open_memory_channel[int](1)
    record = Record()
    send.send_nowait(7)
    assert await doing_before_waiting(record, anext(receive)) == 7
    await send.aclose()
    with pytest.raises(StopAsyncIteration):
        await doing_before_waiting(record, anext(receive))

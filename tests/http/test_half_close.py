"""A client that has half-closed: what counts as waiting, and the moment that its handler has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.errors import CancelReason
from trioframe.http.half_close import HALF_CLOSE_GRACE, Ebb, is_waiting
from trioframe.http.lifetime import Lifetime

# --- what counts as waiting -------------------------------------------------------------------------------------------


async def is_found_waiting(fn: Callable[[], Awaitable[object]]) -> bool:
    """Whether a task waits that does nothing but call `fn`."""
    tasks: list[trio.lowlevel.Task] = []
    enough = trio.Event()

    async def run() -> None:
        tasks.append(trio.lowlevel.current_task())
        while not enough.is_set():
            await fn()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for _ in range(5):  # so that it is under way
            await trio.lowlevel.cancel_shielded_checkpoint()
        found = is_waiting(tasks[0])
        enough.set()
        nursery.cancel_scope.cancel()
    return found


async def for_an_event() -> None:
    await trio.Event().wait()


async def for_another_task() -> None:
    send, receive = trio.open_memory_channel[int](0)
    async with send, receive:
        await receive.receive()


async def for_room() -> None:
    send, receive = trio.open_memory_channel[int](0)
    async with send, receive:
        await send.send(1)


async def for_a_permit() -> None:
    await trio.Semaphore(0).acquire()


async def for_a_while() -> None:
    await trio.sleep(1)


async def for_its_children() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)


async def for_a_piece() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        await trio.sleep_forever()
        yield b""

    async for _ in pieces():
        pass


async def checkpoint() -> None:
    await trio.Event().wait()


@pytest.mark.parametrize(
    "waiting",
    [
        for_an_event,
        for_another_task,
        for_room,
        for_a_permit,
        for_a_while,
        for_its_children,
        for_a_piece,
        trio.sleep_forever,
        checkpoint,  # a name that anybody may use
    ],
)
async def test_who_waits(waiting: Callable[[], Awaitable[object]]) -> None:
    assert await is_found_waiting(waiting)


async def sleep_0() -> None:
    await trio.sleep(0)  # noqa: ASYNC115 - also who writes it like this


async def send_where_there_is_room() -> None:
    send, receive = trio.open_memory_channel[int](1)
    async with send, receive:
        await send.send(1)


async def step_of_a_generator() -> None:
    async def steps() -> AsyncIterator[bytes]:
        await trio.lowlevel.checkpoint()
        yield b""

    async for _ in steps():
        pass


@pytest.mark.parametrize(
    "turn",
    [
        trio.lowlevel.checkpoint,
        trio.lowlevel.cancel_shielded_checkpoint,
        sleep_0,
        send_where_there_is_room,
        step_of_a_generator,
    ],
)
async def test_who_only_lets_others_have_their_turn_does_not(turn: Callable[[], Awaitable[object]]) -> None:
    assert not await is_found_waiting(turn)


# --- the moment -------------------------------------------------------------------------------------------------------


class Request:
    """A lifetime, as far as the moment sees of it."""

    def __init__(self) -> None:
        self.on_disconnect: Literal["cancel", "ignore"] = "cancel"
        self.is_waiting = True
        self.cancelled: list[tuple[float, CancelReason]] = []

    def waits(self) -> bool:
        return self.is_waiting

    def cancel(self, reason: CancelReason) -> None:
        self.cancelled.append((round(trio.current_time(), 6), reason))


class Begun:
    """A moment that has begun, at 0; `over` is set when its task has ended."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.request = Request()
        self.ebb = Ebb(cast("Lifetime", self.request))
        self.over = trio.Event()
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        await self.ebb.run()
        self.over.set()

    async def is_over(self) -> bool:
        await wait_all_tasks_blocked()
        return self.over.is_set()


@pytest.fixture
async def begun(nursery: trio.Nursery) -> Begun:
    return Begun(nursery)


async def test_when_it_is_over_a_handler_that_waits_is_cancelled(begun: Begun, autojump_clock: MockClock) -> None:
    await begun.over.wait()
    assert begun.request.cancelled == [(HALF_CLOSE_GRACE, "disconnect")]


async def test_a_handler_at_work_has_another_one(begun: Begun, autojump_clock: MockClock) -> None:
    begun.request.is_waiting = False
    await trio.sleep(2.5 * HALF_CLOSE_GRACE)
    begun.request.is_waiting = True
    await begun.over.wait()
    assert begun.request.cancelled == [(3 * HALF_CLOSE_GRACE, "disconnect")]


async def test_held_it_does_not_end(begun: Begun, autojump_clock: MockClock) -> None:
    begun.ebb.hold()
    await trio.sleep(1000)
    assert not begun.over.is_set()
    begun.ebb.restart()
    await begun.over.wait()
    assert begun.request.cancelled == [(1000 + HALF_CLOSE_GRACE, "disconnect")]


async def test_held_before_its_task_has_begun(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    begun = Begun(nursery)
    begun.ebb.hold()
    await trio.sleep(1)
    assert begun.request.cancelled == []


async def test_held_in_the_very_moment_it_ends(begun: Begun, autojump_clock: MockClock) -> None:
    await wait_all_tasks_blocked()
    begun.ebb._scope.cancel()  # as Trio does when its time has come
    begun.ebb.hold()
    await trio.sleep(1)
    assert begun.request.cancelled == []
    begun.ebb.restart()
    await begun.over.wait()
    assert begun.request.cancelled == [(1 + HALF_CLOSE_GRACE, "disconnect")]


async def test_each_restart_begins_it_anew(begun: Begun, autojump_clock: MockClock) -> None:
    for _ in range(5):
        await trio.sleep(0.8 * HALF_CLOSE_GRACE)
        begun.ebb.restart()
    await begun.over.wait()
    assert begun.request.cancelled == [(5 * HALF_CLOSE_GRACE, "disconnect")]


async def test_restarted_in_the_very_moment_it_ends(begun: Begun, autojump_clock: MockClock) -> None:
    await wait_all_tasks_blocked()
    begun.ebb._scope.cancel()  # as Trio does when its time has come
    begun.ebb.restart()
    assert not await begun.is_over()
    await begun.over.wait()
    assert begun.request.cancelled == [(HALF_CLOSE_GRACE, "disconnect")]


@pytest.mark.parametrize("held", [False, True])
async def test_stopped_it_cancels_nothing(begun: Begun, autojump_clock: MockClock, held: bool) -> None:
    await wait_all_tasks_blocked()
    if held:
        begun.ebb.hold()
    begun.ebb.stop()
    assert await begun.is_over()
    assert begun.request.cancelled == []
    assert trio.current_time() == 0


async def test_stopped_before_its_task_has_begun(begun: Begun, autojump_clock: MockClock) -> None:
    begun.ebb.stop()
    assert await begun.is_over()
    assert begun.request.cancelled == []


async def test_a_handler_that_ignores_it_is_left_alone(begun: Begun, autojump_clock: MockClock) -> None:
    begun.request.on_disconnect = "ignore"
    await begun.over.wait()
    assert begun.request.cancelled == []

"""Alarms ring when their deadline has passed, and moving that deadline away costs nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioframe.http.alarm import Alarm, Alarms


@asynccontextmanager
async def running() -> AsyncIterator[Alarms]:
    alarms = Alarms()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.run)
        yield alarms
        alarms.stop()


class Bell:
    """An alarm, and when it rang."""

    def __init__(self, alarms: Alarms, deadline: float = math.inf) -> None:
        self.rang: list[float] = []
        self.alarm: Alarm = alarms.alarm(lambda: self.rang.append(trio.current_time()))
        self.alarm.deadline = deadline


async def test_it_rings_once_and_on_time(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms, 3)
        await trio.sleep(10)
    assert bell.rang == [3]
    assert bell.alarm.deadline == math.inf


async def test_without_a_deadline_it_does_not_ring(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms)
        await trio.sleep(1000)
    assert bell.rang == []


async def test_each_at_its_own_time(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bells = [Bell(alarms, deadline) for deadline in (5, 2, 9, 2)]
        await trio.sleep(10)
    assert [bell.rang for bell in bells] == [[5], [2], [9], [2]]


async def test_a_deadline_that_moves_away_counts(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms, 3)
        for now in range(10):
            bell.alarm.deadline = now + 3
            await trio.sleep(1)
        bell.alarm.deadline = math.inf
        await trio.sleep(100)
        assert bell.rang == []
        bell.alarm.deadline = trio.current_time() + 1
        await trio.sleep(100)
    assert bell.rang == [111]


async def test_and_one_that_comes_nearer(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms, 100)
        await trio.sleep(1)
        bell.alarm.deadline = 2
        await trio.sleep(200)
    assert bell.rang == [2]


async def test_one_that_has_passed_rings_at_once(autojump_clock: MockClock) -> None:
    await trio.sleep(10)
    async with running() as alarms:
        bell = Bell(alarms, 3)
        await trio.testing.wait_all_tasks_blocked()
        assert bell.rang == [10]


async def test_it_may_be_set_again_while_it_rings(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        rang = []

        def ring() -> None:
            rang.append(trio.current_time())
            alarm.deadline = trio.current_time() + 2

        alarm = alarms.alarm(ring)
        alarm.deadline = 1
        await trio.sleep(6)
        alarm.stop()
    assert rang == [1, 3, 5]


async def test_a_stopped_alarm_is_silent_and_holds_nothing(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms, 3)
        bell.alarm.stop()
        bell.alarm.stop()
        await trio.sleep(10)
    assert bell.rang == []


async def test_what_was_set_before_it_runs_rings(autojump_clock: MockClock) -> None:
    alarms = Alarms()
    bell = Bell(alarms, 3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.run)
        await trio.sleep(5)
        alarms.stop()
    assert bell.rang == [3]


async def test_cancellation_does_not_end_it(autojump_clock: MockClock) -> None:
    alarms = Alarms()
    bell = Bell(alarms, 3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.run)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        alarms.stop()
    assert bell.rang == [3]


async def test_a_deadline_that_only_moves_away_is_queued_once(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        bell = Bell(alarms, 60)
        for number in range(10_000):
            bell.alarm.deadline = 60 + number
        assert len(alarms._heap) == 1


async def test_what_ended_connections_leave_behind_is_cleared_away(autojump_clock: MockClock) -> None:
    async with running() as alarms:
        lasting = [Bell(alarms, 50) for _ in range(10)]
        for _ in range(10_000):
            Bell(alarms, 75).alarm.stop()
            assert len(alarms._heap) < 200
        await trio.sleep(100)
    assert all(bell.rang == [50] for bell in lasting)


actions = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1, 2, 3, 5, 8, math.inf, -1])), max_size=60)


@given(actions)
def test_whatever_is_done_each_rings_when_its_last_deadline_has_passed(actions: list[tuple[int, float]]) -> None:
    """Against the plainest model: a deadline for each, looked at after every second.  -1 lets a second pass."""

    async def main() -> None:
        async with running() as alarms:
            bells = [Bell(alarms) for _ in range(5)]
            deadlines, expected = [math.inf] * 5, [[] for _ in range(5)]  # type: ignore[var-annotated]
            for index, seconds in [*actions, *[(0, -1)] * 10]:
                if seconds != -1:
                    deadlines[index] = bells[index].alarm.deadline = trio.current_time() + seconds
                else:
                    await trio.sleep(1)
                await trio.testing.wait_all_tasks_blocked()
                for number, deadline in enumerate(deadlines):
                    if deadline <= trio.current_time():
                        expected[number].append(deadline)
                        deadlines[number] = math.inf
            assert [bell.rang for bell in bells] == expected

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("number", [1, 1000])
async def test_one_task_for_any_number(autojump_clock: MockClock, number: int) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with running() as alarms:
        bells = [Bell(alarms, 1) for _ in range(number)]
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
        await trio.sleep(2)
    assert all(bell.rang == [1] for bell in bells)


async def test_one_that_fails_is_logged_and_the_others_ring_on(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It would end the server, with all its connections."""

    def fail() -> None:
        raise ValueError("out of order")

    async with running() as alarms:
        alarms.alarm(fail).deadline = 1
        bells = [Bell(alarms, 1), Bell(alarms, 2)]
        await trio.sleep(3)
    assert [bell.rang for bell in bells] == [[1], [2]]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["out of order"]

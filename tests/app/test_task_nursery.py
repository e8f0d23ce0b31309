"""A nursery whose children harm nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from reported import Reported, fail_when_cancelled
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.app.report import Reporter
from trioframe.app.task_nursery import TaskNursery


@pytest.fixture
def reported() -> Reported:
    return Reported()


@pytest.fixture
def front(reported: Reported) -> TaskNursery:
    return TaskNursery("app.nursery", Reporter("app", reported))


@asynccontextmanager
async def opened(front: TaskNursery, *, within: float = 0, grace: float = 1) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        yield
        await front.close(within=within, grace=grace)


async def fail(error: BaseException) -> None:
    raise error


async def shielded(seconds: float) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)


async def test_what_a_child_raises_is_reported_and_the_others_go_on(front: TaskNursery, reported: Reported) -> None:
    error = ValueError()
    async with opened(front):
        front.start_soon(trio.sleep_forever, name="sleeper")
        front.start_soon(fail, error)
        await wait_all_tasks_blocked()
        assert [task.name for task in front.child_tasks] == ["sleeper"]
        assert reported.errors == [error]
    assert front.child_tasks == frozenset()


async def test_children_are_named_as_in_any_nursery(front: TaskNursery) -> None:
    async with opened(front):
        front.start_soon(partial(trio.sleep, 9))
        await wait_all_tasks_blocked()
        assert [task.name for task in front.child_tasks] == ["trio.sleep"]


async def test_start(front: TaskNursery, reported: Reported) -> None:
    error = ValueError()

    async def service(value: str, *, task_status: trio.TaskStatus[str]) -> None:
        task_status.started(value)
        raise error

    async with opened(front):
        assert await front.start(service, "ready") == "ready"
        await wait_all_tasks_blocked()
    assert reported.errors == [error]


async def test_who_waits_for_a_start_hears_that_it_failed(front: TaskNursery, reported: Reported) -> None:
    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("service")

    async with opened(front):
        with pytest.raises(ValueError, match="service"):
            await front.start(service)
    assert reported.errors == []


async def test_it_is_open_only_for_its_time(front: TaskNursery) -> None:
    async with opened(front):
        pass
    for closed in (front, TaskNursery("app.nursery", Reporter("app"))):
        with pytest.raises(RuntimeError, match=r"app\.nursery is open only while the server runs"):
            closed.start_soon(trio.sleep_forever)
        with pytest.raises(RuntimeError, match=r"app\.nursery is open only while the server runs"):
            await closed.start(trio.sleep_forever)


async def test_what_has_been_called_already(front: TaskNursery) -> None:
    async with opened(front):
        with pytest.raises(TypeError, match=r"app\.nursery\.start_soon\(fn, \*args\)"):
            front.start_soon(shielded(1))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"app\.nursery\.start\(fn, \*args\)"):
            await front.start(shielded(1))  # type: ignore[arg-type]


async def test_cancelling_it_cancels_the_children_and_leaves_it_open(front: TaskNursery) -> None:
    async with opened(front):
        front.start_soon(trio.sleep_forever)
        front.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert front.child_tasks == frozenset()
        front.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        assert front.child_tasks == frozenset()


async def test_closing_waits_and_then_cancels(front: TaskNursery, autojump_clock: MockClock) -> None:
    async with opened(front, within=5):
        front.start_soon(trio.sleep, 3)
    assert trio.current_time() == 3


async def test_what_takes_longer_is_cancelled(
    front: TaskNursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(front, within=5):
        front.start_soon(trio.sleep_forever)
    assert trio.current_time() == 5
    assert caplog.text == ""


async def test_the_log_names_who_cannot_be_ended(
    front: TaskNursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(front, within=5, grace=2):
        front.start_soon(shielded, 20, name="stubborn")
        front.start_soon(shielded, 6, name="tidy")
    assert trio.current_time() == 20
    assert [record.getMessage() for record in caplog.records] == [
        "cancelled more than 2 s ago, and still waiting for: stubborn"
    ]


async def test_closing_when_cancelled_still_waits(front: TaskNursery, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        front.start_soon(shielded, 7)
        with trio.move_on_after(1):
            await front.close(within=100, grace=100)
        assert trio.current_time() == 7


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])])
async def test_the_end_of_the_program_goes_out_at_once(
    front: TaskNursery, reported: Reported, error: BaseException
) -> None:
    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(front.run)
            front.start_soon(trio.sleep_forever)
            front.start_soon(fail, error)
            await trio.sleep_forever()
    assert len(reported.errors) == isinstance(error, BaseExceptionGroup)


async def test_a_group_of_cancellations_ends_nothing(front: TaskNursery, reported: Reported) -> None:
    async with opened(front):
        front.start_soon(fail_when_cancelled)
        await wait_all_tasks_blocked()
        front.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        front.start_soon(trio.sleep_forever)
    assert len(reported.errors) == 1

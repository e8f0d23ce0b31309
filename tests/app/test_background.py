"""Tasks of the app: added before or while it is served, named, repeated."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from fake_exchange import FakeExchange
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.app.background import AppTasks, Background, check_async_function
from trioframe.app.report import Reporter
from trioframe.app.state import State


class Server:
    """What lives, as a `State` sees it."""

    is_serving = True

    def __init__(self, background: Background) -> None:
        self.background = background

    def stop(self) -> None: ...


@pytest.fixture
def reported() -> Reported:
    return Reported()


@pytest.fixture
def tasks(reported: Reported) -> AppTasks:
    return AppTasks("app", Reporter("app", reported), State())


@asynccontextmanager
async def serving(tasks: AppTasks, *, started: bool = True) -> AsyncIterator[Background]:
    """A server that has begun."""
    background = tasks.background()
    server = Server(background)
    tasks._state.begin(server)
    async with trio.open_nursery() as nursery:
        for each in (background.nursery, background.left_behind):
            await nursery.start(each.run)
        if started:
            background.start_queued()
        yield background
        for each in (background.nursery, background.left_behind):
            await each.close(within=0, grace=1)
    tasks._state.end(server)


async def sleeper(*args: object) -> None:
    await trio.sleep_forever()


def names(background: Background) -> list[str]:
    return sorted(task.name.rpartition(".")[2] for task in background.nursery.child_tasks)


# --- add_task


async def test_what_is_added_before_is_started_with_each_server(tasks: AppTasks) -> None:
    ran: list[object] = []

    async def work(*args: object) -> None:
        ran.append(args)

    tasks.add_task(work, 1, 2)
    for times in (1, 2):
        async with serving(tasks):
            await wait_all_tasks_blocked()
        assert ran == [(1, 2)] * times


async def test_what_is_added_meanwhile_is_started_once_tasks_are(tasks: AppTasks) -> None:
    async with serving(tasks, started=False) as background:
        tasks.add_task(sleeper, name="early")
        await wait_all_tasks_blocked()
        assert names(background) == []
        background.start_queued()
        tasks.add_task(sleeper)
        await wait_all_tasks_blocked()
        assert names(background) == ["early", "sleeper"]
    async with serving(tasks) as background:
        assert names(background) == []


async def test_the_latest_server_has_it(tasks: AppTasks) -> None:
    async with serving(tasks) as first:
        async with serving(tasks) as second:
            tasks.add_task(sleeper)
            tasks.nursery.start_soon(sleeper)
            assert (len(first.nursery.child_tasks), len(second.nursery.child_tasks)) == (0, 2)
        assert tasks.nursery is first.nursery


async def test_what_belongs_to_a_server_uses_that(tasks: AppTasks) -> None:
    async def belongs_to(background: Background) -> None:
        background.settle()
        tasks.add_task(sleeper)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_one)

    async def start_one() -> None:
        tasks.nursery.start_soon(sleeper)

    async with serving(tasks) as first, serving(tasks) as second, trio.open_nursery() as nursery:
        nursery.start_soon(belongs_to, first)
        await wait_all_tasks_blocked()
        assert (len(first.nursery.child_tasks), len(second.nursery.child_tasks)) == (2, 0)


async def test_a_server_that_has_ended_or_is_another_app_s_is_not_used(tasks: AppTasks) -> None:
    async with serving(tasks) as first:
        pass
    first.settle()
    async with serving(tasks) as second:
        assert tasks.nursery is second.nursery


async def test_without_a_server_there_is_no_nursery(tasks: AppTasks) -> None:
    with pytest.raises(RuntimeError, match=r"app\.nursery lives as long as the app is served"):
        _ = tasks.nursery


async def test_what_follows_an_exchange(tasks: AppTasks) -> None:
    exchange = FakeExchange()
    seen: list[object] = []

    async def follower(*args: object) -> None:
        seen.append(args)

    with pytest.raises(RuntimeError, match="after_response lives as long as the app is served"):
        tasks.follow(exchange, follower)
    async with serving(tasks):
        exchange.at_end = (lambda: seen.append("first"),)
        tasks.follow(exchange, follower, 1)
        tasks.follow(exchange, follower, 1)
        with pytest.raises(TypeError, match="after_response needs an async function"):
            tasks.follow(exchange, print)  # type: ignore[arg-type]
        await wait_all_tasks_blocked()
        assert seen == []
        for call in exchange.at_end:
            call()
        await wait_all_tasks_blocked()
    assert seen == ["first", (1,), (1,)]


async def test_a_name_belongs_to_one_task_at_a_time(tasks: AppTasks) -> None:
    done = trio.Event()
    tasks.add_task(done.wait, name="worker")
    tasks.add_task(sleeper)
    tasks.add_task(sleeper)
    with pytest.raises(ValueError, match="a task called 'worker' already"):
        tasks.add_task(sleeper, name="worker")
    async with serving(tasks) as background:
        assert names(background) == ["sleeper", "sleeper", "worker"]
        with pytest.raises(ValueError, match="a task called 'worker' already"):
            tasks.add_task(sleeper, name="worker")
        done.set()
        await wait_all_tasks_blocked()
        tasks.add_task(sleeper, name="worker")
        with pytest.raises(ValueError, match="a task called 'worker' already"):
            tasks.add_task(sleeper, name="worker")


async def test_one_that_could_not_be_started_keeps_no_name(tasks: AppTasks) -> None:
    async with serving(tasks) as background:
        pass
    tasks._state.begin(Server(background))
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"app\.nursery is open only while the server runs"):
            tasks.add_task(sleeper, name="worker")


async def test_a_task_that_fails_is_reported(tasks: AppTasks, reported: Reported) -> None:
    async def work() -> None:
        raise ValueError

    async with serving(tasks) as background:
        tasks.add_task(work, name="work")
        background.after_response(work)
        await wait_all_tasks_blocked()
        tasks.add_task(work, name="work")
        await wait_all_tasks_blocked()
    assert len(reported.errors) == 3


def decorated(*args: object) -> Any:
    return sleeper(*args)


class Asynchronous:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize(
    "function",
    [sleeper, functools.partial(sleeper, 1), functools.wraps(sleeper)(decorated), Asynchronous(), trio.sleep],
)
def test_what_is_an_async_function(function: Callable[..., Any]) -> None:
    check_async_function(function, "add_task")


@pytest.mark.parametrize("function", [print, lambda: None, None, "sleeper"])
def test_what_is_none(tasks: AppTasks, function: Any) -> None:
    with pytest.raises(TypeError, match="add_task needs an async function"):
        tasks.add_task(function)


def test_what_has_been_called_already(tasks: AppTasks) -> None:
    with pytest.raises(TypeError, match=r"add_task\(fn, \*args\)"):
        tasks.add_task(sleeper())  # type: ignore[arg-type]


# --- every


async def test_each_some_seconds(tasks: AppTasks, autojump_clock: MockClock) -> None:
    times: list[float] = []

    @tasks.every(2)
    async def tick() -> None:
        times.append(trio.current_time())

    async with serving(tasks) as background:
        await trio.sleep(7)
        assert names(background) == ["tick"]
    assert times == [2, 4, 6]


async def test_it_takes_the_app_or_nothing_and_may_be_sync(tasks: AppTasks, autojump_clock: MockClock) -> None:
    ticks: list[object] = []

    @tasks.every(1)
    def plain(app: object) -> None:
        ticks.append(app)

    @tasks.every(1)
    async def waiting(*args: object) -> None:
        ticks.append(args)

    tasks.every(1)(lambda: ticks.append(None))
    async with serving(tasks):
        await trio.sleep(1.5)
    assert sorted(map(str, ticks)) == ["('app',)", "None", "app"]


async def test_one_that_fails_is_reported_and_called_again(
    tasks: AppTasks, reported: Reported, autojump_clock: MockClock
) -> None:
    @tasks.every(1)
    async def tick() -> None:
        raise ValueError(trio.current_time())

    async with serving(tasks):
        await trio.sleep(3.5)
    assert [error.args for error in reported.errors] == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("takes", "expected"), [(0.5, [1, 2, 3, 4]), (1, [1, 2, 3, 4]), (1.5, [1, 3]), (2, [1, 3]), (3.5, [1])]
)
async def test_one_that_takes_long_delays_itself_and_causes_no_burst(
    tasks: AppTasks, autojump_clock: MockClock, takes: float, expected: list[float]
) -> None:
    times: list[float] = []

    @tasks.every(1)
    async def tick() -> None:
        times.append(trio.current_time())
        await trio.sleep(takes)

    async with serving(tasks):
        await trio.sleep(4.25)
    assert times == expected


async def test_it_does_not_drift(tasks: AppTasks, autojump_clock: MockClock) -> None:
    times: list[float] = []
    tasks.every(0.1)(lambda: times.append(trio.current_time()))
    async with serving(tasks):
        await trio.sleep(100.05)
    assert times == [pytest.approx(number / 10, abs=1e-9) for number in range(1, 1001)]


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_a_strange_interval(tasks: AppTasks, seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds above 0"):
        tasks.every(seconds)


def test_what_wants_more_than_the_app(tasks: AppTasks) -> None:
    def tick(app: object, request: object) -> None: ...

    with pytest.raises(TypeError, match=f"must take the app or nothing: .*{__file__}"):
        tasks.every(1)(tick)

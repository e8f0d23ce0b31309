"""The tasks of a connection: none costs nothing, and none outlives it."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe.server.connection_tasks import ConnectionTasks


async def test_nothing_is_opened_for_a_connection_that_starts_none() -> None:
    async with trio.open_nursery() as nursery:
        tasks = ConnectionTasks(nursery)
        assert not nursery.child_tasks
        await tasks.aclose()
        assert not nursery.child_tasks


async def test_tasks_run_beside_the_connection_until_it_ends(nursery: trio.Nursery) -> None:
    tasks = ConnectionTasks(nursery)
    log: list[str] = []

    async def work() -> None:
        log.append("began")
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            log.append("ended")

    tasks.start_soon(work)
    tasks.start_soon(work)
    await wait_all_tasks_blocked()
    tasks.start_soon(work)
    await wait_all_tasks_blocked()
    assert log == ["began"] * 3
    await tasks.aclose()
    assert log == ["began"] * 3 + ["ended"] * 3
    await wait_all_tasks_blocked()
    assert not nursery.child_tasks


async def test_one_that_was_not_begun_yet_is_still_waited_for(nursery: trio.Nursery) -> None:
    tasks = ConnectionTasks(nursery)
    tasks.start_soon(trio.sleep_forever)
    await tasks.aclose()
    assert not nursery.child_tasks


async def test_the_end_is_waited_for_also_by_who_is_cancelled(nursery: trio.Nursery) -> None:
    tasks = ConnectionTasks(nursery)
    ended = trio.Event()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            ended.set()

    tasks.start_soon(work)
    await wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await tasks.aclose()
    assert ended.is_set()


async def fail() -> None:
    raise ValueError("a bug")


async def test_a_failure_ends_the_others_and_is_told(nursery: trio.Nursery) -> None:
    tasks = ConnectionTasks(nursery)
    failures: list[Exception] = []
    tasks.failed = failures.append
    ended = trio.Event()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    tasks.start_soon(work)
    tasks.start_soon(fail)
    await ended.wait()
    await tasks.aclose()
    (failure,) = failures
    assert isinstance(failure, ValueError)


async def test_before_anybody_wants_to_hear_of_it_it_is_logged(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = ConnectionTasks(nursery)
    with caplog.at_level(logging.ERROR, "trioframe.server"):
        tasks.start_soon(fail)
        await wait_all_tasks_blocked()
        await tasks.aclose()
    assert "own code" in caplog.text


async def test_what_is_no_error_goes_on() -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            tasks = ConnectionTasks(nursery)
            tasks.start_soon(interrupt)
            await trio.sleep_forever()


async def test_nothing_is_started_when_the_connection_has_ended(nursery: trio.Nursery) -> None:
    for used in (False, True):
        tasks = ConnectionTasks(nursery)
        if used:
            tasks.start_soon(trio.sleep_forever)
        await tasks.aclose()
        with pytest.raises(RuntimeError, match="has ended"):
            tasks.start_soon(trio.sleep_forever)
    await wait_all_tasks_blocked()
    assert not nursery.child_tasks


async def test_a_connection_that_cleans_up_may_still_start_one() -> None:
    """As when the server is cancelled, and the client leaves a handler that is shielded."""
    steps: list[str] = []

    async def work() -> None:
        steps.append("started")
        await trio.lowlevel.checkpoint()
        steps.append("went on")

    async with trio.open_nursery() as nursery:
        tasks = ConnectionTasks(nursery)
        tasks.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            tasks.start_soon(work)
            await wait_all_tasks_blocked()
            await tasks.aclose()
    assert steps == ["started"]

"""`request.nursery` behaves as a nursery around the handler would."""

from __future__ import annotations

import contextvars

import pytest
import trio

from trioframe.http.request_nursery import RequestNursery

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
async def front(nursery: trio.Nursery) -> RequestNursery:
    return RequestNursery(nursery.start_soon, lambda: None)


async def test_children_start_soon_and_are_joined(nursery: trio.Nursery) -> None:
    front = RequestNursery(nursery.start_soon, lambda: None)
    ran: list[object] = []

    async def child(number: int) -> None:
        ran.append(number)

    front.start_soon(child, 1)
    assert ran == []
    assert front.child_tasks == frozenset()
    front.start_soon(child, 2)
    await trio.testing.wait_all_tasks_blocked()
    front.start_soon(child, 3, name="third")
    await front.join()
    assert sorted(map(str, ran)) == ["1", "2", "3"]


async def test_child_tasks(front: RequestNursery) -> None:
    front.start_soon(trio.sleep_forever, name="sleeper")
    await trio.testing.wait_all_tasks_blocked()
    assert [task.name for task in front.child_tasks] == ["sleeper"]
    front.cancel_scope.cancel()
    await front.join()
    assert front.child_tasks == frozenset()


@pytest.mark.parametrize("opened", [False, True])
async def test_children_inherit_the_context_of_their_start(front: RequestNursery, opened: bool) -> None:
    seen: list[str] = []

    async def child() -> None:
        seen.append(variable.get())

    if opened:
        await trio.testing.wait_all_tasks_blocked()
    token = variable.set("the request's")
    front.start_soon(child)
    variable.reset(token)
    await front.join()
    assert seen == ["the request's"]


async def test_start_waits_for_started(front: RequestNursery) -> None:
    async def service(value: str, *, task_status: trio.TaskStatus[str]) -> None:
        task_status.started(value)
        await trio.sleep_forever()

    assert await front.start(service, "ready") == "ready"
    front.cancel_scope.cancel()
    await front.join()


async def test_join_raises_what_children_raised(front: RequestNursery) -> None:
    async def fail() -> None:
        raise ValueError("child")

    front.start_soon(fail)
    with pytest.RaisesGroup(ValueError):
        await front.join()


async def test_the_owner_hears_of_a_failure_once(nursery: trio.Nursery) -> None:
    heard: list[str] = []
    front = RequestNursery(nursery.start_soon, lambda: heard.append("failed"))

    async def fail() -> None:
        raise ValueError("child")

    front.start_soon(fail)
    front.start_soon(fail)
    await trio.testing.wait_all_tasks_blocked()
    assert heard == ["failed"]
    with pytest.RaisesGroup(KeyError, ValueError, ValueError):
        await front.close(KeyError("handler"))


async def test_close_cancels_and_waits(front: RequestNursery) -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            ended.append("child")

    front.start_soon(child)
    await trio.testing.wait_all_tasks_blocked()
    await front.close(KeyError("handler"))
    assert ended == ["child"]


async def test_an_outer_cancellation_reaches_children_before_the_join_ends() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("child")

    async with trio.open_nursery() as nursery:
        front = RequestNursery(nursery.start_soon, lambda: None)
        front.start_soon(child)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        try:
            await front.join()
        finally:
            assert ended == ["child"]


async def test_an_error_beside_an_outer_cancellation_is_kept() -> None:
    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("child")

    async def owner(nursery: trio.Nursery) -> None:
        front = RequestNursery(nursery.start_soon, lambda: None)
        front.start_soon(child)
        front.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        await front.join()

    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await owner(nursery)


async def test_a_start_that_comes_too_late(nursery: trio.Nursery) -> None:
    front = RequestNursery(nursery.start_soon, lambda: None)

    async def late() -> None:
        with pytest.raises(RuntimeError, match="only for its children"):
            await front.start(trio.sleep_forever)

    nursery.start_soon(late)
    front.expire()
    with pytest.raises(RuntimeError, match="only for its children"):
        front.start_soon(trio.sleep_forever)

"""Counting the checkpoints of a request, and acting at one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe import RequestCancelled
from trioframe.http.lifetime import Lifetime
from trioframe.testing.checkpoints import Checkpoints


class Request:
    """A lifetime whose checkpoints are counted; cancelled as "application" at checkpoint `at`."""

    def __init__(self, nursery: trio.Nursery, at: int) -> None:
        self.lifetime = Lifetime(nursery.start_soon)
        self.checkpoints = Checkpoints(at, lambda task: self.lifetime.cancel())

    async def run(self, handler: Callable[[Lifetime], Awaitable[object]]) -> None:
        await trio.lowlevel.checkpoint()  # not counted
        self.checkpoints.begin(self.lifetime)
        try:
            await self.lifetime.run(handler, self.lifetime)
        finally:
            self.checkpoints.end()
            await trio.lowlevel.checkpoint()  # not counted


@asynccontextmanager
async def request(at: int = 0) -> AsyncIterator[Request]:
    async with trio.open_nursery() as nursery:
        request = Request(nursery, at)
        trio.lowlevel.add_instrument(request.checkpoints)
        yield request
        trio.lowlevel.remove_instrument(request.checkpoints)
        nursery.cancel_scope.cancel()


async def three(lifetime: Lifetime) -> None:
    for _ in range(3):
        await trio.lowlevel.checkpoint()


# --- counting ---------------------------------------------------------------------------------------------------------


async def test_the_checkpoints_of_a_handler_are_counted():
    async with request() as counted:
        await counted.run(three)
    assert counted.checkpoints.passed == 3
    assert counted.checkpoints.place is None


@pytest.mark.parametrize("where", ["a nursery of its own", "request.nursery"])
async def test_those_of_its_children_too(where):
    async def parent(lifetime: Lifetime) -> None:
        if where == "request.nursery":
            lifetime.nursery.start_soon(three, lifetime)
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(three, lifetime)

    async with request() as counted:
        await counted.run(parent)
    assert counted.checkpoints.passed >= 3
    assert counted.checkpoints.started == set()


async def test_those_of_other_tasks_are_not():
    async with request() as counted, trio.open_nursery() as nursery:
        nursery.start_soon(three, counted.lifetime)
        await counted.run(three)
    assert counted.checkpoints.passed == 3


async def test_those_of_tasks_it_starts_elsewhere_are_not_but_they_are_remembered(nursery):
    async def starts(lifetime: Lifetime) -> None:
        nursery.start_soon(three, lifetime)

    async with request() as counted:
        await counted.run(starts)
        assert len(counted.checkpoints.started) == 1
        await counted.checkpoints.wait_started_exited()
        assert counted.checkpoints.started == set()
        assert counted.checkpoints.passed == 0


# --- acting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_it_acts_at_the_chosen_one(at):
    async with request(at) as counted:
        with pytest.raises(RequestCancelled):
            await counted.run(three)
    assert counted.checkpoints.place is not None
    assert "in three: await trio.lowlevel.checkpoint()" in counted.checkpoints.place


async def test_it_does_not_act_if_there_are_not_so_many():
    async with request(4) as counted:
        await counted.run(three)
    assert counted.checkpoints.place is None


# --- being interrupted ------------------------------------------------------------------------------------------------


async def waits(lifetime: Lifetime) -> None:
    await trio.sleep_forever()


async def waits_again(lifetime: Lifetime) -> None:
    await trio.lowlevel.cancel_shielded_checkpoint()
    await trio.sleep_forever()


async def checks(lifetime: Lifetime) -> None:
    await trio.lowlevel.checkpoint()


async def swallows(lifetime: Lifetime) -> None:
    with pytest.raises(trio.Cancelled):
        await trio.sleep_forever()


async def has_finished_waiting(lifetime: Lifetime) -> None:
    await trio.lowlevel.cancel_shielded_checkpoint()


async def is_shielded(lifetime: Lifetime) -> None:
    with lifetime.shielded(10):
        await trio.lowlevel.checkpoint()
        await trio.sleep(1)


@pytest.mark.parametrize(
    ("handler", "interrupted"),
    [
        (waits, True),
        (waits_again, True),
        (checks, True),
        (swallows, True),
        (has_finished_waiting, False),
        (is_shielded, False),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_it_is_known_whether_the_handler_was_given_a_cancelled(handler, interrupted, autojump_clock):
    async with request(at=1) as counted:
        try:
            await counted.run(handler)
        except RequestCancelled:
            assert interrupted
        assert counted.lifetime.scope is not None
        assert counted.lifetime.scope.cancel_called
        assert counted.checkpoints.interrupted == interrupted


async def test_where_the_handler_stands():
    async with request() as counted, trio.open_nursery() as nursery:
        assert counted.checkpoints.handler_place is None
        nursery.start_soon(counted.run, waits)
        await wait_all_tasks_blocked()
        assert "in waits: await trio.sleep_forever()" in str(counted.checkpoints.handler_place)
        nursery.cancel_scope.cancel()

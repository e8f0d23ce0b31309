"""A peer that has left, as it may: it is noted, and whoever waits for that is told; nothing is cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from lending import lifetime_of
from trio.testing import MockClock

from trioframe.errors import RequestCancelled
from trioframe.http.half_close import HALF_CLOSE_GRACE
from trioframe.http.lifetime import Lifetime


@pytest.fixture(params=["own", "lent"])
async def lifetime(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Lifetime]:
    """In a scope of its own, and in that of a connection: all that follows holds for both."""
    async with lifetime_of(request.param, nursery) as lifetime:
        yield lifetime


async def test_a_peer_that_has_left_cancels_nobody(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> str:
        lifetime.peer_left()
        await trio.sleep(2 * HALF_CLOSE_GRACE + 1)
        return "done"

    assert await lifetime.run(handler) == "done"
    assert (lifetime.disconnected, lifetime.lost, lifetime.reason) == (True, False, None)


async def test_whoever_waits_for_that_is_told(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    told: list[str] = []

    async def wait(name: str) -> None:
        await lifetime.wait_disconnected()
        told.append(name)

    async def handler() -> None:
        for name in ("one", "other"):
            lifetime.nursery.start_soon(wait, name)
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        lifetime.peer_left()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(told) == ["one", "other"]
        await wait("late")

    await lifetime.run(handler)
    assert told[-1] == "late"


async def test_it_may_be_lost_behind_that(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.peer_left()
        lifetime.peer_reset()
        await trio.sleep_forever()

    with pytest.raises(RequestCancelled, match="disconnect"):
        await lifetime.run(handler)
    assert lifetime.lost


@pytest.mark.parametrize("times", [1, 2])
async def test_a_peer_that_leaves_before_the_handler_is_called(
    lifetime: Lifetime, times: int, autojump_clock: MockClock
) -> None:
    """Then it is as any that has sent FIN: the handler is given a moment."""
    for _ in range(times):
        lifetime.peer_left()

    async def handler() -> str:
        await trio.lowlevel.checkpoint()
        return "done"

    assert await lifetime.run(handler) == "done"

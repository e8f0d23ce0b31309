"""The blocks a handler may ask for: `cancellable` and `shielded`."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
from cancelling import GRACE, expect_cancelled
from lending import lifetime_of
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe.errors import RequestCancelled
from trioframe.http.lifetime import Lifetime
from trioframe.http.terms import Terms


@pytest.fixture(params=["own", "lent"])
async def lifetime(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Lifetime]:
    """In a scope of its own, and in that of a connection: all that follows holds for both."""
    async with lifetime_of(request.param, nursery, Terms(GRACE)) as lifetime:
        yield lifetime


# --- cancellable ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "deadline"])
async def test_a_cancellable_block_raises_where_it_stands(
    lifetime: Lifetime, autojump_clock: MockClock, how: str
) -> None:
    async def handler() -> str:
        with pytest.raises(RequestCancelled) as caught, lifetime.cancellable():
            if how == "cancel":
                lifetime.cancel("timeout")
            elif how == "deadline":
                lifetime.deadline = trio.current_time() + 1
            await trio.sleep_forever()
        await trio.sleep(GRACE / 2)
        return caught.value.reason

    assert await lifetime.run(handler) == "timeout"


async def test_what_follows_is_bounded_by_the_grace(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        try:
            with lifetime.cancellable():
                lifetime.cancel("disconnect")
                await trio.sleep_forever()
        except RequestCancelled:
            await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == GRACE


async def test_a_cancellable_block_that_finished_first_is_left_alone(lifetime: Lifetime) -> None:
    steps: list[str] = []

    async def handler() -> None:
        with lifetime.cancellable():
            lifetime.cancel("disconnect")
            steps.append("end of block")
        steps.append("behind it")
        await trio.lowlevel.checkpoint()
        steps.append("never")

    await expect_cancelled(lifetime, handler, "disconnect")
    assert steps == ["end of block", "behind it"]


async def test_an_error_in_a_cancellable_block_goes_through(lifetime: Lifetime) -> None:
    async def handler() -> None:
        with lifetime.cancellable():
            raise KeyError("k")

    with pytest.raises(KeyError):
        await lifetime.run(handler)


async def test_an_outer_cancellation_goes_through_a_cancellable_block(lifetime: Lifetime) -> None:
    async def handler() -> None:
        with lifetime.cancellable():
            outer.cancel()
            await trio.sleep_forever()

    with trio.CancelScope() as outer:
        await lifetime.run(handler)
    assert outer.cancelled_caught


# --- shielded ---------------------------------------------------------------------------------------------------------


async def test_a_cancellation_waits_for_a_shielded_block(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    steps: list[str] = []

    async def handler() -> None:
        with lifetime.shielded(10):
            lifetime.cancel("disconnect")
            await trio.sleep(9)
            steps.append("committed")
        await trio.lowlevel.checkpoint()
        steps.append("never")

    await expect_cancelled(lifetime, handler, "disconnect")
    assert steps == ["committed"]


async def test_but_only_so_long(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        await trio.sleep(20)
        with lifetime.shielded(10):
            await trio.sleep(20)
            lifetime.cancel("disconnect")
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == 50


async def test_a_shield_holds_against_the_deadline(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.deadline = trio.current_time() + 1
        with lifetime.shielded(10):
            await trio.sleep_forever()

    await expect_cancelled_at(lifetime, handler, 11)


async def expect_cancelled_at(lifetime: Lifetime, handler: Callable[[], Awaitable[object]], time: float) -> None:
    async def then_wait() -> None:
        await handler()
        await trio.lowlevel.checkpoint()

    await expect_cancelled(lifetime, then_wait, "timeout")
    assert trio.current_time() == time


async def test_force_lifts_a_shield(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        with lifetime.shielded(math.inf):
            lifetime.force()
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    await expect_cancelled(lifetime, handler, "shutdown")
    assert trio.current_time() == 0


async def test_a_block_cut_short_is_not_left_as_if_it_had_ended(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> str:
        lifetime.cancel("disconnect")
        with lifetime.shielded(1):
            await trio.sleep_forever()
        return "committed"

    await expect_cancelled(lifetime, handler, "disconnect")


async def test_nor_within_the_grace(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> str:
        try:
            with lifetime.cancellable():
                lifetime.cancel("disconnect")
                await trio.sleep_forever()
        except RequestCancelled:
            with lifetime.shielded(1):
                await trio.sleep_forever()
        return "committed"

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == 1


async def test_cleaning_up_has_its_whole_time(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    saved: list[float] = []

    async def handler() -> None:
        lifetime.cancel("timeout")
        with trio.CancelScope(shield=True):
            await trio.sleep(4)  # a thread, say
        with lifetime.shielded(2):
            await trio.sleep(1)
            saved.append(trio.current_time())

    await lifetime.run(handler)
    assert saved == [5]


async def test_outside_the_handler_too(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.cancel("timeout")
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "timeout")
    await trio.sleep(10)
    with lifetime.shielded(2):
        await trio.sleep(1)
    with pytest.raises(RequestCancelled), lifetime.shielded(2):
        await trio.sleep(3)


async def test_a_cancellable_block_raises_however_late_it_notices(
    lifetime: Lifetime, autojump_clock: MockClock
) -> None:
    async def handler() -> str:
        try:
            with lifetime.cancellable():
                lifetime.cancel("timeout")
                with trio.CancelScope(shield=True):
                    await trio.sleep(2 * GRACE)
                await trio.sleep_forever()
        except RequestCancelled:
            await trio.sleep(GRACE / 2)
        return "cleaned up"

    assert await lifetime.run(handler) == "cleaned up"


async def test_a_failure_of_the_handler_ends_the_shield_of_a_child(
    lifetime: Lifetime, autojump_clock: MockClock
) -> None:
    async def child() -> None:
        with lifetime.shielded(1):
            await trio.sleep_forever()

    async def handler() -> None:
        lifetime.nursery.start_soon(child)
        await wait_all_tasks_blocked()
        raise ValueError("handler")

    with pytest.raises(ValueError, match="handler") as caught:
        await lifetime.run(handler)
    assert trio.current_time() == 1
    assert not hasattr(caught.value, "__notes__")


async def test_a_failure_of_a_child_ends_the_shield_of_the_handler(
    lifetime: Lifetime, autojump_clock: MockClock
) -> None:
    async def child() -> None:
        raise ValueError("child")

    async def handler() -> None:
        lifetime.nursery.start_soon(child)
        with lifetime.shielded(1):
            await trio.sleep_forever()

    with pytest.RaisesGroup(ValueError):
        await lifetime.run(handler)
    assert trio.current_time() == 1


async def test_a_group_that_leaves_a_block_leaves_it_for_good(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("child")

    async def handler() -> None:
        try:
            with lifetime.cancellable():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(child)
                    await wait_all_tasks_blocked()
                    lifetime.cancel("disconnect")
                    await trio.sleep_forever()
        except* ValueError:
            pass
        lifetime.deadline = trio.current_time() + 1000
        await trio.sleep(1000)

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == GRACE

"""How a request ends early: every row of the outcome table, deadlines, the peer, and the nursery of a request."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
import trio
from cancelling import GRACE, expect_cancelled
from lending import lifetime_of
from trio.testing import MockClock

from trioframe.errors import CancelReason, RequestCancelled
from trioframe.http.half_close import HALF_CLOSE_GRACE
from trioframe.http.lifetime import Lifetime
from trioframe.http.terms import Terms


@pytest.fixture(params=["own", "lent"])
async def lifetime(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Lifetime]:
    """In a scope of its own, and in that of a connection: all that follows holds for both."""
    async with lifetime_of(request.param, nursery, Terms(GRACE)) as lifetime:
        yield lifetime


# --- the outcome table ------------------------------------------------------------------------------------------------


async def test_what_the_handler_returns_is_returned(lifetime: Lifetime) -> None:
    async def handler(a: int, b: str) -> tuple[int, str]:
        return a, b

    assert await lifetime.run(handler, 1, "x") == (1, "x")


async def test_a_sleeping_handler_sees_cancelled_and_its_caller_request_cancelled(lifetime: Lifetime) -> None:
    seen: list[str | None] = []

    async def handler() -> None:
        lifetime.cancel("disconnect")
        try:
            await trio.sleep_forever()
        except trio.Cancelled as exc:
            seen.append(exc.reason)
            raise

    await expect_cancelled(lifetime, handler, "disconnect")
    assert seen == ["the client left"]


async def test_an_open_nursery_is_cancelled_with_its_children(lifetime: Lifetime) -> None:
    ended: list[int] = []

    async def child(number: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(number)

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, 1)
            nursery.start_soon(child, 2)
            await trio.testing.wait_all_tasks_blocked()
            lifetime.cancel("timeout")

    await expect_cancelled(lifetime, handler, "timeout")
    assert sorted(ended) == [1, 2]


async def test_an_error_while_unwinding_is_an_error_with_a_note(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.cancel("shutdown")
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("lost connection to the database")

    with pytest.raises(ValueError, match="lost connection") as caught:
        await lifetime.run(handler)
    assert caught.value.__notes__ == ["raised while the request was being cancelled: the server is stopping"]


async def test_an_error_of_a_child_beside_cancelled_is_an_error(lifetime: Lifetime) -> None:
    async def failing() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("child")

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(failing)
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            lifetime.cancel("disconnect")

    with pytest.RaisesGroup(ValueError) as caught:
        await lifetime.run(handler)
    assert "the client left" in caught.value.__notes__[0]


async def test_a_swallowed_cancellation_is_a_return(lifetime: Lifetime) -> None:
    async def handler() -> str:
        lifetime.cancel("disconnect")
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        return "done"

    assert await lifetime.run(handler) == "done"
    assert lifetime.reason == "disconnect"


async def test_cancellation_is_level_triggered(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.cancel("disconnect")
        try:
            await trio.sleep_forever()
        finally:
            with pytest.raises(trio.Cancelled):
                await trio.lowlevel.checkpoint()

    await expect_cancelled(lifetime, handler, "disconnect")


async def test_cancelled_before_it_starts(lifetime: Lifetime) -> None:
    steps: list[str] = []

    async def handler() -> None:
        steps.append("started")
        await trio.lowlevel.checkpoint()
        steps.append("went on")

    lifetime.cancel("shutdown")
    await expect_cancelled(lifetime, handler, "shutdown")
    assert steps == ["started"]


async def test_a_handler_that_finished_first_has_finished(lifetime: Lifetime) -> None:
    async def handler() -> str:
        await trio.lowlevel.checkpoint()
        lifetime.cancel("timeout")
        return "in time"

    assert await lifetime.run(handler) == "in time"


async def test_an_outer_cancellation_is_never_converted(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.cancel("shutdown")
        await trio.sleep_forever()

    with trio.CancelScope() as outer:
        outer.cancel()
        await lifetime.run(handler)
        raise AssertionError("the outer cancellation was converted")
    assert outer.cancelled_caught


async def test_a_real_error_within_an_outer_cancellation_is_not_lost(lifetime: Lifetime) -> None:
    async def failing() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("child")

    async def handler() -> None:
        lifetime.nursery.start_soon(failing)
        await trio.testing.wait_all_tasks_blocked()
        outer.cancel()
        await trio.sleep_forever()

    with pytest.RaisesGroup(ValueError), trio.CancelScope() as outer:
        await lifetime.run(handler)


async def test_the_first_reason_wins(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.cancel("shutdown")
        lifetime.cancel("disconnect")
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "shutdown")


async def test_an_operation_that_finds_the_peer_gone_counts_as_a_disconnect(lifetime: Lifetime) -> None:
    async def handler() -> None:
        raise RequestCancelled("disconnect")

    with pytest.raises(RequestCancelled):
        await lifetime.run(handler)
    assert lifetime.reason == "disconnect"


async def test_an_earlier_reason_stands_above_what_an_operation_found(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.cancel("timeout")
        raise RequestCancelled("disconnect")

    with pytest.raises(RequestCancelled) as caught:
        await lifetime.run(handler)
    assert caught.value.reason == "timeout"


async def test_children_that_all_met_the_vanished_peer_make_one_request_cancelled(lifetime: Lifetime) -> None:
    async def sending() -> None:
        raise RequestCancelled("disconnect")

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sending)
            nursery.start_soon(sending)

    with pytest.raises(RequestCancelled) as caught:
        await lifetime.run(handler)
    assert caught.value.reason == "disconnect"


async def test_what_else_children_raised_is_kept(lifetime: Lifetime) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, RequestCancelled("disconnect"))
            nursery.start_soon(fail, KeyError("k"))

    with pytest.RaisesGroup(KeyError):
        await lifetime.run(handler)


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_a_deadline_cancels_as_timeout(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.deadline = trio.current_time() + 3
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "timeout")
    assert trio.current_time() == 3


async def test_a_deadline_that_passed_first_wins(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.deadline = trio.current_time() + 1
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            lifetime.peer_reset()

    await expect_cancelled(lifetime, handler, "timeout")


async def test_an_error_after_the_deadline_has_the_note(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.deadline = trio.current_time() + 3
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("x")

    with pytest.raises(ValueError, match="x") as caught:
        await lifetime.run(handler)
    assert "the deadline" in caught.value.__notes__[0]


async def test_the_limit_of_the_start_ends_with_the_start(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> str:
        lifetime.limit_start(10)
        assert lifetime.deadline == 10
        await trio.sleep(9)
        lifetime.response_started()
        assert lifetime.deadline == math.inf
        await trio.sleep(100)
        return "streamed"

    assert await lifetime.run(handler) == "streamed"


async def test_the_limit_of_the_start_can_be_held(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.hold_limit()  # there is none yet
        lifetime.resume_limit()
        lifetime.limit_start(math.inf)
        lifetime.limit_start(10)
        await trio.sleep(4)
        lifetime.hold_limit()
        await trio.sleep(1000)
        lifetime.resume_limit()
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "timeout")
    assert trio.current_time() == 1010


async def test_a_held_limit_is_met_by_the_start_too(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.response_started()
        lifetime.limit_start(10)
        lifetime.hold_limit()
        lifetime.response_started()
        lifetime.resume_limit()
        await trio.sleep(1000)

    await lifetime.run(handler)


async def test_a_deadline_of_the_handler_stands_above_the_limit_of_the_start(
    lifetime: Lifetime, autojump_clock: MockClock
) -> None:
    async def handler() -> None:
        lifetime.deadline = trio.current_time() + 2
        lifetime.limit_start(1)
        lifetime.response_started()
        assert lifetime.deadline == 2
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "timeout")


# --- the peer ---------------------------------------------------------------------------------------------------------


async def test_a_reset_cancels_at_once(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.peer_reset()
        assert lifetime.disconnected
        assert lifetime.lost
        await trio.lowlevel.checkpoint()

    await expect_cancelled(lifetime, handler, "disconnect")


async def test_a_half_closed_peer_leaves_a_moment(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.peer_half_closed()
        lifetime.peer_half_closed()
        assert lifetime.disconnected
        assert not lifetime.lost
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == pytest.approx(HALF_CLOSE_GRACE)


async def test_the_cancellation_of_a_half_closed_peer_says_why(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.peer_half_closed()
        with pytest.raises(trio.Cancelled) as caught:
            await trio.sleep_forever()
        assert caught.value.reason == "the client left"
        raise caught.value

    await expect_cancelled(lifetime, handler, "disconnect")


async def test_sending_holds_that_moment_up(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.peer_half_closed()
        await trio.testing.wait_all_tasks_blocked()
        lifetime.sending()
        await trio.sleep(30)
        lifetime.sent()
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == pytest.approx(30 + HALF_CLOSE_GRACE)


async def test_a_handler_that_answers_in_that_moment_has_answered(
    lifetime: Lifetime, autojump_clock: MockClock
) -> None:
    async def handler() -> str:
        await trio.lowlevel.checkpoint()
        return "answer"

    lifetime.peer_half_closed()
    assert await lifetime.run(handler) == "answer"
    await trio.sleep(1)
    assert lifetime.reason is None


async def test_a_reset_follows_a_half_close(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.peer_half_closed()
        lifetime.peer_reset()
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "disconnect")
    assert trio.current_time() == 0


async def test_a_reset_before_the_handler_cancels_its_start(lifetime: Lifetime) -> None:
    lifetime.peer_reset()
    await expect_cancelled(lifetime, trio.lowlevel.checkpoint, "disconnect")


async def test_half_close_may_be_allowed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    lifetime = Lifetime(nursery.start_soon, Terms(half_close="allow"))

    async def handler() -> str:
        lifetime.peer_half_closed()
        await trio.sleep(60)
        return "answer"

    assert await lifetime.run(handler) == "answer"
    assert not lifetime.disconnected


@pytest.mark.parametrize("event", ["peer_half_closed", "peer_reset"])
@pytest.mark.parametrize("when", ["before", "within"])
async def test_a_disconnect_may_be_ignored(
    lifetime: Lifetime, autojump_clock: MockClock, event: str, when: str
) -> None:
    async def handler() -> str:
        if when == "within":
            getattr(lifetime, event)()
        await trio.sleep(60)
        return "done"

    if when == "before":
        getattr(lifetime, event)()
    lifetime.on_disconnect = "ignore"
    assert lifetime.on_disconnect == "ignore"
    assert await lifetime.run(handler) == "done"
    assert lifetime.disconnected


async def test_ignoring_begins_when_it_is_said(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> str:
        lifetime.peer_half_closed()
        lifetime.on_disconnect = "ignore"
        await trio.sleep(60)
        return "done"

    assert await lifetime.run(handler) == "done"


async def test_the_disconnect_can_be_waited_for(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    lifetime.on_disconnect = "ignore"

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lifetime.wait_disconnected)
            nursery.start_soon(lifetime.wait_disconnected)
            await trio.testing.wait_all_tasks_blocked()
            lifetime.peer_half_closed()
        with trio.testing.assert_checkpoints():
            await lifetime.wait_disconnected()

    await lifetime.run(handler)


async def test_who_waits_for_the_disconnect_is_let_go_when_the_request_is_over(
    lifetime: Lifetime, nursery: trio.Nursery
) -> None:
    async def handler() -> None:
        nursery.start_soon(lifetime.wait_disconnected)
        await trio.testing.wait_all_tasks_blocked()

    await lifetime.run(handler)
    lifetime.end()


# --- the nursery of the request ---------------------------------------------------------------------------------------


async def test_children_are_joined_before_the_request_ends(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def child() -> None:
        await trio.sleep(3)
        ended.append(trio.current_time())

    async def handler() -> str:
        lifetime.nursery.start_soon(child)
        return "answer"

    assert await lifetime.run(handler) == "answer"
    assert ended == [3]


async def test_children_are_cancelled_with_the_request(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def child(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append(name)

    async def handler() -> None:
        lifetime.nursery.start_soon(child, "a")
        lifetime.nursery.start_soon(child, "b")
        lifetime.deadline = trio.current_time() + 1
        await trio.sleep_forever()

    await expect_cancelled(lifetime, handler, "timeout")
    assert sorted(seen) == ["a", "b"]


async def test_a_cancellation_while_joining_cancels_the_children(lifetime: Lifetime, autojump_clock: MockClock) -> None:
    async def handler() -> None:
        lifetime.nursery.start_soon(trio.sleep_forever)
        lifetime.deadline = trio.current_time() + 1

    await expect_cancelled(lifetime, handler, "timeout")


async def test_a_failing_child_ends_the_handler(lifetime: Lifetime) -> None:
    async def child() -> None:
        raise ValueError("child")

    async def handler() -> None:
        lifetime.nursery.start_soon(child)
        await trio.sleep_forever()

    with pytest.RaisesGroup(ValueError) as caught:
        await lifetime.run(handler)
    assert lifetime.reason is None
    assert not hasattr(caught.value, "__notes__")


async def run_with_news(lifetime: Lifetime, reason: CancelReason | None = None) -> object:
    """A handler that sleeps, and a child that ends with news; cancelled first, if there is a reason."""

    async def child() -> None:
        try:
            await trio.sleep(0 if reason is None else math.inf)
        finally:
            raise KeyError("news")

    async def handler() -> str:
        lifetime.nursery.start_soon(child)
        await trio.testing.wait_all_tasks_blocked()
        if reason is not None:
            lifetime.cancel(reason)
        await trio.sleep_forever()
        return "never"

    return await lifetime.run(handler)


async def test_what_is_pardoned_counts_as_a_return(lifetime: Lifetime) -> None:
    lifetime.pardon = lambda error: isinstance(error, ExceptionGroup) and error.split(KeyError)[1] is None
    assert await run_with_news(lifetime) is None
    assert lifetime.reason is None


async def test_what_is_pardoned_in_a_cancellation_changes_nothing(lifetime: Lifetime) -> None:
    lifetime.pardon = lambda _: True
    with pytest.raises(RequestCancelled) as caught:
        await run_with_news(lifetime, "shutdown")
    assert caught.value.reason == "shutdown"


async def test_what_is_not_pardoned_is_raised(lifetime: Lifetime) -> None:
    lifetime.pardon = lambda _: False
    with pytest.RaisesGroup(KeyError):
        await run_with_news(lifetime)


async def test_children_get_the_cancellation_at_once_also_behind_a_cancellable_block(lifetime: Lifetime) -> None:
    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async def handler() -> None:
        lifetime.nursery.start_soon(child)
        await trio.testing.wait_all_tasks_blocked()
        try:
            with lifetime.cancellable():
                lifetime.cancel("disconnect")
                await trio.sleep_forever()
        finally:
            await ended.wait()

    ended = trio.Event()
    await expect_cancelled(lifetime, handler, "disconnect")


async def test_no_children_after_the_request(lifetime: Lifetime) -> None:
    await lifetime.run(trio.lowlevel.checkpoint)
    with pytest.raises(RuntimeError, match="only for its children"):
        lifetime.nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
async def test_a_deadline_is_a_time(lifetime: Lifetime, value: float) -> None:
    with pytest.raises(ValueError, match=r"trio\.current_time"):
        lifetime.deadline = value
    assert lifetime.deadline == math.inf


async def test_a_request_that_does_not_run_waits_for_nothing(lifetime: Lifetime) -> None:
    assert not lifetime.waits()


async def test_no_children_in_a_nursery_that_was_cancelled(lifetime: Lifetime) -> None:
    async def handler() -> None:
        lifetime.nursery.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        lifetime.nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="has been cancelled"):
            lifetime.nursery.start_soon(trio.sleep_forever)

    await lifetime.run(handler)


async def test_a_child_that_fails_before_the_handler_began_to_run_is_no_matter(nursery: trio.Nursery) -> None:
    lifetime = Lifetime(nursery.start_soon)
    lifetime._child_failed()
    await lifetime.run(trio.lowlevel.checkpoint)


async def test_its_tasks_are_the_handler_and_all_that_descend_from_it(lifetime: Lifetime) -> None:
    tasks: list[trio.lowlevel.Task] = []

    async def note() -> None:
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep_forever()

    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)

    async def handler() -> None:
        lifetime.nursery.start_soon(note)
        lifetime.nursery.start_soon(parent)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)
            nursery.start_soon(parent)
            await trio.testing.wait_all_tasks_blocked()
            tasks.append(trio.lowlevel.current_task())
            assert [lifetime.owns(task) for task in tasks] == [True] * 5
            nursery.cancel_scope.cancel()
        lifetime.cancel_children()

    await lifetime.run(handler)
    assert len(tasks) == 5
    assert not any(map(lifetime.owns, tasks))


async def test_others_are_not_its_tasks(lifetime: Lifetime) -> None:
    others: list[trio.lowlevel.Task] = [trio.lowlevel.current_task()]

    async def note() -> None:
        others.append(trio.lowlevel.current_task())
        await trio.sleep_forever()

    async def handler() -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert [lifetime.owns(task) for task in others] == [False] * 2
        assert lifetime.owns(trio.lowlevel.current_task())
        beside.cancel_scope.cancel()

    async with trio.open_nursery() as beside:
        beside.start_soon(note)
        beside.start_soon(lifetime.run, handler)


# --- a lifetime that is suspended -------------------------------------------------------------------------------------


@pytest.fixture
def own(nursery: trio.Nursery) -> Lifetime:
    return Lifetime(nursery.start_soon, Terms(GRACE))


class Child:
    """A child of the request, which waits until it is let go."""

    def __init__(self) -> None:
        self.ended = False
        self.go_on = trio.Event()

    async def run(self) -> None:
        try:
            await self.go_on.wait()
        finally:
            self.ended = True


async def suspend_with(lifetime: Lifetime, child: Child) -> None:
    async def handler() -> str:
        lifetime.nursery.start_soon(child.run)
        await trio.testing.wait_all_tasks_blocked()
        lifetime.suspended = True
        return "suspended"

    assert await lifetime.run(handler) == "suspended"
    assert lifetime.suspended
    assert not lifetime.running


async def test_children_live_on_and_are_joined_behind_the_second_run(own: Lifetime) -> None:
    child = Child()
    await suspend_with(own, child)
    await trio.testing.wait_all_tasks_blocked()
    assert not child.ended

    async def rest() -> str:
        assert not own.suspended
        child.go_on.set()
        return "done"

    assert await own.run(rest) == "done"
    assert child.ended
    with pytest.raises(RuntimeError, match="only for its children"):
        own.nursery.start_soon(trio.sleep_forever)


async def test_children_may_be_started_while_it_is_suspended(own: Lifetime) -> None:
    first, second = Child(), Child()
    await suspend_with(own, first)
    own.nursery.start_soon(second.run)
    first.go_on.set()
    second.go_on.set()
    await own.run(trio.lowlevel.checkpoint)
    assert second.ended


@pytest.mark.parametrize("cut", ["cancel", "peer_reset", "force"])
async def test_what_happens_meanwhile_ends_the_second_run(own: Lifetime, cut: str) -> None:
    child = Child()
    await suspend_with(own, child)
    getattr(own, cut)()
    await expect_cancelled(
        own, trio.sleep_forever, {"cancel": "application", "peer_reset": "disconnect", "force": "shutdown"}[cut]
    )
    assert child.ended


async def test_a_deadline_that_passes_meanwhile_ends_children_and_the_second_run(
    own: Lifetime, autojump_clock: MockClock
) -> None:
    child = Child()
    own.deadline = trio.current_time() + 3
    await suspend_with(own, child)
    await trio.sleep(4)
    assert child.ended
    await expect_cancelled(own, trio.sleep_forever, "timeout")


async def test_a_handler_that_raises_is_not_suspended(own: Lifetime) -> None:
    child = Child()

    async def handler() -> None:
        own.nursery.start_soon(child.run)
        await trio.testing.wait_all_tasks_blocked()
        own.suspended = True
        raise ValueError("handler")

    with pytest.raises(ValueError, match="handler"):
        await own.run(handler)
    assert not own.suspended
    assert child.ended


async def test_children_whose_work_is_not_wanted_are_waited_for(own: Lifetime) -> None:
    child = Child()
    await suspend_with(own, child)

    async def rest() -> str:
        own.cancel_children()
        return "something else"

    assert await own.run(rest) == "something else"
    assert child.ended


async def test_what_they_raise_then_is_raised(own: Lifetime) -> None:
    async def failing() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("cleaning up")

    async def handler() -> None:
        own.nursery.start_soon(failing)
        await trio.testing.wait_all_tasks_blocked()
        own.cancel_children()

    with pytest.RaisesGroup(ValueError):
        await own.run(handler)


async def test_without_children_there_is_nobody_to_cancel(own: Lifetime) -> None:
    async def handler() -> str:
        own.cancel_children()
        return "alone"

    assert await own.run(handler) == "alone"


# --- what stands around the handler -----------------------------------------------------------------------------------


async def test_outside_of_the_handler_the_nursery_takes_nobody_and_spoils_nothing(own: Lifetime) -> None:
    with pytest.raises(RuntimeError, match="only for its children"):
        own.nursery.start_soon(trio.sleep_forever)
    child = Child()

    async def handler() -> None:
        own.nursery.start_soon(child.run)
        child.go_on.set()

    await own.run(handler)
    assert child.ended

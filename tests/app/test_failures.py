"""What fails is kept and leaves in the end; a cancellation is not kept."""

from __future__ import annotations

import pytest
import trio
from reported import fail_when_cancelled

from trioframe.app.failures import Failures, split_cancelled


async def fail(error: BaseException) -> None:
    raise error


async def test_nothing_failed() -> None:
    failures = Failures()
    await failures.attempt(trio.lowlevel.checkpoint)
    failures.leave("nothing")


async def test_one_leaves_as_it_is() -> None:
    failures, error = Failures(), ValueError("x")
    await failures.attempt(fail, error)
    with pytest.raises(ValueError, match="x") as caught:
        failures.leave("unused")
    assert caught.value is error
    failures.leave("it has left")


async def test_several_leave_as_a_group_and_each_is_heard() -> None:
    heard: list[BaseException] = []
    failures = Failures(heard.append)
    errors = ValueError("x"), KeyboardInterrupt()
    for error in errors:
        await failures.attempt(fail, error)
    assert heard == list(errors)
    with pytest.RaisesGroup(ValueError, KeyboardInterrupt, match="both"):
        failures.leave("both")


async def test_a_cancellation_is_not_kept() -> None:
    failures = Failures()
    with trio.CancelScope() as scope:
        scope.cancel()
        await failures.attempt(trio.sleep_forever)
    assert scope.cancelled_caught
    failures.leave("nothing")


async def test_what_fails_beside_a_cancellation_is() -> None:
    failures = Failures()

    with trio.CancelScope() as scope:
        scope.cancel()
        await failures.attempt(fail_when_cancelled)
    assert scope.cancelled_caught
    with pytest.RaisesGroup(ValueError):
        failures.leave("unused")


def test_a_group_without_cancellations_stays_itself() -> None:
    group = ExceptionGroup("", [ValueError()])
    assert split_cancelled(group) == (None, group)
    assert split_cancelled(group)[1] is group

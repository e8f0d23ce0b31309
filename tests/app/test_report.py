"""What nobody has handled is logged and told, once."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from trioframe.app.report import Reporter


class Name(str):
    """Stands for a request: it reads as it is named, and can be weakly referenced."""


class Names(list[str]):
    """The same, and false if it is empty."""


class Told:
    """A hook that remembers."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **context: object) -> None:
        self.calls.append(context)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reporter(told: Told) -> Reporter:
    return Reporter("app", told)


async def test_it_is_logged_with_its_traceback_and_told(
    reporter: Reporter, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("x")
    await reporter.report(error, Name("<Request>"))
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("trioframe.app", logging.ERROR, "<Request> failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert told.calls == [{"app": "app", "exception": error, "request": "<Request>"}]


async def test_without_a_request_the_task_is_named(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reporter.report, ValueError(), name="sweeper")
    assert [record.getMessage() for record in caplog.records] == ["sweeper failed"]


async def test_a_request_that_is_false_is_one(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    await reporter.report(ValueError(), Names())
    assert [record.getMessage() for record in caplog.records] == ["[] failed"]


async def test_once(reporter: Reporter, told: Told, caplog: pytest.LogCaptureFixture) -> None:
    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    for error in (ValueError(), Frozen(1), ExceptionGroup("", [ValueError()])):
        for _ in range(2):
            await reporter.report(error)
    assert len(told.calls) == len(caplog.records) == 3


async def test_once_for_each_request_that_raises_it(
    reporter: Reporter, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    made_once = ValueError()
    requests = [Name("a"), Name("a"), Name("b")]
    for request in requests:
        await reporter.report(made_once, request)
        await reporter.report(made_once, request)
        await reporter.report(made_once)  # further up, where the request is not known
    assert [record.getMessage() for record in caplog.records] == ["a failed", "a failed", "b failed"]
    assert [id(call["request"]) for call in told.calls] == [id(request) for request in requests]


async def test_an_exception_does_not_keep_the_request_it_was_reported_for(caplog: pytest.LogCaptureFixture) -> None:
    made_once, request = ValueError(), Name("a")
    gone = weakref.ref(request)
    caplog.set_level(logging.CRITICAL, "trioframe.app")  # a record would hold what it is about
    await Reporter("app").report(made_once, request)
    del request
    assert gone() is None


async def test_equal_is_not_the_same(reporter: Reporter, told: Told) -> None:
    @dataclass
    class Equal(Exception):
        code: int

    await reporter.report(Equal(1))
    await reporter.report(Equal(1))
    assert len(told.calls) == 2


async def test_without_a_hook_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await Reporter("app").report(ValueError())
    assert len(caplog.records) == 1


async def test_an_async_hook_is_awaited(reporter: Reporter) -> None:
    told = []

    async def hook(**context: object) -> None:
        await trio.lowlevel.checkpoint()
        told.append(context["exception"])

    reporter.hook = hook
    error = ValueError()
    await reporter.report(error)
    assert told == [error]


async def test_a_hook_that_fails_is_logged_and_goes_no_further(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(exception: Exception, **context: object) -> None:
        raise KeyError("hook") from exception

    reporter.hook = hook
    await reporter.report(ValueError("x"))
    assert [record.getMessage() for record in caplog.records][1] == "a receiver of server.exception.report failed"
    assert len(caplog.records) == 2


async def test_one_that_raises_what_it_was_given_adds_nothing(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(exception: Exception, **context: object) -> None:
        raise exception

    reporter.hook = hook
    await reporter.report(ValueError("x"))
    assert len(caplog.records) == 1


async def test_it_does_not_go_round_for_ever(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def fails_again() -> None:
        await reporter.report(ValueError("again"))

    async def hook(**context: object) -> None:
        nonlocal calls
        calls += 1
        await fails_again()
        nursery.start_soon(fails_again)

    reporter.hook = hook
    async with trio.open_nursery() as nursery:
        await reporter.report(ValueError("first"))
    assert calls == 1
    assert len(caplog.records) == 3
    await reporter.report(ValueError("second"))
    assert calls == 2


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_what_is_no_exception_goes_on(reporter: Reporter, told: Told, fatal: type[BaseException]) -> None:
    with pytest.raises(fatal):
        await reporter.report(fatal())
    assert told.calls == []


async def test_of_a_group_of_both_the_errors_are_reported(reporter: Reporter, told: Told) -> None:
    with pytest.RaisesGroup(KeyboardInterrupt):
        await reporter.report(BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError()]))
    (call,) = told.calls
    assert [type(error) for error in call["exception"].exceptions] == [ValueError]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("", [KeyboardInterrupt()]),
        BaseExceptionGroup("", [KeyboardInterrupt(), KeyError()]),
    ],
)
async def test_so_it_does_when_a_hook_raises_it(
    reporter: Reporter, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def hook(**context: object) -> Awaitable[object]:
        raise error

    reporter.hook = hook
    with pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True):
        await reporter.report(ValueError("x"))
    assert caplog.records[0].exc_info is not None


async def test_a_cancellation_cannot_keep_it_from_the_log(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    async def hook(**context: object) -> None:
        await trio.sleep_forever()

    reporter.hook = hook
    with trio.CancelScope() as scope:
        scope.cancel()
        await reporter.report(ValueError("x"))
    assert scope.cancelled_caught
    assert len(caplog.records) == 1


async def test_a_cancelled_hook_does_not_hide_the_end_of_the_program(reporter: Reporter) -> None:
    async def hook(**context: object) -> None:
        await trio.sleep_forever()

    reporter.hook = hook
    with pytest.RaisesGroup(KeyboardInterrupt), trio.CancelScope() as scope:
        scope.cancel()
        await reporter.report(BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError()]))

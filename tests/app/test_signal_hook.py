"""A hook runs all who hear it; for one alone it is that one."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from trioframe.app.signal_hook import Hook, Report, make_hook
from trioframe.app.signal_keywords import Keywords
from trioframe.app.signal_link import Link, Step

CARRIED = {"request", "response"}


def subscribed(receiver: Callable[..., Any], **options: Any) -> Step:
    return Step(Link(receiver, Keywords.of(receiver), **options), {})


def hook_of(*steps: Step, condition: dict[str, str] | None = None, report: Report | None = None) -> Hook | None:
    return make_hook(steps, "sender", condition, CARRIED, report=report)


async def call(hook: Hook | None) -> None:
    assert hook is not None
    pending = hook(request=1, response=2)
    if pending is not None:
        await pending


def sync(request: int) -> None: ...


async def exact(request: int, response: int) -> None: ...


async def everything(**context: int) -> None: ...


async def optional(request: int, response: int, other: int = 0) -> None: ...


def positional(request: int, /, response: int) -> None: ...


def test_nobody_has_no_hook() -> None:
    assert hook_of() is None
    assert hook_of(subscribed(sync, condition={"a": "b"})) is None
    assert hook_of(Step(Link(sync, None, senders={"another"}), {})) is None


@pytest.mark.parametrize("receiver", [exact, everything, optional])
def test_a_lone_receiver_is_the_hook_itself(receiver: Callable[..., Any]) -> None:
    assert hook_of(subscribed(receiver)) is receiver
    assert hook_of(subscribed(receiver, condition={"a": "b"}), condition={"a": "b"}) is receiver


async def report_nothing(exc: Exception, request: object) -> None: ...


def test_unless_something_has_to_be_done() -> None:
    for hook in (
        hook_of(subscribed(sync)),
        hook_of(subscribed(positional)),
        hook_of(Step(Link(exact, None), {})),
        hook_of(subscribed(exact, weak=True)),
        hook_of(subscribed(exact), subscribed(exact)),
        hook_of(subscribed(exact), report=report_nothing),
        hook_of(Step(subscribed(exact).link, {"other": "x"})),
    ):
        assert hook is not None
        assert hook is not exact


async def test_ways_of_calling() -> None:
    heard: list[object] = []

    async def asynchronous(request: int) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(("async", request))

    def awaitable(response: int) -> Awaitable[None]:
        heard.append(("awaitable", response))
        return asynchronous(request=3)

    steps = [
        subscribed(lambda request: heard.append(("sync", request))),
        subscribed(awaitable),
        Step(Link(lambda *args, **context: heard.append((args, context)), None), {"what": "x"}),
        subscribed(asynchronous),
    ]
    await call(hook_of(*steps))
    assert heard == [
        ("sync", 1),
        ("awaitable", 2),
        ("async", 3),
        (("sender",), {"request": 1, "response": 2, "what": "x"}),
        ("async", 1),
    ]


async def test_sync_receivers_run_in_the_call() -> None:
    heard: list[int] = []
    one, two = (subscribed(lambda number=number: heard.append(number)) for number in (1, 2))
    hook = hook_of(one, two)
    assert hook is not None
    assert hook(request=1, response=2) is None
    assert heard == [1, 2]
    heard.clear()
    hook = hook_of(one, subscribed(exact), two)
    assert hook is not None
    pending = hook(request=1, response=2)
    assert inspect.isawaitable(pending)
    assert heard == [1]
    await pending
    assert heard == [1, 2]


async def test_a_hook_can_be_called_again() -> None:
    heard: list[int] = []
    hook = hook_of(subscribed(lambda: heard.append(1)), subscribed(exact), subscribed(lambda: heard.append(2)))
    await call(hook)
    await call(hook)
    assert heard == [1, 2, 1, 2]


async def test_who_has_died_is_passed_over() -> None:
    heard: list[int] = []
    receiver = lambda: heard.append(1)  # noqa: E731 - held by this name alone
    hook = hook_of(subscribed(receiver, weak=True), subscribed(lambda: heard.append(2)))
    del receiver
    gc.collect()
    await call(hook)
    assert heard == [2]


def failing(number: int) -> Callable[..., None]:
    def fail() -> None:
        raise ZeroDivisionError(number)

    return fail


def failing_later(number: int) -> Callable[..., Awaitable[None]]:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError(number)

    return fail


@pytest.mark.parametrize("fail", [failing, failing_later])
async def test_an_exception_stops_the_rest(fail: Callable[[int], Callable[..., Any]]) -> None:
    heard: list[int] = []
    with pytest.raises(ZeroDivisionError):
        await call(hook_of(subscribed(fail(0)), subscribed(lambda: heard.append(1))))
    assert heard == []


async def test_unless_it_is_reported() -> None:
    heard: list[object] = []

    async def report(exc: Exception, request: object) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(exc.args)

    receivers: list[Callable[..., Any]] = [
        failing(0),
        lambda: heard.append("a"),
        failing_later(1),
        exact,
        failing(2),
        lambda: heard.append("b"),
    ]
    await call(hook_of(*map(subscribed, receivers), report=report))
    assert heard == [(0,), "a", (1,), (2,), "b"]
    heard.clear()
    await call(hook_of(subscribed(failing(3)), report=report))
    assert heard == [(3,)]


async def test_patience(autojump_clock: trio.testing.MockClock) -> None:
    """Who takes too long is cancelled and reported, and keeps nobody behind him from being called."""
    reported: list[Exception] = []
    heard: list[str] = []

    async def report(exc: Exception, request: object) -> None:
        reported.append(exc)

    async def slow(request: int) -> None:
        await trio.sleep(100)

    async def too_slow_by_itself(request: int) -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    steps = [subscribed(receiver) for receiver in (slow, too_slow_by_itself, lambda request: heard.append("behind"))]
    began = trio.current_time()
    await call(make_hook(steps, "sender", None, CARRIED, report=report, patience=10))
    assert trio.current_time() - began == 11
    assert heard == ["behind"]
    assert [type(exc) for exc in reported] == [trio.TooSlowError, trio.TooSlowError]
    assert "slow" in str(reported[0])
    assert "took longer than 10 s" in str(reported[0])


@pytest.mark.parametrize("fail", [failing, failing_later])
async def test_a_report_that_fails(fail: Callable[[int], Callable[..., Any]]) -> None:
    async def report(exc: Exception, request: object) -> None:
        raise RuntimeError("no report")

    with pytest.raises(RuntimeError, match="no report"):
        await call(hook_of(subscribed(fail(0)), report=report))


async def test_cancellation_is_not_reported() -> None:
    reported: list[Exception] = []

    async def report(exc: Exception, request: object) -> None:
        reported.append(exc)

    with trio.CancelScope() as scope:
        scope.cancel()
        await call(hook_of(subscribed(trio.sleep_forever), subscribed(sync), report=report))
    assert scope.cancelled_caught
    assert reported == []


async def test_several_async_receivers_as_they_are() -> None:
    """In the shortest way, and all the same in order, and no further than the first that fails."""
    heard: list[object] = []

    async def first(request: int, response: int) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(("first", request, response))

    async def second(**context: int) -> None:
        heard.append(("second", context))

    await call(hook_of(subscribed(first), subscribed(second)))
    assert heard == [("first", 1, 2), ("second", {"request": 1, "response": 2})]

    async def failing(request: int, response: int) -> None:
        raise ValueError("by a receiver")

    with pytest.raises(ValueError, match="by a receiver"):
        await call(hook_of(subscribed(failing), subscribed(first)))
    assert len(heard) == 2

"""How the handler of a WebSocket ends early, and who hears of it: the client has gone, time is up, the app wants it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Fate, Visitor, receive, sleep, visiting

from trioframe import App, RequestCancelled, WebSocketClosed

GRACE = 5  # seconds, CANCEL_GRACE


@pytest.fixture
def app() -> App:
    return App("cancelled", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": GRACE}, env_prefix=None)


Leave = Callable[[Visitor], Awaitable[object]]


async def reset(visitor: Visitor) -> None:
    visitor.reset()


async def vanish(visitor: Visitor) -> None:
    await visitor.vanish()


async def break_the_protocol(visitor: Visitor) -> None:
    await visitor.stream.send_all(b"\xff\xff")


LOSSES: list[Leave] = [reset, vanish, break_the_protocol]


async def lose(app: App, how: Leave = vanish) -> None:
    """Open a WebSocket, and go without closing it; in a moment its handler has ended."""
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await how(visitor)
        await wait_all_tasks_blocked()


# --- the client has gone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", LOSSES)
async def test_a_handler_that_does_something_else_is_cancelled(
    app: App, way: str, reported: Reported, how: Leave, autojump_clock: MockClock
) -> None:
    fate = Fate(app, sleep)
    await lose(app, how)
    assert fate.how == "Cancelled"
    assert fate.request.disconnected
    assert trio.current_time() == 0
    assert reported.errors == []


@pytest.mark.parametrize("how", LOSSES)
async def test_a_handler_that_receives_is_told(
    app: App, way: str, reported: Reported, how: Leave, autojump_clock: MockClock
) -> None:
    fate = Fate(app, receive)
    await lose(app, how)
    assert fate.how == "WebSocketClosed"
    assert fate.request.disconnected
    assert reported.errors == []


async def test_a_half_close_is_a_loss_also_where_it_is_allowed(autojump_clock: MockClock) -> None:
    app = App("cancelled", {"HALF_CLOSE": "allow"}, env_prefix=None)
    fate = Fate(app, sleep)
    await lose(app, lambda visitor: visitor.stream.send_eof())
    assert (fate.how, fate.ws.close_code) == ("Cancelled", 1006)


async def test_all_outside_see_request_cancelled(app: App, reported: Reported, autojump_clock: MockClock) -> None:
    seen: list[str] = []

    @app.middleware
    async def around(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except RequestCancelled as exc:
            seen.append(f"middleware {exc.reason}")
            raise

    @app.exception(RequestCancelled)
    async def handle(request: Any, error: RequestCancelled) -> None:
        seen.append(f"exception handler {error.reason}")

    @app.signal("http.lifecycle.cancelled")
    async def cancelled(request: Any, reason: str) -> None:
        seen.append(f"http.lifecycle.cancelled {reason}")

    for name in ("http.handler.after", "websocket.handler.after"):
        app.add_signal(lambda exception, name=name: seen.append(f"{name} {exception!r}"), name)
    app.add_signal(lambda **context: pytest.fail("it is no exception"), "websocket.handler.exception")
    app.add_signal(lambda **context: pytest.fail("it is no exception"), "http.lifecycle.exception")
    app.exception(Exception)(lambda request, error: pytest.fail("it is not for this one"))
    Fate(app, sleep)
    await lose(app)
    assert seen == [
        "http.handler.after RequestCancelled('disconnect')",
        "middleware disconnect",
        "http.lifecycle.cancelled disconnect",
        "exception handler disconnect",
        "websocket.handler.after RequestCancelled('disconnect')",
    ]
    assert reported.errors == []


async def test_children_go_with_the_handler(app: App, way: str, autojump_clock: MockClock) -> None:
    left: list[str] = []

    async def child(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.append(name)

    async def with_children(request: Any, ws: Any) -> None:
        request.nursery.start_soon(child, "of the request")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, "of a nursery")

    fate = Fate(app, with_children)
    await lose(app)
    assert fate.how != "runs"
    assert sorted(left) == ["of a nursery", "of the request"]


async def test_children_that_were_left_alone_are_cancelled_too(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    left: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.append("left")

    async def with_a_child(request: Any, ws: Any) -> None:
        request.nursery.start_soon(child)

    fate = Fate(app, with_a_child)
    await lose(app)
    assert (fate.how, left) == ("returned", ["left"])
    assert reported.errors == []


@pytest.mark.parametrize("of_the_request", [False, True])
async def test_one_task_that_is_told_ends_them_all(
    app: App, way: str, reported: Reported, of_the_request: bool, autojump_clock: MockClock
) -> None:
    async def share(request: Any, ws: Any) -> None:
        if of_the_request:
            request.nursery.start_soon(ws.recv)
            await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.recv)
            nursery.start_soon(trio.sleep_forever)

    fate = Fate(app, share)
    await lose(app)
    assert fate.how in ("Cancelled", "ExceptionGroup")
    assert reported.errors == []


async def test_a_task_of_others_is_told_beside(app: App, way: str, autojump_clock: MockClock) -> None:
    """A WebSocket may be used by tasks that are not its handler's; what they learn does not spare the handler."""
    told: list[str] = []

    async def of_the_app(ws: Any) -> None:
        with pytest.raises(WebSocketClosed):
            await ws.ping()
        told.append("told")

    async def share(request: Any, ws: Any) -> None:
        app.nursery.start_soon(of_the_app, ws)
        await trio.sleep_forever()

    fate = Fate(app, share)
    await lose(app)
    assert (fate.how, told) == ("Cancelled", ["told"])


async def test_ignoring_it(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    async def go_on(request: Any, ws: Any) -> None:
        await request.wait_disconnected()
        seen.append(request.disconnected)
        await trio.sleep(100)
        for use in (lambda: ws.send("x"), ws.recv, ws.ping):
            with pytest.raises(WebSocketClosed) as caught:
                await use()
            seen.append(caught.value.code)

    fate = Fate(app, go_on, on_disconnect="ignore")
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        visitor.reset()
        await trio.sleep(101)
    assert fate.how == "returned"
    assert seen == [True, 1006, 1006, 1006]
    assert reported.errors == []


async def test_a_cancellable_block_raises_it_there(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def clean_up(request: Any, ws: Any) -> None:
        try:
            with request.cancellable():
                await trio.sleep_forever()
        except RequestCancelled as exc:
            seen.append((exc.reason, ws.close_code))
            await trio.sleep(GRACE / 2)
            seen.append(trio.current_time())

    fate = Fate(app, clean_up)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.vanish()
        await trio.sleep(GRACE)
    assert fate.how == "returned"
    assert seen == [("disconnect", 1006), GRACE / 2]
    assert reported.errors == []


async def test_what_follows_a_cancellable_block_is_bounded(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def dawdle(request: Any, ws: Any) -> None:
        try:
            with request.cancellable():
                await trio.sleep_forever()
        finally:
            await trio.sleep_forever()

    fate = Fate(app, dawdle)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.vanish()
        await trio.sleep(GRACE + 1)
        assert fate.how == "Cancelled"
    assert reported.errors == []


async def test_a_shielded_block_is_waited_for(app: App, way: str, autojump_clock: MockClock) -> None:
    seen: list[float] = []

    async def save(request: Any, ws: Any) -> None:
        with request.shielded(10):
            await trio.sleep(3)
            seen.append(trio.current_time())
        await trio.sleep_forever()

    fate = Fate(app, save)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.vanish()
        await trio.sleep(4)
        assert fate.how == "Cancelled"
    assert seen == [3]


async def test_an_error_while_unwinding_is_reported(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def fail(request: Any, ws: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("late")

    fate = Fate(app, fail)
    await lose(app)
    assert fate.how == "KeyError"
    assert [repr(error) for error in reported.errors] == ["KeyError('late')"]


# --- by the application -----------------------------------------------------------------------------------------------


async def cancel(request: Any, ws: Any) -> None:
    request.cancel()
    await trio.sleep_forever()


async def set_a_deadline(request: Any, ws: Any) -> None:
    assert request.deadline == math.inf
    request.deadline = trio.current_time() + 10
    await ws.recv()


async def be_cancelled_by_a_child(request: Any, ws: Any) -> None:
    async def child() -> None:
        request.cancel()

    request.nursery.start_soon(child)
    await ws.recv()


@pytest.mark.parametrize(
    ("do", "reason", "when"),
    [(cancel, "application", 0), (be_cancelled_by_a_child, "application", 0), (set_a_deadline, "timeout", 10)],
)
async def test_it_may_be_cancelled_by_the_application(
    *,
    app: App,
    way: str,
    reported: Reported,
    do: Callable[[Any, Any], Awaitable[object]],
    reason: str,
    when: float,
    autojump_clock: MockClock,
) -> None:
    seen: list[Any] = []
    app.add_signal(lambda exception: seen.append(exception.reason), "websocket.handler.after")
    fate = Fate(app, do)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.take_leave() == (1011, "")
        assert trio.current_time() == when
    assert (fate.how, seen) == ("Cancelled", [reason])
    assert reported.errors == []


async def test_a_client_that_does_not_answer_the_close_is_left(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    fate = Fate(app, cancel)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive_close() == (1011, "")
        assert await visitor.rest() == b""
        assert trio.current_time() == app.config.WEBSOCKET_CLOSE_TIMEOUT
    assert fate.how == "Cancelled"
    assert reported.errors == []


async def test_a_handler_that_finishes_all_the_same(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def finish(request: Any, ws: Any) -> None:
        request.cancel()
        with trio.CancelScope(shield=True):
            await ws.send("all the same")

    fate = Fate(app, finish)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "all the same"
        assert await visitor.take_leave() == (1000, "")
    assert fate.how == "returned"
    assert reported.errors == []

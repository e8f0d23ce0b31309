"""A client that closes in order, and what that is to a handler that does something else."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Fate, receive, sleep, visiting
from written_frames import CONTINUATION, PING, PONG, TEXT, frame

from trioframe import App, WebSocketClosed

GRACE = 5  # seconds, CANCEL_GRACE


@pytest.fixture
def app() -> App:
    return App("cancelled", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": GRACE}, env_prefix=None)


async def test_a_handler_may_go_on_behind_a_clean_close(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def go_on(request: Any, ws: Any) -> None:
        await request.wait_disconnected()
        seen.append((request.disconnected, ws.closed, ws.close_code))
        await trio.sleep(100)

    fate = Fate(app, go_on)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
        await trio.sleep(99)
        assert fate.how == "runs"
        await trio.sleep(2)
    assert fate.how == "returned"
    assert seen == [(True, True, 1000)]
    assert reported.errors == []


async def test_unless_it_wants_to_be_cancelled(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    seen: list[str] = []
    app.add_signal(lambda exception: seen.append(repr(exception)), "websocket.handler.after")
    fate = Fate(app, sleep, cancel_on_close=True)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
    assert fate.how == "Cancelled"
    assert seen == ["RequestCancelled('disconnect')"]
    assert trio.current_time() < GRACE
    assert reported.errors == []


async def test_even_then_who_receives_is_told_instead(app: App, way: str, autojump_clock: MockClock) -> None:
    fate = Fate(app, receive, cancel_on_close=True)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
    assert fate.how == "returned"


async def test_and_who_ignores_that_the_client_leaves_is_not_cancelled(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    async def wait(request: Any, ws: Any) -> None:
        await request.wait_disconnected()
        await trio.sleep(1)

    fate = Fate(app, wait, cancel_on_close=True, on_disconnect="ignore")
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
        await trio.sleep(2)
    assert fate.how == "returned"


@pytest.mark.parametrize("cancel_on_close", [True, False])
@pytest.mark.parametrize(("ends", "on_disconnect"), [(True, "cancel"), (False, "ignore")])
async def test_what_a_handler_has_started_is_cancelled_when_it_has_returned(
    *, app: App, ends: bool, on_disconnect: Any, cancel_on_close: bool, autojump_clock: MockClock
) -> None:
    ended: list[float] = []

    async def child() -> None:
        try:
            await trio.sleep(1000)
        finally:
            ended.append(trio.current_time())

    async def start(request: Any, ws: Any) -> None:
        request.nursery.start_soon(child)
        async for _ in ws:
            pass

    Fate(app, start, cancel_on_close=cancel_on_close, on_disconnect=on_disconnect)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
        await trio.sleep(1)
        assert bool(ended) is ends


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("receives", [False, True])
async def test_what_is_left_of_a_handler_lasts_as_long_as_the_websocket(
    *, app: App, way: str, reported: Reported, lost: bool, receives: bool, autojump_clock: MockClock
) -> None:
    seen: list[str] = []

    async def receive_all(ws: Any) -> None:
        seen.extend([message async for message in ws])
        seen.append("told")
        await trio.sleep(1000)

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("cancelled")

    async def start(request: Any, ws: Any) -> None:
        request.nursery.start_soon(child)
        if receives:
            request.nursery.start_soon(receive_all, ws)

    fate = Fate(app, start)
    async with visiting(app) as visitor:
        await visitor.open()
        await trio.sleep(10)
        assert (fate.how, seen) == ("returned", [])
        await visitor.send("still there")
        await trio.sleep(1)
        if lost:
            visitor.stream.reset()
        else:
            await visitor.leave()
        await trio.sleep(1)
    told = ["still there", "told"] if receives and not lost else []
    assert seen == [*told, "cancelled"]
    assert reported.errors == []


async def test_nor_does_it_hold_up_the_server(app: App, autojump_clock: MockClock) -> None:
    async def start(request: Any, ws: Any) -> None:
        request.nursery.start_soon(trio.sleep_forever)

    Fate(app, start)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        assert await visitor.take_leave() == (1001, "the server is stopping")
    assert trio.current_time() < GRACE


async def test_what_a_handler_has_started_ends_with_what_it_has_closed(app: App, autojump_clock: MockClock) -> None:
    async def start(request: Any, ws: Any) -> None:
        request.nursery.start_soon(trio.sleep_forever)
        await ws.close()

    Fate(app, start)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.take_leave() == (1000, "")
    assert trio.current_time() < GRACE


# --- handlers that only send ------------------------------------------------------------------------------------------


async def test_what_the_client_of_a_handler_that_only_sends_says_is_dropped(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    fate = Fate(app, sleep, send_only=True)
    async with visiting(app) as visitor:
        await visitor.open()
        for number in range(100):
            await visitor.send(f"number {number}", bytes(1000))
        await visitor.stream.send_all(frame(PING, b"behind"))
        assert await visitor.receive_frame() == (PONG, b"behind")
        assert fate.how == "runs"
        await visitor.leave()
    assert fate.how == "Cancelled"
    assert trio.current_time() < GRACE
    assert reported.errors == []


@pytest.mark.parametrize("clean", [True, False])
async def test_one_that_receives_all_the_same_waits_for_the_end(
    app: App, way: str, clean: bool, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def wait(request: Any, ws: Any) -> None:
        await ws.send("welcome")
        try:
            seen.extend([message async for message in ws])
        except WebSocketClosed as closed:
            seen.append(closed.code)
        seen.append("ended")

    fate = Fate(app, wait, send_only=True)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "welcome"
        for _ in range(3):
            await visitor.send("a", "b" * 100_000)
            await visitor.stream.send_all(frame(TEXT, b"in ", fin=False) + frame(CONTINUATION, b"pieces"))
            await wait_all_tasks_blocked()
        if clean:
            await visitor.leave()
        else:
            await visitor.vanish()
    assert seen == (["ended"] if clean else [1006, "ended"])
    assert fate.how == "returned"


async def test_limits_hold_for_what_is_dropped_too(app: App, autojump_clock: MockClock) -> None:
    Fate(app, sleep, send_only=True, max_size=1000)
    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.send(bytes(1000), bytes(1001))
        code, _ = await visitor.receive_close()
        assert code == 1009
        await visitor.rest()

"""A client that closes in order, and what that is to a handler that does something else."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Fate, receive, sleep, visiting

from trioframe import App

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


@pytest.mark.parametrize(("ends", "on_disconnect"), [(True, "cancel"), (False, "ignore")])
async def test_what_a_handler_has_started_is_cancelled_when_it_has_returned(
    app: App, ends: bool, on_disconnect: Any, autojump_clock: MockClock
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

    Fate(app, start, cancel_on_close=True, on_disconnect=on_disconnect)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()
        await trio.sleep(1)
        assert bool(ended) is ends

"""Everything that stands around a handler has its time, and no more: the same whatever it answers with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from asking import connected
from trio.testing import MockClock

from trioframe import App, Response, text

LIMIT = 10


@pytest.fixture
def app() -> App:
    return App("test", {"RESPONSE_TIMEOUT": LIMIT, "CANCEL_GRACE": 1, "GRACEFUL_SHUTDOWN_TIMEOUT": 3}, env_prefix=None)


async def answer_of(app: App) -> tuple[str, bytes, float]:
    """The status line, the body, and how many seconds it took."""
    async with connected(app) as client:
        began = trio.current_time()
        _, head, body = await client.ask_all()
        return head.split("\r\n")[0], body, trio.current_time() - began


def answering(app: App, kind: str, seconds: float = 0) -> None:
    @app.get("/")
    async def handler(request: Any) -> object:
        await trio.sleep(seconds)
        if kind == "text":
            return text("ok")
        if kind == "respond":
            response = await request.respond()
            await response.send("ok")
            return None
        return pieces()


async def pieces() -> AsyncIterator[str]:
    yield "ok"


KINDS = pytest.mark.parametrize("kind", ["text", "stream", "respond"])
NESTED = pytest.mark.parametrize("nested", [False, True])


def nest(app: App, nested: bool) -> None:
    if nested:

        @app.middleware
        async def around(request: Any, call_next: Any) -> Any:
            return await call_next(request)


@KINDS
@NESTED
async def test_the_way_out_has_its_own_time(app: App, autojump_clock: MockClock, kind: str, nested: bool) -> None:
    answering(app, kind, LIMIT * 0.6)
    nest(app, nested)

    @app.on_response
    async def slow(request: Any, response: Any) -> None:
        await trio.sleep(LIMIT * 0.6)

    status, body, seconds = await answer_of(app)
    assert "200" in status
    assert b"ok" in body
    assert seconds == pytest.approx(LIMIT * 1.2)


@KINDS
@NESTED
async def test_and_no_more_than_that(app: App, autojump_clock: MockClock, kind: str, nested: bool) -> None:
    answering(app, kind)
    nest(app, nested)

    @app.on_response
    async def hanging(request: Any, response: Any) -> None:
        await trio.sleep_forever()

    status, _, seconds = await answer_of(app)
    assert "503" in status
    assert seconds == LIMIT


async def test_a_handler_without_a_limit_does_not_take_it_away(app: App, autojump_clock: MockClock) -> None:
    @app.get("/")
    async def handler(request: Any) -> object:
        request.deadline = float("inf")
        return pieces()

    @app.on_response
    async def hanging(request: Any, response: Any) -> None:
        await trio.sleep_forever()

    status, _, seconds = await answer_of(app)
    assert ("503" in status, seconds) == (True, LIMIT)


@NESTED
async def test_an_early_answer_has_both_ways_too(app: App, autojump_clock: MockClock, nested: bool) -> None:
    answering(app, "text")
    nest(app, nested)

    @app.on_request
    async def early(request: Any) -> str:
        await trio.sleep(LIMIT * 0.8)
        return "early"

    @app.on_response
    async def slow(request: Any, response: Any) -> None:
        await trio.sleep(LIMIT * 0.8)

    _, body, _ = await answer_of(app)
    assert body == b"early"


@NESTED
async def test_an_early_stream_has_to_begin(app: App, autojump_clock: MockClock, nested: bool) -> None:
    answering(app, "text")
    nest(app, nested)

    async def hanging() -> AsyncIterator[bytes]:
        await trio.sleep_forever()
        yield b""  # pragma: no cover

    app.on_request(lambda request: Response(hanging()))
    status, _, seconds = await answer_of(app)
    assert ("503" in status, seconds) == (True, LIMIT)


async def test_a_shield_of_middleware_ends_in_time(app: App, autojump_clock: MockClock) -> None:
    answering(app, "text")

    @app.on_request
    async def shielding(request: Any) -> None:
        with request.shielded(2):
            await trio.sleep_forever()

    status, _, seconds = await answer_of(app)
    assert ("503" in status, seconds) == (True, LIMIT + 2)


async def test_a_middleware_that_gives_up_the_rest_is_told_of_and_bounded(app: App, autojump_clock: MockClock) -> None:
    told: list[object] = []
    app.signal("http.handler.after")(lambda request, exception: told.append(exception.reason))
    answering(app, "text", 100)

    @app.middleware
    async def impatient(request: Any, call_next: Any) -> Any:
        with trio.move_on_after(1):
            return await call_next(request)
        await trio.sleep(LIMIT / 2)
        return text("late", 504)

    status, _, _ = await answer_of(app)
    assert ("504" in status, told) == (True, ["application"])

    told.clear()
    app2 = App("test", {"RESPONSE_TIMEOUT": LIMIT}, env_prefix=None)
    answering(app2, "text", 100)

    @app2.middleware
    async def hanging(request: Any, call_next: Any) -> Any:
        with trio.move_on_after(1):
            return await call_next(request)
        return await trio.sleep_forever()

    status, _, seconds = await answer_of(app2)
    assert ("503" in status, seconds) == (True, LIMIT + 1)


async def test_a_server_that_stops_answers_who_is_in_middleware(app: App, autojump_clock: MockClock) -> None:
    told: list[str] = []
    app.signal("http.lifecycle.cancelled")(lambda request, reason: told.append(reason))
    answering(app, "text")

    @app.on_request
    async def slow(request: Any) -> None:
        app.shutdown()
        await trio.sleep_forever()

    status, _, seconds = await answer_of(app)
    assert ("503" in status, told) == (True, ["shutdown"])
    assert seconds == 3


@pytest.mark.parametrize("signal", ["http.lifecycle.read_body", "http.lifecycle.send"])
async def test_a_receiver_is_not_torn_when_the_client_leaves(app: App, autojump_clock: MockClock, signal: str) -> None:
    finished = trio.Event()

    @app.signal(signal)
    async def slow() -> None:
        await trio.sleep(1)
        finished.set()

    @app.post("/")
    async def handler(request: Any) -> object:
        return pieces()

    async with connected(app) as client:
        await client.stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        await trio.sleep(0.5)
        await client.stream.aclose()
        with trio.fail_after(5):
            await finished.wait()


async def test_a_receiver_of_reports_that_hangs_holds_nobody_up(app: App, autojump_clock: MockClock) -> None:
    @app.signal("server.exception.report")
    async def hanging(exception: Exception) -> None:
        await trio.sleep_forever()

    @app.get("/")
    async def handler(request: Any) -> object:
        raise ValueError("by a handler")

    status, _, seconds = await answer_of(app)
    assert ("500" in status, seconds) == (True, LIMIT)


async def test_what_a_notice_raises_is_reported_with_its_request(app: App) -> None:
    reported: list[object] = []

    @app.signal("http.lifecycle.complete")
    def fail(request: Any) -> None:
        raise ValueError("by a receiver")

    app.signal("server.exception.report")(lambda exception, request: reported.append((str(exception), request.path)))
    answering(app, "text")
    await answer_of(app)
    await trio.testing.wait_all_tasks_blocked()
    assert reported == [("by a receiver", "/")]

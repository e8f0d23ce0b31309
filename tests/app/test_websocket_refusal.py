"""Until its WebSocket is accepted, a handler may refuse it: by what it returns, by what it raises, and for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import accepted, opening, refusal, visiting

from trioframe import (
    App,
    Forbidden,
    HTTPError,
    RequestCancelled,
    Response,
    ServiceUnavailable,
    WebSocketClosed,
    empty,
    text,
)

TIMEOUT = 30  # seconds, RESPONSE_TIMEOUT


@pytest.fixture
def app() -> App:
    return App("refusal", {"RESPONSE_TIMEOUT": TIMEOUT, "CANCEL_GRACE": 5}, env_prefix=None)


async def pieces() -> AsyncIterator[str]:
    yield "one "
    await trio.sleep(10)
    yield "two"


async def late_pieces() -> AsyncIterator[str]:
    await trio.sleep(10)
    yield "one "
    yield "two"


# --- by the handler ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        (lambda: text("go away", status=403), 403, b"go away"),
        (lambda: "in words", 200, b"in words"),
        (lambda: {"error": 1}, 200, b'{"error":1}'),
        (lambda: empty(), 204, b""),
        (lambda: pieces(), 200, b"one two"),
        (lambda: late_pieces(), 200, b"one two"),
    ],
)
async def test_by_what_it_returns(
    *,
    app: App,
    way: str,
    reported: Reported,
    result: Callable[[], Any],
    status: int,
    body: bytes,
    autojump_clock: MockClock,
) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        return result()

    answer = await refusal(app, handler)
    assert (answer.status, answer.body) == (status, body)
    assert reported.errors == []


async def test_by_an_http_error(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        await trio.sleep(0.5)
        raise HTTPError(402, "pay first", headers={"x-price": "1"})

    answer = await refusal(app, handler)
    assert (answer.status, answer.headers["x-price"]) == (402, "1")
    assert b"pay first" in answer.body
    assert reported.errors == []


async def test_by_an_error(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        raise KeyError("broken")

    assert (await refusal(app, handler)).status == 500
    assert [repr(error) for error in reported.errors] == ["KeyError('broken')"]


@pytest.mark.parametrize("before", [0, 10])
@pytest.mark.parametrize("behind", [0, 10])
async def test_by_respond(
    *, app: App, way: str, reported: Reported, before: float, behind: float, autojump_clock: MockClock
) -> None:
    """However long it takes behind it: the handler has refused."""

    async def handler(request: Any, ws: Any) -> None:
        response = await request.respond(status=403, content_type="text/plain")
        await trio.sleep(before)
        await response.send("one ")
        await trio.sleep(behind)
        await response.send("two")

    answer = await refusal(app, handler)
    assert (answer.status, answer.body) == (403, b"one two")
    assert reported.errors == []


async def test_behind_a_refusal_nothing_can_be_sent(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    async def handler(request: Any, ws: Any) -> None:
        response = await request.respond(status=403, content_type="text/plain")
        for use in (ws.accept, ws.recv, lambda: ws.send("x"), ws.ping, ws.pong):
            with pytest.raises(WebSocketClosed, match="1006: the handshake was refused"):
                await use()
            seen.append(use)
        await ws.close()
        await response.send("no")

    answer = await refusal(app, handler)
    assert (answer.status, answer.body) == (403, b"no")
    assert len(seen) == 5
    assert reported.errors == []


# --- how long it may --------------------------------------------------------------------------------------------------


async def test_a_handler_that_waits_for_something_else_has_accepted_after_a_second(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep(100)

    async with visiting(app) as visitor:
        await visitor.open()
        assert trio.current_time() == 1


async def test_a_handler_that_has_cancelled_its_tasks_accepts_when_it_returns(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        request.nursery.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        request.nursery.cancel_scope.cancel()
        await trio.sleep(2)

    assert await accepted(app, handler) == (1000, "")
    assert reported.errors == []


async def test_a_handler_that_is_cancelled_does_not_accept(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        request.nursery.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        request.cancel()
        with request.shielded(10):
            await trio.sleep(2)
        await trio.sleep_forever()

    assert (await refusal(app, handler)).status == 503
    assert trio.current_time() == 2
    assert reported.errors == []


@pytest.mark.parametrize(
    ("error", "close"),
    [
        (lambda: HTTPError(403, "not you"), (1008, "not you")),
        (lambda: HTTPError(500, "secret"), (1011, "")),
        (lambda: KeyError("broken"), (1011, "")),
    ],
)
async def test_who_raises_later_closes(
    app: App, way: str, error: Callable[[], Exception], close: tuple[int, str], autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep(2)
        raise error()

    assert await accepted(app, handler) == close


async def test_who_returns_a_refusal_later_closes_as_well(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        await trio.sleep(2)
        return text("not you", status=403)

    assert await accepted(app, handler) == (1008, "Forbidden")
    assert reported.errors == []


@pytest.mark.parametrize("result", ["a page", text("a page"), text("busy", status=503)])
async def test_who_returns_something_else_later_is_a_bug(
    app: App, way: str, reported: Reported, result: object, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        await trio.sleep(2)
        return result

    assert await accepted(app, handler) == (1011, "")
    assert "by its first operation or after a second without one" in str(reported.errors)


async def test_who_refuses_in_that_very_moment_has_refused(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> Any:
        await trio.sleep(1)
        return text("no", status=403)

    async with visiting(app) as visitor:
        for _ in range(10):  # the alarm rings before the handler goes on, or behind it
            assert (await visitor.ask()).status == 403
    assert reported.errors == []


async def test_the_time_of_an_exception_handler_is_not_that_of_the_handler(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    @app.exception(KeyError)
    async def slow(request: Any, error: Exception) -> Response:
        await trio.sleep(5)
        return text("slowly", status=403)

    async def handler(request: Any, ws: Any) -> None:
        raise KeyError

    assert (await refusal(app, handler)).body == b"slowly"


async def test_what_came_meanwhile_is_received(app: App, way: str, autojump_clock: MockClock) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep(2)
        await ws.send(f"late {await ws.recv()}")

    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.send("message")
        assert await visitor.receive() == "late message"


async def test_the_time_of_a_receiver_is_not_that_of_the_handler(app: App, way: str, autojump_clock: MockClock) -> None:
    async def ask_somebody(**context: Any) -> None:
        await trio.sleep(10)

    app.add_signal(lambda **context: ask_somebody(), "websocket.handler.before")

    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep(0.5)
        raise Forbidden

    assert (await refusal(app, handler)).status == 403


# --- in time ----------------------------------------------------------------------------------------------------------


async def test_the_timeout_bounds_the_handshake(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep_forever()

    assert (await refusal(app, handler, timeout=0.5)).status == 503
    assert trio.current_time() == 0.5
    assert reported.errors == []


async def test_it_does_not_bound_what_follows(app: App, way: str, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        assert request.deadline == float("inf")
        await trio.sleep(2 * TIMEOUT)

    app.websocket("/ws")(handler)
    async with visiting(app) as visitor:
        await visitor.open()
        while (await visitor.receive_frame())[0] == 9:  # it is pinged
            await visitor.stream.send_all(b"\x8a\x80\x00\x00\x00\x00")
    assert trio.current_time() == 2 * TIMEOUT


async def test_a_response_middleware_that_hangs(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.on_response
    async def hang(request: Any, response: Response) -> None:
        if response.status == 101:
            await trio.sleep_forever()

    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()

    assert (await refusal(app, handler)).status == 503
    assert trio.current_time() == TIMEOUT
    assert [type(error) for error in reported.errors] == [ServiceUnavailable]


async def test_a_slow_response_middleware_is_waited_for_once(app: App, way: str, autojump_clock: MockClock) -> None:
    seen: list[int] = []

    @app.on_response
    async def slow(request: Any, response: Response) -> None:
        seen.append(response.status)
        await trio.sleep(10)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.send, "one")
            nursery.start_soon(ws.accept)
            nursery.start_soon(ws.accept)

    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "one"
        assert await visitor.take_leave() == (1000, "")
    assert seen == [101]
    assert trio.current_time() == 10


@pytest.mark.parametrize("raises", [False, True])
async def test_who_refuses_while_it_is_being_accepted_is_too_late(
    app: App, way: str, reported: Reported, raises: bool, autojump_clock: MockClock
) -> None:
    """What is raised ends that as well, but a result has to wait for it."""

    @app.on_response
    async def slow(request: Any, response: Response) -> None:
        if response.status == 101:
            await trio.sleep(10)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> Any:
        await trio.sleep(2)
        if raises:
            raise HTTPError(403, "not you")
        return text("not you", status=403)

    async with visiting(app) as visitor:
        answer = await visitor.ask()
        if raises:
            assert answer.status == 403
        else:
            assert answer.status == 101
            assert await visitor.take_leave() == (1008, "Forbidden")
    assert reported.errors == []


async def test_an_accept_that_was_cancelled_halfway_breaks_the_connection(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        with trio.move_on_after(5) as scope:
            await ws.accept({"x-large": "x" * 20_000})
        seen.append(scope.cancelled_caught)
        with pytest.raises((RequestCancelled, WebSocketClosed)):
            await ws.send("nobody reads this")
        seen.append("told")

    async with visiting(app) as visitor:
        visitor.stream.stop_reading()
        await visitor.stream.send_all(opening())
        await trio.sleep(6)
        visitor.stream.resume_reading()
        assert len(await visitor.rest()) < 20_000
    assert seen == [True, "told"]


async def test_a_cancelled_accept_is_no_accept(app: App, way: str, autojump_clock: MockClock) -> None:
    """It was cancelled before anything was done."""

    async def handler(request: Any, ws: Any) -> Any:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.accept()
        assert scope.cancelled_caught
        assert not ws.accepted
        return text("refused", status=403)

    assert (await refusal(app, handler)).status == 403


async def test_a_client_that_leaves_before_it_is_accepted(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    left: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        try:
            await trio.sleep(0.9)
        finally:
            left.append(f"left at {trio.current_time()}")

    async with visiting(app) as visitor:
        await visitor.stream.send_all(opening())
        await wait_all_tasks_blocked()
        visitor.reset()
        await wait_all_tasks_blocked()
        assert left == ["left at 0.0"]
    assert reported.errors == []


async def test_a_refusal_holds_if_the_acceptance_on_its_way_is_given_up(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.on_response
    async def slow(request: Any, response: Response) -> None:
        if response.status == 101:
            await trio.sleep(1)

    async def handler(request: Any, ws: Any) -> Any:
        async def greet() -> None:
            with trio.move_on_after(0.5):
                await ws.send("hello")

        request.nursery.start_soon(greet)
        await trio.sleep(0.2)
        return text("no", status=403)

    assert (await refusal(app, handler)).status == 403
    assert reported.errors == []

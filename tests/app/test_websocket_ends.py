"""How the handler of a WebSocket may end, and what its client is told then."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Fate, opening, sleep, visiting
from written_frames import CLOSE, frame

from trioframe import App, Forbidden, HTTPError, RequestCancelled, ServerError, WebSocketClosed, text
from trioframe.testing import memory_pair


@pytest.fixture
def app() -> App:
    return App("websocket", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": 5}, env_prefix=None)


Handler = Callable[..., Any]


async def ended(app: App, handler: Handler) -> tuple[int, str]:
    """How a client sees `handler` end: the close, or the refusal."""
    app.websocket("/ws")(handler)
    async with visiting(app) as visitor:
        answer = await visitor.ask()
        return await visitor.take_leave() if answer.status == 101 else (answer.status, answer.body.decode())


# --- how the handler ends ---------------------------------------------------------------------------------------------


async def test_a_handler_that_returns_closes_with_1000(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()

    assert await ended(app, handler) == (1000, "")
    assert reported.errors == []


async def test_a_handler_that_does_nothing_has_accepted(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        return

    assert await ended(app, handler) == (1000, "")
    assert trio.current_time() < 1
    assert reported.errors == []


async def test_a_handler_may_close_by_itself(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.close(4321, "enough")
        with pytest.raises(WebSocketClosed, match="4321: enough"):
            await ws.send("more")

    assert await ended(app, handler) == (4321, "enough")
    assert reported.errors == []


@pytest.mark.parametrize(
    ("error", "close"),
    [
        (lambda: KeyError("broken"), (1011, "")),
        (lambda: HTTPError(404, "no such room"), (1008, "no such room")),
        (lambda: Forbidden(), (1008, "Forbidden")),
        (lambda: HTTPError(400, "\N{SNOWMAN}" * 100), (1008, "\N{SNOWMAN}" * 41)),
        (lambda: HTTPError(503, "secret"), (1011, "")),
        (lambda: ExceptionGroup("several", [KeyError("one"), ValueError("two")]), (1011, "")),
        (lambda: RequestCancelled("application"), (1011, "")),
    ],
)
async def test_a_handler_that_raises_behind_its_accept(
    app: App, way: str, error: Callable[[], Exception], close: tuple[int, str], autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise error()

    assert await ended(app, handler) == close


async def test_what_nobody_has_handled_is_reported_once(
    app: App, way: str, reported: Reported, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise KeyError("broken")

    await ended(app, handler)
    assert [repr(error) for error in reported.errors] == ["KeyError('broken')"]
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [logging.ERROR]


async def test_an_error_that_is_quiet_is_not_reported(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise HTTPError(404, "no such room")

    await ended(app, handler)
    assert reported.errors == []


async def test_exception_handlers_are_asked(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    asked: list[str] = []

    @app.exception(LookupError)
    async def handle(request: Any, error: Exception) -> Any:
        asked.append(repr(error))
        return text("nobody reads this")

    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise KeyError("broken")

    assert await ended(app, handler) == (1011, "")
    assert asked == ["KeyError('broken')"]
    assert reported.errors == []


async def test_an_exception_handler_may_say_more(app: App, way: str, autojump_clock: MockClock) -> None:
    """Until the handler's end is told, the WebSocket is open."""
    sockets: list[Any] = []

    @app.exception(KeyError)
    async def handle(request: Any, error: Exception) -> None:
        await sockets[0].send("sorry")
        await sockets[0].close(4000, "broken")

    async def handler(request: Any, ws: Any) -> None:
        sockets.append(ws)
        await ws.accept()
        raise KeyError("broken")

    app.websocket("/ws")(handler)
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "sorry"
        assert await visitor.take_leave() == (4000, "broken")


@pytest.mark.parametrize("result", [lambda: "text", lambda: text("late"), lambda: {"a": 1}, lambda: pieces()])
async def test_a_result_behind_the_accept_is_a_bug(
    app: App, way: str, reported: Reported, result: Callable[[], Any], autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        await ws.accept()
        return result()

    assert await ended(app, handler) == (1011, "")
    (error,) = reported.errors
    assert isinstance(error, ServerError)
    assert "return a response only before the WebSocket is accepted" in str(error)


async def pieces() -> AsyncIterator[str]:
    yield "one "
    yield "two"


async def test_respond_behind_the_accept_is_a_bug(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> Any:
        await ws.accept()
        await request.respond()

    assert await ended(app, handler) == (1011, "")
    assert "the response has begun" in str(reported.errors)


# --- a WebSocket that has ended ---------------------------------------------------------------------------------------


async def closed_by_client(app: App) -> None:
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.leave()


async def alone(ws: Any) -> None:
    while True:
        await ws.recv()


async def in_a_nursery(ws: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alone, ws)
        nursery.start_soon(trio.sleep_forever)


async def in_two_nurseries(ws: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_a_nursery, ws)
        nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize("use", [alone, in_a_nursery, in_two_nurseries])
async def test_its_end_may_be_let_through(
    app: App, way: str, reported: Reported, use: Handler, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await use(ws)

    await closed_by_client(app)
    assert reported.errors == []


@pytest.mark.parametrize("use", [alone, in_a_nursery])
async def test_also_by_a_child_of_the_request(
    app: App, way: str, reported: Reported, use: Handler, autojump_clock: MockClock
) -> None:
    left: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        request.nursery.start_soon(use, ws)
        try:
            await trio.sleep_forever()
        finally:
            left.append("left")

    await closed_by_client(app)
    assert left == ["left"]
    assert reported.errors == []


@pytest.mark.parametrize("child", [False, True])
async def test_a_real_error_beside_it_is_reported_once(
    app: App, way: str, reported: Reported, child: bool, autojump_clock: MockClock
) -> None:
    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("late")

    async def use(ws: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alone, ws)
            nursery.start_soon(fail_late)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        if child:
            request.nursery.start_soon(use, ws)
            await trio.sleep_forever()
        await use(ws)

    await closed_by_client(app)
    (error,) = reported.errors
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(KeyError) is not None


async def test_the_end_of_another_one_is_an_error(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise WebSocketClosed(1000, "of a client that this handler has")

    assert await ended(app, handler) == (1011, "")
    assert [type(error) for error in reported.errors] == [WebSocketClosed]


async def test_a_send_to_another_one_that_is_given_up_cuts_that_one(
    app: App, reported: Reported, autojump_clock: MockClock
) -> None:
    """Its frame is torn; so a handler had better not send there."""
    fate = Fate(app, sleep)

    @app.websocket("/sender")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        with trio.move_on_after(1):
            await fate.ws.send("x" * 10_000_000)

    async with visiting(app) as other, visiting(app) as visitor:
        await other.open()
        await visitor.open("/sender")
        assert await visitor.take_leave() == (1000, "")
        assert (fate.how, fate.ws.close_code) == ("Cancelled", 1006)
        assert len(await other.rest()) < 10_000_000
    assert reported.errors == []


async def test_also_among_several(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        raise ExceptionGroup("several", [WebSocketClosed(1000), WebSocketClosed(1001)])

    assert await ended(app, handler) == (1011, "")
    assert [type(error) for error in reported.errors] == [ExceptionGroup]


async def test_an_exception_handler_that_raises_it_again_does_not_hide_the_end(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    @app.exception(RequestCancelled)
    async def note(request: Any, error: RequestCancelled) -> None:
        raise error

    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        request.cancel()
        await trio.sleep_forever()

    assert await ended(app, handler) == (1011, "")


async def test_an_end_is_no_error_either_where_all_is_cancelled(
    app: App, way: str, reported: Reported, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """A task of the handler lets it through, in the moment in which the program is cancelled."""

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        async def receive() -> None:
            try:
                await ws.recv()
            except WebSocketClosed:
                program.cancel()
                raise

        request.nursery.start_soon(receive)
        await trio.sleep_forever()

    near, far = memory_pair()
    with trio.CancelScope() as program:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.serve_stream, far)
            await near.send_all(opening() + frame(CLOSE, b"\x0f\xa0"))
            await trio.sleep_forever()
    assert reported.errors == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

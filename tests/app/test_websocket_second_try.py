"""An accept that was cut short does not undo what middleware has said; and each WebSocket has an end of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock
from upgrading import sleep, visiting

from trioframe import App, LocalProtocolError, Response, WebSocketClosed


@pytest.fixture
def app() -> App:
    return App("second", env_prefix=None)


async def accept_in_vain(ws: Any) -> None:
    with trio.move_on_after(0.5) as scope:
        await ws.accept()
    assert scope.cancelled_caught


async def test_a_refusal_holds_for_the_second_try_too(app: App, autojump_clock: MockClock) -> None:
    @app.on_response
    async def guard(request: Any, response: Response) -> Response:
        async def body() -> AsyncIterator[bytes]:
            await trio.sleep(0.01)
            yield b"no"

        await trio.sleep(1)
        return Response(body(), status=403)

    ends: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await accept_in_vain(ws)
        try:
            await ws.send("secret")
        except WebSocketClosed as closed:
            ends.append(closed.reason)

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 403
    assert ends == ["refused by a middleware"]


async def test_and_so_do_headers(app: App, autojump_clock: MockClock) -> None:
    @app.on_response
    async def mark(request: Any, response: Response) -> None:
        await trio.sleep(1)
        response.headers["x-mark"] = "marked"

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await accept_in_vain(ws)
        await ws.accept({"x-mark": "other", "x-more": "more"})

    async with visiting(app) as visitor:
        answer = await visitor.ask()
        assert answer.status == 101
        assert (answer.headers["x-mark"], answer.headers["x-more"]) == ("marked", "more")


async def test_middleware_is_not_asked_about_what_cannot_be_sent(app: App, autojump_clock: MockClock) -> None:
    asked: list[int] = []
    app.on_response(lambda request, response: asked.append(response.status))

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.accept({"upgrade": "x"})
        assert asked == []
        await ws.accept()

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 101
        await trio.sleep(1)
    assert asked == [101]


async def test_who_is_taken_to_accept_has_the_context_of_the_request(app: App, autojump_clock: MockClock) -> None:
    who: ContextVar[str] = ContextVar("who")

    @app.on_request
    async def note(request: Any) -> None:
        who.set("Ada")

    app.on_response(lambda request, response: response.headers.add("x-who", who.get()))
    app.websocket("/ws")(sleep)
    async with visiting(app) as visitor:
        answer = await visitor.ask()
        assert (answer.status, answer.headers["x-who"]) == (101, "Ada")


async def test_the_end_of_another_one_is_an_error(app: App, reported: Reported, autojump_clock: MockClock) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"
        raise WebSocketClosed(4000, "of another one")

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.send(pieces())

    async with visiting(app) as visitor:
        await visitor.open()
        await trio.sleep(1)
    assert [type(error) for error in reported.errors] == [WebSocketClosed]

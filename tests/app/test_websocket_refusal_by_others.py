"""Until a WebSocket is accepted, all who stand around its handler may refuse it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock
from upgrading import refusal, visiting

from trioframe import (
    App,
    Forbidden,
    HTTPError,
    Response,
    WebSocketClosed,
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


async def untouched(request: Any, ws: Any) -> None:
    pytest.fail("the handler was not to be called")


# --- by who stands around it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refuse", [lambda request: text("closed", status=403), lambda request: raising(HTTPError(403, "closed"))]
)
async def test_by_a_request_middleware(
    app: App, way: str, reported: Reported, refuse: Callable[[Any], Any], autojump_clock: MockClock
) -> None:
    app.on_request(refuse)
    app.websocket("/ws")(untouched)
    async with visiting(app) as visitor:
        answer = await visitor.ask()
        assert answer.status == 403
        assert b"closed" in answer.body
    assert reported.errors == []


def raising(error: Exception) -> Any:
    raise error


async def test_by_a_middleware_around(app: App, reported: Reported, autojump_clock: MockClock) -> None:
    @app.middleware
    async def refuse(request: Any, call_next: Any) -> Any:
        assert request.headers["upgrade"] == "websocket"
        return text("closed", status=403) if request.path == "/ws" else await call_next(request)

    assert (await refusal(app, untouched)).status == 403
    assert reported.errors == []


async def test_by_what_stands_around_the_handler(app: App, reported: Reported, autojump_clock: MockClock) -> None:
    @app.around("websocket.handler")
    async def refuse(request: Any) -> AsyncIterator[None]:
        await trio.sleep(10)
        raise Forbidden
        yield

    assert (await refusal(app, untouched)).status == 403
    assert reported.errors == []


async def test_by_a_receiver(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    @app.signal("websocket.handler.before")
    async def refuse(request: Any, websocket: Any) -> None:
        raise Forbidden

    assert (await refusal(app, untouched)).status == 403
    assert reported.errors == []


# --- by a response middleware, to whom the 101 is a response ----------------------------------------------------------


def at_once(ws: Any) -> Any:
    return ws.accept()


def by_sending(ws: Any) -> Any:
    return ws.send("hello")


def by_receiving(ws: Any) -> Any:
    return ws.recv()


async def by_waiting(ws: Any) -> None:
    await trio.sleep(100)


async def by_a_child(ws: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ws.recv)


async def by_returning(ws: Any) -> None: ...


@pytest.mark.parametrize("use", [at_once, by_sending, by_receiving, by_waiting, by_a_child, by_returning])
async def test_by_another_response(
    app: App, way: str, reported: Reported, use: Callable[[Any], Any], autojump_clock: MockClock
) -> None:
    @app.on_response
    def replace(request: Any, response: Response) -> Response | None:
        return text("not now", status=503) if response.status == 101 else None

    async def handler(request: Any, ws: Any) -> None:
        await use(ws)

    answer = await refusal(app, handler)
    assert (answer.status, answer.body) == (503, b"not now")
    assert reported.errors == []
    assert trio.current_time() < 5


async def test_a_handler_may_go_on_behind_that(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    @app.on_response
    def replace(request: Any, response: Response) -> Response | None:
        return text("not now", status=503) if response.status == 101 else None

    async def handler(request: Any, ws: Any) -> None:
        for use in (ws.accept, ws.recv, lambda: ws.send("x"), ws.ping):
            with pytest.raises(WebSocketClosed):
                await use()
            seen.append((ws.accepted, ws.closed, ws.close_code))
        await ws.close()

    assert (await refusal(app, handler)).status == 503
    assert seen == [(False, True, 1006)] * 4
    assert reported.errors == []


@pytest.mark.parametrize("use", [at_once, by_waiting, by_a_child, by_returning])
async def test_by_a_stream(
    app: App, way: str, reported: Reported, use: Callable[[Any], Any], autojump_clock: MockClock
) -> None:
    @app.on_response
    def replace(request: Any, response: Response) -> Any:
        return pieces() if response.status == 101 else None

    async def handler(request: Any, ws: Any) -> None:
        await use(ws)

    answer = await refusal(app, handler)
    assert (answer.status, answer.body) == (200, b"one two")
    assert reported.errors == []


@pytest.mark.parametrize("use", [at_once, by_sending, by_receiving, by_waiting, by_returning])
@pytest.mark.parametrize(("error", "status"), [(KeyError("broken"), 500), (HTTPError(418, "no coffee"), 418)])
async def test_by_an_error_of_it(
    *,
    app: App,
    way: str,
    reported: Reported,
    use: Callable[[Any], Any],
    error: Exception,
    status: int,
    autojump_clock: MockClock,
) -> None:
    @app.on_response
    def broken(request: Any, response: Response) -> None:
        if response.status == 101:
            raise error

    async def handler(request: Any, ws: Any) -> None:
        await use(ws)

    assert (await refusal(app, handler)).status == (status if use is not by_waiting else 500)
    if status == 500:
        assert len(reported.errors) == 1

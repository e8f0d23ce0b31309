"""What stands around the handler of a WebSocket: it is met as with any GET, and sees how the handler ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Visitor, visiting

from trioframe import App, RequestCancelled, Response, WebSocketClosed

TIMEOUT = 30  # seconds, RESPONSE_TIMEOUT


@pytest.fixture
def app() -> App:
    return App("hooks", {"RESPONSE_TIMEOUT": TIMEOUT, "CANCEL_GRACE": 5}, env_prefix=None)


async def accept(request: Any, ws: Any) -> None:
    await ws.accept()


async def receive(request: Any, ws: Any) -> None:
    async for _ in ws:
        pass


async def sleep(request: Any, ws: Any) -> None:
    await ws.accept()
    await trio.sleep_forever()


async def fail(request: Any, ws: Any) -> None:
    await ws.accept()
    raise KeyError("broken")


async def cancel(request: Any, ws: Any) -> None:
    await ws.accept()
    request.cancel()
    await trio.sleep_forever()


async def take_leave(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.take_leave()


async def test_all_that_stands_around_is_met_as_with_any_get(app: App, autojump_clock: MockClock) -> None:
    met: list[str] = []

    def around(phase: str) -> None:
        async def standing(request: Any) -> AsyncIterator[None]:
            met.append(f"into {phase}")
            yield
            met.append(f"out of {phase}")

        app.around(phase)(standing)

    for phase in ("http.lifecycle", "http.handler", "websocket.handler"):
        around(phase)
    app.on_request(lambda request: met.append(f"request {request.headers['upgrade']}"))

    @app.on_response
    def note(request: Any, response: Response) -> None:
        met.append(f"response {response.status}")

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        met.append("into middleware")
        response = await call_next(request)
        met.append(f"out of middleware {response.status}")
        return response

    for name in ("http.handler.before", "http.handler.after", "http.lifecycle.complete"):
        app.add_signal(lambda name=name: met.append(name), name)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        met.append("handler")
        await ws.accept()
        met.append("accepted")

    async with visiting(app) as visitor:
        await take_leave(visitor)
    assert met == [
        "into http.lifecycle",
        "into middleware",
        "request websocket",
        "into http.handler",
        "into websocket.handler",
        "http.handler.before",
        "handler",
        "response 101",
        "accepted",
        "http.handler.after",
        "out of websocket.handler",
        "out of http.handler",
        "out of middleware 101",
        "http.lifecycle.complete",
        "out of http.lifecycle",
    ]


async def test_what_stands_around_sees_how_it_ended(app: App, autojump_clock: MockClock) -> None:
    seen: list[str] = []

    @app.around("websocket.handler")
    async def standing(request: Any) -> AsyncIterator[None]:
        try:
            yield
        except (KeyError, RequestCancelled, WebSocketClosed) as exc:
            seen.append(repr(exc))
            raise

    app.websocket("/fail", name="fail")(fail)
    app.websocket("/sleep", name="sleep")(sleep)
    app.websocket("/receive", name="receive")(receive)
    async with visiting(app) as visitor:
        await visitor.open("/fail")
        await visitor.take_leave()
    async with visiting(app) as visitor:
        await visitor.open("/sleep")
        await wait_all_tasks_blocked()
        await visitor.vanish()
    async with visiting(app) as visitor:
        await visitor.open("/receive")
        await visitor.leave()
    assert seen == ["KeyError('broken')", "RequestCancelled('disconnect')"]


async def test_it_stands_around_no_other_handler(app: App, autojump_clock: MockClock) -> None:
    met: list[str] = []

    @app.around("websocket.handler")
    async def standing(request: Any) -> AsyncIterator[None]:
        met.append(request.path)
        yield

    @app.get("/")
    async def hello(request: Any) -> str:
        return "hello"

    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        assert (await visitor.ask(path="/")).status == 200
        await take_leave(visitor)
    assert met == ["/ws"]

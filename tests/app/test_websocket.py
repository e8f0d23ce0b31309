"""The route of a WebSocket: its declaration, the tasks of its handler, and its connection."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import LOST, visiting

from trioframe import App, CompileError


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


# --- the declaration --------------------------------------------------------------------------------------------------


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def test_a_conversation(app: App, way: str, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)
    async with visiting(app) as visitor:
        await visitor.open()
        for message in ("text", b"binary", "", "\N{SNOWMAN}"):
            await visitor.send(message)
            assert await visitor.receive() == message
        await visitor.leave()


async def test_a_handler_is_given_what_its_path_says(app: App, autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    @app.websocket("/room/<room>/<seat:int>", version=2, host="a.example", name="room", ctx_kind="chat")
    async def sit(request: Any, ws: Any, room: str, seat: int) -> None:
        seen.append((room, seat, request.match_info, request.route.ctx.kind, request.route.name, request.args.get("q")))
        await ws.send(f"{room} {seat}")

    async with visiting(app) as visitor:
        assert (await visitor.ask(path="/v2/room/red/7")).status == 404
        await visitor.open("/v2/room/red/7?q=1", host="a.example")
        assert await visitor.receive() == "red 7"
        await visitor.take_leave()
    assert seen == [("red", 7, {"room": "red", "seat": 7}, "chat", "room", "1")]
    assert app.url_for("room", room="red", seat=7, _host="a.example").endswith("/v2/room/red/7")


async def test_a_lone_string_is_one(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws", "chat", origins="https://a.example")(echo)
    async with visiting(app) as visitor:
        answer = await visitor.open(sec_websocket_protocol="chat", origin="https://a.example")
        assert answer.headers["sec-websocket-protocol"] == "chat"


def test_there_is_but_one_method(app: App) -> None:
    with pytest.raises(TypeError, match="methods"):
        app.websocket("/ws", methods=["POST"])(echo)


async def test_an_async_callable_is_a_handler(app: App, autojump_clock: MockClock) -> None:
    class Greeter:
        async def __call__(self, request: Any, ws: Any) -> None:
            await ws.send("hello")

    app.websocket("/ws", name="greeter")(Greeter())
    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "hello"
        await visitor.take_leave()


async def test_it_stands_beside_other_routes(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)

    @app.post("/ws", name="post")
    async def post(request: Any) -> str:
        return "posted"

    async with visiting(app) as visitor:
        answer = await visitor.ask(b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (answer.status, answer.body) == (200, b"posted")
        await visitor.open()
        await visitor.leave()


DECLARATIONS: list[tuple[Callable[[App], object], str]] = [
    (
        lambda app: app.websocket("/ws")(lambda request, ws: None),
        "the handler of the WebSocket at '/ws' must be async",
    ),
    (lambda app: app.websocket("/ws/<room>")(echo), "the handler of '/ws/<room>' must take (request, ws, room)"),
    (lambda app: app.websocket("/ws")(passing), "must take (request, ws)"),
    (lambda app: app.websocket("/ws", ["v1", "v 2"])(echo), "'v 2' cannot be a subprotocol"),
    (lambda app: app.websocket("/ws", [""])(echo), "'' cannot be a subprotocol"),
    (
        lambda app: app.websocket("/ws", deflate=cast("bool", 9))(echo),
        "deflate=9 tells nothing about compression: give True",
    ),
    (lambda app: app.websocket("/ws", origins=["a.example"])(echo), "'a.example' is no origin: write scheme://host"),
    (lambda app: app.websocket("/ws", origins=["https://a.example/"])(echo), "'https://a.example/' is no origin"),
    (lambda app: app.websocket("/ws", origins=["*"])(echo), "'*' is no origin"),
    (lambda app: app.websocket("/ws", cast("list[str]", [1]))(echo), "1 cannot be a subprotocol"),
    (lambda app: app.websocket("/ws", origins=cast("list[str]", [1]))(echo), "1 is no origin"),
    (lambda app: app.websocket("/ws", max_size=0)(echo), "max_size cannot be 0; allowed is a whole number, 1 or more"),
    (lambda app: app.websocket("/ws", timeout=-1)(echo), "the route /ws is wrong: timeout cannot be -1"),
]


async def passing(request: Any) -> None: ...


async def generating(request: Any, ws: Any) -> AsyncIterator[str]:
    yield ""


@pytest.mark.parametrize(("declare", "said"), DECLARATIONS)
def test_a_mistake_in_a_declaration_is_told_with_its_place(
    app: App, declare: Callable[[App], object], said: str
) -> None:
    declare(app)
    with pytest.raises(CompileError) as caught:
        app.compile()
    (mistake,) = caught.value.exceptions
    assert said in str(mistake)
    assert "test_websocket.py:" in str(mistake)


def test_a_generator_is_no_handler(app: App) -> None:
    app.websocket("/ws")(generating)
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert "is a generator" in str(caught.value)


def test_all_mistakes_of_a_declaration_are_told_together(app: App) -> None:
    app.websocket("/ws", ["v 1", "v\n2"], origins=["x", "y"])(lambda ws: None)
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert len(caught.value.exceptions) == 6


def test_one_path_is_the_place_of_one(app: App) -> None:
    app.websocket("/ws", name="one")(echo)
    app.websocket("/ws", name="two")(echo)
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert "/ws" in str(caught.value)


# --- children of the request ------------------------------------------------------------------------------------------


async def test_children_use_it_and_are_waited_for(app: App, way: str, autojump_clock: MockClock) -> None:
    async def tick(ws: Any) -> None:
        for number in range(3):
            await trio.sleep(5)
            await ws.send(str(number))

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        request.nursery.start_soon(tick, ws)

    async with visiting(app) as visitor:
        await visitor.open()
        assert [await visitor.receive() for _ in range(3)] == ["0", "1", "2"]
        assert await visitor.take_leave() == (1000, "")
    assert trio.current_time() == 15


async def test_a_child_that_fails_closes_with_1011(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    async def fail() -> None:
        await trio.sleep(2)
        raise KeyError("child")

    async def handler(request: Any, ws: Any) -> None:
        request.nursery.start_soon(fail)
        async for _ in ws:
            pass

    assert await ended(app, handler) == (1011, "")
    (error,) = reported.errors
    assert isinstance(error, ExceptionGroup)


# --- the connection ---------------------------------------------------------------------------------------------------


async def test_nothing_follows_on_the_connection(app: App, way: str, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)

    @app.get("/")
    async def hello(request: Any) -> None:
        pytest.fail("this connection speaks no HTTP any more")

    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.send_close()
        await visitor.stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await visitor.receive_close() == (1000, "")
        assert await visitor.rest() == b""


async def test_after_response_runs_when_it_has_ended(app: App, way: str, autojump_clock: MockClock) -> None:
    order: list[str] = []

    async def after() -> None:
        order.append("after")

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        request.after_response(after)
        order.append(await ws.recv())
        await echo(request, ws)

    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.send("message")
        await visitor.leave()
    assert order == ["message", "after"]


async def test_two_apps_in_one_process(app: App, autojump_clock: MockClock) -> None:
    other = App("other", env_prefix=None)
    heard: list[str] = []
    for name, one in (("app", app), ("other", other)):
        one.websocket("/ws", name="ws")(echo)
        one.add_signal(lambda name=name: heard.append(name), "websocket.connection.open")
    async with visiting(app) as visitor, visiting(other) as another:
        await another.open()
        await visitor.open()
        await visitor.send("one")
        await another.send("two")
        assert (await visitor.receive(), await another.receive()) == ("one", "two")
        await visitor.leave()
        await another.leave()
    assert heard == ["other", "app"]


async def test_the_access_log_tells_of_its_beginning_and_its_end(
    app: App, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    logged = App("logged", {"ACCESS_LOG": True, "ACCESS_LOG_FORMAT": "json"}, env_prefix=None)
    logged.websocket("/ws")(echo)
    with caplog.at_level(logging.INFO, "trioframe.access"):
        async with visiting(logged) as visitor:
            await visitor.open()
            (begin,) = [json.loads(record.getMessage()) for record in caplog.records]
            await visitor.send("hello")
            assert await visitor.receive() == "hello"
            await visitor.leave()
            await wait_all_tasks_blocked()
            _, end = [json.loads(record.getMessage()) for record in caplog.records]
    assert (begin["status"], end["status"], end["close_code"]) == (101, 101, 1000)
    assert end["bytes"] == begin["bytes"] + len(b"\x81\x05hello\x88\x02\x03\xe8")
    assert end["connection"] == begin["connection"]


async def test_an_abnormal_end_is_told_there_too(
    app: App, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    logged = App("logged", {"ACCESS_LOG": True}, env_prefix=None)
    logged.websocket("/ws")(echo)
    with caplog.at_level(logging.INFO, "trioframe.access"):
        async with visiting(logged) as visitor:
            await visitor.open()
            visitor.reset()
            await wait_all_tasks_blocked()
    assert f"101 closed {LOST} " in caplog.records[-1].getMessage()

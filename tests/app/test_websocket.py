"""The route of a WebSocket: its declaration, its handler, and what the client is told when that has ended."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import LOST, WAYS, visiting

from trioframe import App, CompileError, Forbidden, HTTPError, RequestCancelled, ServerError, WebSocketClosed, text


@pytest.fixture
def app() -> App:
    return App("websocket", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": 5}, env_prefix=None)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, app: App) -> str:
    """In the standing scope, or in one of its own, as something stands around: all that follows holds for both."""
    WAYS[request.param](app)
    return str(request.param)


@pytest.fixture
def reported(app: App) -> Reported:
    """What nobody has handled."""
    reported = Reported()
    app.add_signal(reported, "server.exception.report")
    return reported


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
    (lambda app: app.websocket("/ws", origins=["a.example"])(echo), "'a.example' is no origin: write scheme://host"),
    (lambda app: app.websocket("/ws", origins=["https://a.example/"])(echo), "'https://a.example/' is no origin"),
    (lambda app: app.websocket("/ws", origins=["*"])(echo), "'*' is no origin"),
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


def test_all_mistakes_of_a_declaration_are_told_together(app: App) -> None:
    app.websocket("/ws", ["v 1", "v\n2"], origins=["x", "y"])(lambda ws: None)
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert len(caught.value.exceptions) == 6


def test_one_path_is_the_place_of_one(app: App) -> None:
    app.websocket("/ws", name="one")(echo)
    app.get("/ws", name="two")(lambda request: "")
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert "/ws" in str(caught.value)


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


async def test_a_handler_may_close_by_itself(app: App, way: str, autojump_clock: MockClock) -> None:
    async def handler(request: Any, ws: Any) -> None:
        await ws.close(4321, "enough")
        with pytest.raises(WebSocketClosed, match="4321 enough"):
            await ws.send("more")

    assert await ended(app, handler) == (4321, "enough")


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

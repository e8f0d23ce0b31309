"""Who hears of a WebSocket: each signal with what it carries, in which order, and what becomes of what receivers do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Visitor, visiting

from trioframe import App, CompileError, Forbidden, WebSocket, text
from trioframe.app.reserved import RESERVED
from trioframe.app.websocket_hooks import WebSocketHooks, find_websocket_hooks

TIMEOUT = 30  # seconds, RESPONSE_TIMEOUT
NAMES = [name for name in RESERVED if name.startswith("websocket.")]
NOTICES = [name for name in NAMES if name != "websocket.handler.before"]

Use = Callable[[Any, Any], Awaitable[Any]]
Heard = list[str]


@pytest.fixture
def app() -> App:
    return App("hooks", {"RESPONSE_TIMEOUT": TIMEOUT, "CANCEL_GRACE": 5}, env_prefix=None)


def listen(app: App) -> Heard:
    """Note each signal, with what tells most of it."""
    heard: Heard = []
    for name in NAMES:

        def note(request: Any, websocket: Any, *, name: str = name, **context: Any) -> None:
            assert context.keys() | {"request", "websocket"} == RESERVED[name].context.keys()
            heard.append(" ".join([name.removeprefix("websocket."), *(repr(value) for value in context.values())]))

        app.add_signal(note, name)
    return heard


async def accept(request: Any, ws: Any) -> None:
    await ws.accept()


async def leave_untouched(request: Any, ws: Any) -> None: ...


async def receive(request: Any, ws: Any) -> None:
    async for _ in ws:
        pass


async def sleep(request: Any, ws: Any) -> None:
    await ws.accept()
    await trio.sleep_forever()


async def fail(request: Any, ws: Any) -> None:
    await ws.accept()
    raise KeyError("broken")


async def refuse(request: Any, ws: Any) -> Any:
    return text("no", status=403)


async def refuse_by_raising(request: Any, ws: Any) -> Any:
    raise Forbidden


async def cancel(request: Any, ws: Any) -> None:
    await ws.accept()
    request.cancel()
    await trio.sleep_forever()


async def take_leave(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.take_leave()


async def leave(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.send_close(4000, "bye")
    assert await visitor.receive_close() == (4000, "bye")
    await visitor.rest()


async def vanish(visitor: Visitor) -> None:
    await visitor.open()
    await wait_all_tasks_blocked()
    await visitor.vanish()


async def ask(visitor: Visitor) -> None:
    assert (await visitor.ask()).status == 403


Visit = Callable[[Visitor], Awaitable[None]]

SEQUENCES: list[tuple[Use, Visit, list[str]]] = [
    (accept, take_leave, ["connection.open", "handler.after None", "connection.close 1000 ''"]),
    (leave_untouched, take_leave, ["connection.open", "handler.after None", "connection.close 1000 ''"]),
    (receive, leave, ["connection.open", "handler.after None", "connection.close 4000 'bye'"]),
    (
        fail,
        take_leave,
        [
            "connection.open",
            "handler.after KeyError('broken')",
            "handler.exception KeyError('broken')",
            "connection.close 1011 ''",
        ],
    ),
    (refuse, ask, ["handler.after None"]),
    (refuse_by_raising, ask, ["handler.after Forbidden('Forbidden')", "handler.exception Forbidden('Forbidden')"]),
    (
        sleep,
        vanish,
        ["connection.open", "handler.after RequestCancelled('disconnect')", "connection.close 1006 ''"],
    ),
    (
        cancel,
        take_leave,
        ["connection.open", "handler.after RequestCancelled('application')", "connection.close 1011 ''"],
    ),
]


@pytest.mark.parametrize(("use", "visit", "sequence"), SEQUENCES)
async def test_the_order_of_the_signals(
    *, app: App, way: str, reported: Reported, use: Use, visit: Visit, sequence: list[str], autojump_clock: MockClock
) -> None:
    heard = listen(app)
    app.websocket("/ws")(use)
    async with visiting(app) as visitor:
        await visit(visitor)
    assert heard == ["handler.before", *sequence]


async def test_what_is_no_opening_is_not_told_of(app: App, way: str, autojump_clock: MockClock) -> None:
    heard = listen(app)
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        assert (await visitor.ask(upgrade=None, connection=None)).status == 426
    assert heard == []


async def test_a_refusal_by_a_middleware_is_no_opening(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    app.on_response(lambda request, response: text("no", status=403) if response.status == 101 else None)
    heard = listen(app)
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 403
    assert heard == ["handler.before", "handler.after None"]
    assert reported.errors == []


async def test_what_they_carry(app: App, way: str, autojump_clock: MockClock) -> None:
    seen: dict[str, Any] = {}

    @app.signal("websocket.handler.before")
    async def before(request: Any, websocket: Any) -> None:
        seen["before"] = (request.path, type(websocket), websocket.accepted, websocket.subprotocol)

    @app.signal("websocket.connection.open")
    async def opened(request: Any, websocket: Any) -> None:
        seen["open"] = (websocket.accepted, websocket.closed)
        await websocket.send("from a receiver")

    @app.signal("websocket.connection.close")
    async def closed(request: Any, websocket: Any, code: int, reason: str) -> None:
        seen["close"] = (code, reason, websocket.close_code, websocket.closed)

    app.websocket("/ws", subprotocols=["v1"])(receive)
    async with visiting(app) as visitor:
        await visitor.open(sec_websocket_protocol="v1")
        assert await visitor.receive() == "from a receiver"
        await visitor.leave()
    assert seen == {
        "before": ("/ws", WebSocket, False, "v1"),
        "open": (True, False),
        "close": (1000, "", 1000, True),
    }


async def test_a_receiver_may_ask_for_less(app: App, autojump_clock: MockClock) -> None:
    seen: list[Any] = []
    app.add_signal(lambda code: seen.append(code), "websocket.connection.close")
    app.add_signal(lambda: seen.append("after"), "websocket.handler.after")
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        await take_leave(visitor)
    assert seen == ["after", 1000]


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_cannot_ask_for_more(app: App, name: str) -> None:
    app.add_signal(lambda nonsense: None, name)
    with pytest.raises(CompileError, match="mistake") as caught:
        app.compile()
    assert "asks for 'nonsense'" in str(caught.value)


# --- receivers that do not behave -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTICES)
async def test_a_receiver_that_raises_is_reported_and_stops_nothing(
    app: App, way: str, reported: Reported, name: str, autojump_clock: MockClock
) -> None:
    heard = listen(app)

    @app.signal(name)
    async def broken(**context: Any) -> None:
        raise LookupError(name)

    app.websocket("/ws")(fail if name.endswith("exception") else accept)
    async with visiting(app) as visitor:
        await take_leave(visitor)
    assert [str(error) for error in reported.errors if type(error) is LookupError] == [name]
    assert heard[-1].startswith("connection.close")


@pytest.mark.parametrize("name", NOTICES)
async def test_a_receiver_that_hangs_is_reported_and_stops_nothing(
    app: App, way: str, reported: Reported, name: str, autojump_clock: MockClock
) -> None:
    heard = listen(app)

    @app.signal(name)
    async def hang(**context: Any) -> None:
        await trio.sleep_forever()

    app.websocket("/ws")(fail if name.endswith("exception") else accept)
    async with visiting(app) as visitor:
        await visitor.open()
        opcode, payload = await visitor.receive_frame()
        while opcode == 9:  # it is pinged meanwhile
            await visitor.stream.send_all(b"\x8a\x80\x00\x00\x00\x00")
            opcode, payload = await visitor.receive_frame()
        assert opcode == 8
        await visitor.send_close(int.from_bytes(payload[:2]))
        assert await visitor.rest() == b""
    assert trio.current_time() == TIMEOUT
    assert [type(error) for error in reported.errors if type(error) is not KeyError] == [trio.TooSlowError]
    assert heard[-1].startswith("connection.close")


async def test_how_long_it_may_take_is_configured(app: App, reported: Reported, autojump_clock: MockClock) -> None:
    @app.signal("websocket.connection.close")
    async def hang(code: int) -> None:
        await trio.sleep_forever()

    app.config.RESPONSE_TIMEOUT = 3  # behind the declaration
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.take_leave()
    assert trio.current_time() == 3
    assert [type(error) for error in reported.errors] == [trio.TooSlowError]


@pytest.mark.parametrize(("error", "status"), [(Forbidden("not you"), 403), (LookupError("broken"), 500)])
async def test_before_the_handler_it_fails_the_request(
    *, app: App, way: str, reported: Reported, error: Exception, status: int, autojump_clock: MockClock
) -> None:
    heard = listen(app)

    @app.signal("websocket.handler.before", priority=-1)
    async def broken(request: Any) -> None:
        raise error

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        pytest.fail("it was not to be called")

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == status
    assert heard == ["handler.before"]
    assert len(reported.errors) == (status == 500)


async def test_before_the_handler_it_is_bounded_by_the_timeout(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.signal("websocket.handler.before")
    async def hang(request: Any) -> None:
        await trio.sleep_forever()

    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 503
    assert trio.current_time() == TIMEOUT
    assert reported.errors == []


async def test_a_client_that_leaves_meanwhile_cancels_it(app: App, way: str, autojump_clock: MockClock) -> None:
    left: list[float] = []

    @app.signal("websocket.handler.after")
    async def slow(request: Any, exception: Any) -> None:
        try:
            await trio.sleep(10)
        finally:
            left.append(trio.current_time())

    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        await visitor.vanish()
    assert left == [10]


# --- who listens when -------------------------------------------------------------------------------------------------


async def test_receivers_may_come_and_go_while_it_serves(app: App, autojump_clock: MockClock) -> None:
    heard: list[str] = []

    def opened(sender: Any, **context: Any) -> None:
        heard.append("open")

    def closed(code: int) -> None:
        heard.append("close")

    app.websocket("/ws")(receive)
    async with visiting(app) as visitor:
        app.signals["websocket.connection.open"].connect(opened)
        await visitor.open()
        app.add_signal(closed, "websocket.connection.close")  # too late for the one that has begun
        app.signals["websocket.connection.open"].disconnect(opened)
        await visitor.leave()
    assert heard == ["open"]
    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.leave()
    assert heard == ["open", "close"]
    app.signals["websocket.connection.close"].disconnect(closed)
    assert app.websocket_hooks == WebSocketHooks()


async def test_a_pattern_waits_for_them_all(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor, app.events("websocket.*.*") as channel:
        await take_leave(visitor)
        events = [(await channel.receive()).name for _ in range(4)]
    assert events == [name for name in NAMES if not name.endswith("exception")]


async def test_one_can_wait_for_the_next(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(receive)
    async with visiting(app) as visitor, trio.open_nursery() as nursery:
        events: list[Any] = []

        async def wait() -> None:
            events.append(await app.event("websocket.connection.open"))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await visitor.open()
        await visitor.leave()
    assert events[0].context["websocket"].close_code == 1000


async def test_priorities_and_directions(app: App, autojump_clock: MockClock) -> None:
    heard: list[str] = []
    for name in ("handler.before", "handler.after"):
        for priority in (0, 1):
            app.add_signal(
                lambda name=name, priority=priority: heard.append(f"{name} {priority}"),
                f"websocket.{name}",
                priority=priority,
            )
    app.websocket("/ws")(accept)
    async with visiting(app) as visitor:
        await take_leave(visitor)
    assert heard == ["handler.before 1", "handler.before 0", "handler.after 0", "handler.after 1"]


# --- the hooks --------------------------------------------------------------------------------------------------------


def test_nobody_listens_to_what_nobody_is_told() -> None:
    app = App("quiet", env_prefix=None)
    assert find_websocket_hooks(app.signals, app.report, TIMEOUT) == WebSocketHooks()
    assert app.websocket_hooks == WebSocketHooks()


def test_each_signal_has_a_hook() -> None:
    app = App("told", env_prefix=None)
    for name in NAMES:
        app.add_signal(lambda **context: None, name)
    app.compile()
    assert all(find_websocket_hooks(app.signals, app.report, TIMEOUT))
    assert all(app.websocket_hooks)

"""WebSockets while the server stops: they are told at once, and it ends in time, whatever they do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from listening import talking_to
from memory_listener import MemoryListener
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Visitor, opening
from websocket_peer import needs_epoll
from written_frames import CLOSE, frame

from trioframe import App, RequestCancelled
from trioframe.testing import FaultyStream, memory_pair

PATIENCE = 15  # seconds, GRACEFUL_SHUTDOWN_TIMEOUT
GRACE = 5  # seconds, CANCEL_GRACE
CLOSING = 4  # seconds, WEBSOCKET_CLOSE_TIMEOUT
GOING_AWAY = (1001, "the server is stopping")


@pytest.fixture
def app() -> App:
    config = {
        "GRACEFUL_SHUTDOWN_TIMEOUT": PATIENCE,
        "CANCEL_GRACE": GRACE,
        "WEBSOCKET_CLOSE_TIMEOUT": CLOSING,
        "WEBSOCKET_PING_INTERVAL": float("inf"),
    }
    return App("stopping", config, env_prefix=None)


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Visitor]:
    """A client of a server; when the block is left, the server has stopped."""
    listener = MemoryListener()
    ours, theirs = memory_pair()
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(app.serve, listeners=[listener]))
            listener.offer(theirs)
            yield Visitor(FaultyStream(ours))


def note_end(app: App) -> list[str]:
    ends: list[str] = []
    app.add_signal(lambda exception: ends.append(repr(exception)), "websocket.handler.after")
    return ends


async def test_a_handler_that_receives_is_told_by_its_client(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    ends = note_end(app)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        async for _ in ws:
            pass
        ends.append(f"{ws.close_code} {ws.close_reason}")

    async with serving(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        assert await visitor.take_leave() == GOING_AWAY
    assert trio.current_time() == 0
    assert ends == ["1001 the server is stopping", "None"]
    assert reported.errors == []


async def test_what_the_client_has_sent_before_is_dropped(app: App, way: str, autojump_clock: MockClock) -> None:
    received: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        received.extend([message async for message in ws])

    async with serving(app) as visitor:
        await visitor.open()
        await visitor.send("before")
        await wait_all_tasks_blocked()
        app.shutdown()
        await visitor.send("behind")
        await visitor.take_leave()
    assert received == ["before"]


async def test_a_client_that_does_not_answer_is_left(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        async for _ in ws:
            pass

    async with serving(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        assert await visitor.receive_close() == GOING_AWAY
        assert await visitor.rest() == b""
    assert trio.current_time() == CLOSING
    assert reported.errors == []


async def test_a_client_that_reads_nothing_is_left(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        while True:
            await ws.send("x" * 1000)

    async with serving(app) as visitor:
        await visitor.open()
        visitor.stream.stop_reading()
        await wait_all_tasks_blocked()
        app.shutdown()
    assert trio.current_time() == CLOSING
    assert reported.errors == []


async def test_a_handler_that_sends_finds_it_closed(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        while True:
            await ws.send("tick")
            await trio.sleep(1)

    async with serving(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "tick"
        await wait_all_tasks_blocked()
        app.shutdown()
        assert await visitor.take_leave() == GOING_AWAY
    assert trio.current_time() == 1
    assert reported.errors == []


@pytest.mark.parametrize("answers", [True, False])
async def test_a_handler_that_does_something_else_is_cancelled_in_the_end(
    app: App, way: str, reported: Reported, answers: bool, autojump_clock: MockClock
) -> None:
    """Its client was told at once; it has the time that all requests have."""
    ends = note_end(app)
    left: list[float] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        try:
            await trio.sleep_forever()
        finally:
            left.append(trio.current_time())

    async with serving(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        if answers:
            assert await visitor.take_leave() == GOING_AWAY
        else:
            assert await visitor.receive_close() == GOING_AWAY
            assert await visitor.rest() == b""
            assert trio.current_time() == CLOSING
    if answers:
        assert ends == [repr(RequestCancelled("shutdown"))]
        assert left == [PATIENCE]
    else:  # then the connection was lost
        assert ends == [repr(RequestCancelled("disconnect"))]
        assert left == [CLOSING]
    assert trio.current_time() == left[0]
    assert reported.errors == []


async def test_a_handler_may_use_its_grace(app: App, way: str, autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        try:
            with request.cancellable():
                await trio.sleep_forever()
        except RequestCancelled as exc:
            seen.append(exc.reason)
            await trio.sleep(GRACE - 1)
            seen.append(trio.current_time())

    async with serving(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        await visitor.take_leave()
    assert seen == ["shutdown", PATIENCE + GRACE - 1]
    assert trio.current_time() == PATIENCE + GRACE - 1


@pytest.mark.parametrize("how", ["shielded", "grace", "finally"])
async def test_nobody_holds_it_up_for_longer(
    app: App, way: str, how: str, reported: Reported, autojump_clock: MockClock
) -> None:
    left: list[str] = []

    async def hold(request: Any) -> None:
        if how == "shielded":
            with request.shielded(1000):
                await trio.sleep_forever()
        elif how == "grace":
            try:
                with request.cancellable():
                    await trio.sleep_forever()
            finally:
                await trio.sleep_forever()
        else:
            try:
                await trio.sleep_forever()
            finally:
                with request.shielded(1000):
                    await trio.sleep_forever()

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        try:
            await hold(request)
        finally:
            left.append("left")

    async with serving(app) as visitor:
        await visitor.open()
        await wait_all_tasks_blocked()
        app.shutdown()
        await visitor.take_leave()
    assert left == ["left"]
    assert trio.current_time() <= PATIENCE + GRACE
    assert reported.errors == []


async def test_who_is_cancelled_without_a_warning_is_told_then(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        await trio.sleep_forever()

    async with talking_to(app) as peer:
        await peer.send(opening())
        assert (await peer.read_response()).startswith(b"HTTP/1.1 101 ")
        await wait_all_tasks_blocked()
        peer.driver.cancel()
        close = b"\x03\xe9the server is stopping"
        assert await peer.stream.receive_some() == frame(CLOSE, close, key=None)
        await peer.send(frame(CLOSE, close))
        assert await peer.read_to_end() == b""
    assert trio.current_time() == 0
    assert reported.errors == []


# --- during the handshake ---------------------------------------------------------------------------------------------


async def test_a_handshake_that_is_accepted_meanwhile_is_closed_at_once(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    received: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep(0.5)
        received.extend([message async for message in ws])

    async with serving(app) as visitor:
        await visitor.stream.send_all(opening())
        await wait_all_tasks_blocked()
        app.shutdown()
        assert (await visitor.answer()).status == 101
        assert await visitor.take_leave() == GOING_AWAY
    assert trio.current_time() == 0.5
    assert received == []
    assert reported.errors == []


async def test_also_if_nobody_asks_for_that(app: App, way: str, reported: Reported, autojump_clock: MockClock) -> None:
    ends = note_end(app)

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await trio.sleep_forever()

    async with serving(app) as visitor:
        await visitor.stream.send_all(opening())
        await wait_all_tasks_blocked()
        app.shutdown()
        assert (await visitor.answer()).status == 101
        assert await visitor.take_leave() == GOING_AWAY
        assert trio.current_time() == 1
    assert ends == [repr(RequestCancelled("shutdown"))]
    assert trio.current_time() == PATIENCE
    assert reported.errors == []


async def test_a_handshake_that_takes_longer_is_answered_503(
    app: App, way: str, reported: Reported, autojump_clock: MockClock
) -> None:
    @app.signal("websocket.handler.before")
    async def hang(**context: Any) -> None:
        await trio.sleep_forever()

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        pytest.fail("it was not to be called")

    async with serving(app) as visitor:
        await visitor.stream.send_all(opening())
        await wait_all_tasks_blocked()
        app.shutdown()
        assert (await visitor.answer()).status == 503
        assert await visitor.rest() == b""
    assert trio.current_time() == PATIENCE
    assert reported.errors == []


# --- the program ends -------------------------------------------------------------------------------------------------


async def receive(ws: Any) -> None:
    await ws.recv()


async def sleep(ws: Any) -> None:
    await trio.sleep_forever()


async def close(ws: Any) -> None:
    await ws.close()


@pytest.mark.parametrize("use", [receive, sleep, close])
async def test_a_program_that_is_cancelled_ends_at_once(
    app: App, way: str, reported: Reported, use: Callable[[Any], Awaitable[object]], autojump_clock: MockClock
) -> None:
    left: list[str] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        try:
            await use(ws)
        finally:
            left.append("left")

    listener = MemoryListener()
    ours, theirs = memory_pair()
    visitor = Visitor(FaultyStream(ours))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(app.serve, listeners=[listener]))
            listener.offer(theirs)
            await visitor.open()
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert left == ["left"]
    assert trio.current_time() == 0
    assert reported.errors == []
    await visitor.rest()


@needs_epoll
@pytest.mark.parametrize("use", [receive, sleep])
async def test_it_tells_its_clients_as_far_as_that_takes_no_time(
    app: App, way: str, use: Callable[[Any], Awaitable[object]]
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept()
        await use(ws)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(app.serve, port=0))
            visitor = Visitor(FaultyStream(await trio.open_tcp_stream(*listener.socket.getsockname())))
            await visitor.open()
            nursery.cancel_scope.cancel()
        assert await visitor.receive_close() == GOING_AWAY
        await visitor.stream.aclose()


async def test_the_last_words_of_a_program_that_is_cancelled_are_not_waited_for(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    """The handler has ended, and its close waits for an answer."""

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None: ...

    listener = MemoryListener()
    ours, theirs = memory_pair()
    visitor = Visitor(FaultyStream(ours))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(app.serve, listeners=[listener]))
            listener.offer(theirs)
            await visitor.open()
            assert await visitor.receive_close() == (1000, "")
            scope.cancel()
    assert trio.current_time() == 0
    await visitor.rest()

"""What came right behind a message, in the same read, takes nobody the chance to answer the message; see `reading`."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import Visitor, visiting
from written_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

from trioframe import App, WebSocketClosed

NORMAL = b"\x03\xe8"  # 1000
MESSAGES = {
    "plain": frame(TEXT, b"last words"),
    "in fragments": frame(TEXT, b"last ", fin=False) + frame(CONTINUATION, b"words"),
    "empty": frame(TEXT),
}
ENDS = {
    "close": (frame(CLOSE, NORMAL), 1000),
    "reserved bit": (frame(TEXT, b"more", reserved=2) + frame(PING), 1002),
    "reserved opcode": (frame(0x5, b"more"), 1002),
    "nothing to continue": (frame(CONTINUATION, b"more", fin=False) + frame(TEXT, b"more"), 1002),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007),
    "too large": (frame(BINARY, bytes(2000)), 1009),
}


@pytest.fixture
def app() -> App:
    return App("ends", {"WEBSOCKET_MAX_SIZE": 1024}, env_prefix=None)


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def echo_pieces(request: Any, ws: Any) -> None:
    while True:
        await ws.send("".join([piece async for piece in ws.recv_streaming()]))


async def opened(visitor: Visitor) -> None:
    """The handler waits for a message."""
    await visitor.open()
    await wait_all_tasks_blocked()


@pytest.mark.parametrize("handler", [echo, echo_pieces])
@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_is_answered_before_what_came_behind_it(
    app: App, message: bytes, end: bytes, code: int, handler: Any
) -> None:
    app.websocket("/ws")(handler)
    async with visiting(app) as visitor:
        await opened(visitor)
        await visitor.stream.send_all(message + end)
        assert await visitor.receive() == ("" if message == MESSAGES["empty"] else "last words")
        assert (await visitor.receive_close())[0] == code


async def test_a_ping_between_them_is_answered_between_them(app: App) -> None:
    app.websocket("/ws")(echo)
    async with visiting(app) as visitor:
        await opened(visitor)
        await visitor.stream.send_all(frame(TEXT, b"a") + frame(PING, b"b") + frame(CLOSE, NORMAL))
        assert await visitor.receive_frame() == (TEXT, b"a")
        assert await visitor.receive_frame() == (PONG, b"b")
        assert await visitor.receive_close() == (1000, "")


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
async def test_a_handler_that_does_something_else_is_not_waited_for(
    app: App, end: bytes, code: int, autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def slow(request: Any, ws: Any) -> None:
        assert await ws.recv() == "a"
        await trio.sleep(100)

    async with visiting(app) as visitor:
        await opened(visitor)
        began = trio.current_time()
        await visitor.stream.send_all(frame(TEXT, b"a") + end)
        assert (await visitor.receive_close())[0] == code
        assert trio.current_time() == began


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
async def test_who_has_been_cancelled_finds_the_end_the_next_time(app: App, end: bytes, code: int) -> None:
    """The end is held back for a task that asks once more, and gives up in the same moment."""
    codes: list[int] = []

    @app.websocket("/ws")
    async def impatient(request: Any, ws: Any) -> None:
        await ws.recv()
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.recv()
        with pytest.raises(WebSocketClosed) as closed:
            await ws.recv()
        codes.append(closed.value.code)

    async with visiting(app) as visitor:
        await opened(visitor)
        await visitor.stream.send_all(frame(TEXT, b"a") + end)
        assert (await visitor.receive_close())[0] == code
        await visitor.rest()
    assert codes == [code]


async def test_a_close_of_ours_meanwhile_is_answered_by_the_one_that_was_held_back(
    app: App, autojump_clock: MockClock
) -> None:
    seen: list[int | None] = []

    @app.websocket("/ws")
    async def leave(request: Any, ws: Any) -> None:
        await ws.recv()
        await ws.close(4000)
        seen.append(ws.close_code)

    async with visiting(app) as visitor:
        await opened(visitor)
        began = trio.current_time()
        await visitor.stream.send_all(frame(TEXT, b"a") + frame(CLOSE, NORMAL))
        assert await visitor.receive_close() == (4000, "")
        assert await visitor.rest() == b""
        assert trio.current_time() == began
    assert seen == [4000]

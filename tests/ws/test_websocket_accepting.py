"""Accepting: the first operation does, once, and the response goes with it as it was meant."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import OPERATIONS, Frame, closing, websocket
from written_frames import TEXT

from trioframe import App, LocalProtocolError, RequestCancelled, WebSocket, WebSocketClosed
from trioframe import text as refusal
from trioframe.ws.ended import Broken


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_first_operation_accepts(name: str, autojump_clock: MockClock) -> None:
    async with websocket(OPERATIONS[name], accept=False) as peer:
        assert await peer.stream.receive_some(12) == b"HTTP/1.1 101"
        assert trio.current_time() == 0
        assert peer.ws.accepted


async def test_accepting_twice_changes_nothing(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        assert not ws.accepted
        assert (ws.closed, ws.close_code, ws.close_reason) == (False, None, "")
        async with trio.open_nursery() as nursery:
            for _ in range(3):  # also at once
                nursery.start_soon(ws.accept)
            nursery.start_soon(ws.send, "a")
        await ws.accept({"x-late": "unseen"})
        await ws.send("b")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert b"x-late" not in peer.head
        assert await peer.read_many(3) == [Frame(TEXT, b"a"), Frame(TEXT, b"b"), closing()]


async def test_headers_go_with_it(autojump_clock: MockClock) -> None:
    async with websocket(lambda ws: ws.accept([("X-A", "1"), ("Set-Cookie", "a=b")]), accept=False) as peer:
        await peer.read_head()
        assert b"\r\nx-a: 1\r\nset-cookie: a=b\r\n" in peer.head.lower() + b"\r\n"


@pytest.mark.parametrize("headers", [{"x": "a\nb"}, {"upgrade": "websocket"}, {"sec-websocket-accept": "x"}])
async def test_headers_that_cannot_be_sent_leave_it_as_it_was(
    headers: dict[str, str], autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.accept(headers)
        assert not ws.accepted
        await ws.send("accepted")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert await peer.read() == Frame(TEXT, b"accepted")


async def test_accept_after_the_end(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.leave()
        await peer.ws.accept()  # it was
    async with websocket(sleep, accept=False) as peer:
        await wait_all_tasks_blocked()
        peer.reset()
        await peer.served.wait()
        with pytest.raises(Broken, match="1006"):
            await peer.ws.accept()


async def test_an_accept_that_is_cancelled_closes_the_connection(autojump_clock: MockClock) -> None:
    """When the handler has ended; until then nothing can be done any more."""

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1) as scope:
            await ws.accept({"x": "a" * 1000})
        assert scope.cancelled_caught
        for operation in (ws.accept, ws.recv, ws.close):
            with pytest.raises(RequestCancelled):
                await operation()

    async with websocket(handler, accept=False, buffer_size=200) as peer:
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at, peer.ws.accepted) == ("returned", 1, False)
        assert len(await peer.stream.receive_some()) == 200
        with pytest.raises(AssertionError, match="left"):
            await peer.read()


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_handshake_that_a_middleware_refuses(name: str, autojump_clock: MockClock) -> None:
    """The handler is told, by whatever it does first."""
    errors: list[WebSocketClosed] = []

    async def handler(ws: WebSocket) -> None:
        for operation in (OPERATIONS[name], WebSocket.accept, WebSocket.recv):
            with pytest.raises(Broken) as caught:
                await operation(ws)
            errors.append(caught.value)
        assert (ws.accepted, ws.closed, ws.close_code) == (False, True, 1006)
        await ws.close()

    def refuse(app: App) -> None:
        app.on_response(lambda request, response: refusal("no", status=403))

    async with websocket(handler, accept=False, prepare=refuse) as peer:
        assert await peer.stream.receive_some(12) == b"HTTP/1.1 403"
        await peer.ended.wait()
        assert (peer.fate, {error.code for error in errors}) == ("returned", {1006})

"""A connection that is lost: whoever sits in an operation is told, and everybody else cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import (
    CONFIG,
    Handler,
    WebSocketPeer,
    needs_epoll,
    on_each_that_leaves,
    pieces,
    settled,
    text,
    told,
    websocket,
)

from trioframe import WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken

MAX_QUEUE = 16


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def send_much(ws: WebSocket) -> None:
    await ws.send(bytes(1 << 23))


async def fin(peer: WebSocketPeer) -> None:
    await peer.stream.send_eof()


async def leave(peer: WebSocketPeer) -> None:
    await peer.stream.aclose()


async def rst(peer: WebSocketPeer) -> None:
    await trio.lowlevel.checkpoint()
    peer.reset()


on_each_loss = pytest.mark.parametrize("lose", [fin, leave, rst])
Lose = Callable[[WebSocketPeer], Awaitable[None]]


async def wait_for_pong(ws: WebSocket) -> None:
    await ws.ping()


async def wait_for_close(ws: WebSocket) -> None:
    await ws.close()
    ws._raise_closed()


@on_each_that_leaves
@on_each_loss
@pytest.mark.parametrize("operation", [WebSocket.recv, wait_for_pong, wait_for_close, send_much])
async def test_who_sits_in_an_operation_is_told_of_the_loss(
    transport: str, lose: Lose, operation: Handler, autojump_clock: MockClock
) -> None:
    handler, errors = told(operation)
    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        await lose(peer)
        await peer.ended.wait()
        assert peer.fate == "returned"
        [error] = errors
        assert isinstance(error, Broken)
        assert (error.code, isinstance(error, trio.ClosedResourceError)) == (
            (1000, True) if operation is wait_for_close else (1006, False)
        )
        assert peer.ended_at < 1
        await peer.served.wait()


@on_each_that_leaves
@on_each_loss
@pytest.mark.parametrize("queued", [0, 3])
async def test_who_does_something_else_is_cancelled(
    transport: str, lose: Lose, queued: int, autojump_clock: MockClock
) -> None:
    """Also with messages that wait."""
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(queued)))
        await settled()
        await lose(peer)
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        assert peer.ended_at < 1
        assert peer.ws.close_code == 1006
        assert [await peer.ws.recv() for _ in range(queued)] == [str(number) for number in range(queued)]
        with pytest.raises(Broken):
            await peer.ws.recv()
        await peer.served.wait()


@on_each_that_leaves
async def test_who_ignores_who_leaves_goes_on(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, route={"on_disconnect": "ignore"}, **CONFIG) as peer:
        peer.reset()
        await settled()
        assert (peer.fate, peer.request.disconnected) == ("runs", True)
        for operation in (WebSocket.recv, wait_for_pong, send_much):
            with pytest.raises(WebSocketClosed, match="1006"):
                await operation(peer.ws)
        await peer.ws.close()


@on_each_that_leaves
async def test_a_reset_is_found_with_a_full_queue_as_well(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        await settled()
        peer.reset()
        await peer.ended.wait()
        assert (peer.fate, peer.ws.close_code) == ("cancelled as disconnect", 1006)


@on_each_that_leaves
async def test_a_task_of_no_request_that_is_told_does_not_save_the_handler(
    transport: str, autojump_clock: MockClock
) -> None:
    """A hub sends to many; who of them has gone has to end all the same."""
    handler, errors = told(send_much)
    async with websocket(sleep, transport, **CONFIG) as peer, trio.open_nursery() as hub:
        hub.start_soon(handler, peer.ws)
        await settled()
        assert peer.ws._outbox.waiting
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        await settled()
        assert [error.code for error in errors] == [1006]


@on_each_that_leaves
async def test_nor_does_one_that_receives(transport: str, autojump_clock: MockClock) -> None:
    handler, errors = told(WebSocket.recv)
    async with websocket(sleep, transport, **CONFIG) as peer, trio.open_nursery() as other:
        await settled()
        other.start_soon(handler, peer.ws)
        await settled()
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        await settled()
        assert [error.code for error in errors] == [1006]


@on_each_that_leaves
async def test_a_task_of_the_request_does(transport: str, autojump_clock: MockClock) -> None:
    receive, errors = told(WebSocket.recv)

    async def handler(ws: WebSocket) -> None:
        await settled()
        peer.request.nursery.start_soon(receive, ws)
        await trio.sleep(10)

    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        await settled()  # it receives
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert [error.code for error in errors] == [1006]


@needs_epoll
@pytest.mark.parametrize(
    "operation",
    [
        lambda ws: ws.send("a"),
        WebSocket.ping,
        WebSocket.pong,
        WebSocket.close,
        lambda ws: ws.send(pieces("a")),
    ],
)
async def test_the_operation_that_finds_the_loss_is_told(operation: Handler, autojump_clock: MockClock) -> None:
    """By the error of its own write, before the transport tells."""

    async def handler(ws: WebSocket) -> None:
        await settled()
        peer.reset()
        try:
            await operation(ws)
        except WebSocketClosed as error:
            errors.append(error)
        await trio.lowlevel.checkpoint()

    errors: list[WebSocketClosed] = []
    async with websocket(handler, "tcp", **CONFIG) as peer:
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert [error.code for error in errors] == ([] if operation is WebSocket.close else [1006])

"""What is left of a WebSocket when its connection is over: nothing, and at once."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import WebSocketPeer, close, on_each, text, websocket
from written_frames import BINARY, frame

from trioframe import Deflate, WebSocket
from trioframe.ws.deflate import DeflateExtension
from trioframe.ws.protocol import WebSocketProtocol

KINDS = (WebSocket, WebSocketProtocol, DeflateExtension)
Left = Callable[[WebSocketPeer], Awaitable[list[object]]]


def living() -> list[object]:
    return [thing for thing in gc.get_objects() if isinstance(thing, KINDS)]


@pytest.fixture
def what_is_left() -> Iterator[Left]:
    """Gives what has come to life in this test, and lives when the connection is over; without the collector."""
    gc.collect()
    gc.disable()
    before = set(map(id, living()))

    async def what_is_left(peer: WebSocketPeer) -> list[object]:
        await peer.served.wait()
        del peer.ws, peer.request
        await trio.lowlevel.checkpoint()
        return [thing for thing in living() if id(thing) not in before]

    yield what_is_left
    gc.enable()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@on_each
async def test_nothing_of_a_context(transport: str, what_is_left: Left, autojump_clock: MockClock) -> None:
    route = {"deflate": Deflate(server_no_context_takeover=False)}
    async with websocket(echo, transport, route=route, offer="permessage-deflate") as peer:
        await peer.send(text("hello"))
        await peer.read()
        await peer.leave()
        assert await what_is_left(peer) == []


@on_each
async def test_nothing_of_a_message_that_was_left(
    transport: str, what_is_left: Left, autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        async for _ in ws.recv_streaming():
            break

    async with websocket(handler, transport) as peer:
        await peer.send(frame(BINARY, b"some", fin=False))
        await peer.read()
        await peer.send(close())
        await peer.read_to_end()
        assert await what_is_left(peer) == []

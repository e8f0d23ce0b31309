"""How much is read ahead of large messages, and what is noticed while no more is read."""

from __future__ import annotations

import math
import zlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import (
    Frame,
    binary,
    close,
    on_each,
    on_each_that_leaves,
    ping,
    settled,
    text,
    websocket,
)
from written_deflated import COMPRESSED
from written_frames import BINARY, CONTINUATION, PONG, TEXT, frame

from trioframe import WebSocket

SMALL = {"WEBSOCKET_MAX_SIZE": 1000}
LARGE = {"max_size": 100_000}


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def receive_whole(ws: WebSocket) -> bytes:
    message = await ws.recv()
    assert isinstance(message, bytes)
    return message


async def receive_in_pieces(ws: WebSocket) -> bytes:
    pieces = [bytes(piece) async for piece in ws.recv_streaming() if isinstance(piece, bytes)]
    assert max(map(len, pieces)) < 200_000
    return b"".join(pieces)


@on_each
@pytest.mark.parametrize("receive", [receive_whole, receive_in_pieces])
@pytest.mark.parametrize("whole", [False, True])
async def test_of_a_large_message_only_some_is_read_ahead(
    transport: str, receive: Callable[[WebSocket], Awaitable[bytes]], whole: bool, autojump_clock: MockClock
) -> None:
    """A route may have a larger limit than what the server wants to hold for whoever does not receive."""
    message = bytes(range(256)) * 20_000
    piece = [frame(0, message[start : start + 50_000], fin=False) for start in range(0, len(message), 50_000)]
    octets = binary(message) if whole else frame(2, fin=False) + b"".join(piece) + frame(0)
    config = {"WEBSOCKET_MAX_SIZE": 100_000, "WEBSOCKET_MAX_FRAGMENTS": 2}
    route = {"max_size": 10**9}
    async with websocket(sleep, transport, route=route, **config) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, octets, octets, text("behind"))
        for _ in range(2):
            await settled()
            assert 100_000 <= peer.ws._wire.held < 200_000
            assert await receive(peer.ws) == message
        assert await peer.ws.recv() == "behind"


async def test_who_is_cancelled_in_a_large_message_leaves_it_where_it_is(autojump_clock: MockClock) -> None:
    config = {"WEBSOCKET_MAX_SIZE": 1000}
    async with websocket(sleep, route={"max_size": 10**6}, **config) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, *[frame(2, bytes(50_000), fin=False), *[frame(0, bytes(50_000), fin=False)] * 9])
        for _ in range(3):
            with trio.move_on_after(1):
                await peer.ws.recv()
            await settled()
            assert 500_000 < peer.ws._wire.held < 510_000  # whoever receives reads on
        await peer.send(frame(0), ping(b"behind"))
        assert await peer.read_now() == []
        assert len(await peer.ws.recv()) == 500_000
        assert await peer.read() == Frame(PONG, b"behind")


async def test_what_waits_of_a_large_message_is_dropped_by_a_close(autojump_clock: MockClock) -> None:
    config = {"WEBSOCKET_MAX_SIZE": 1000}
    async with websocket(sleep, route={"max_size": 10**6}, **config) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, frame(2, bytes(50_000), fin=False), frame(0, bytes(200_000)), close())
        await settled()
        await peer.ws.close()
        assert peer.ws.close_code == 1000


class TakingOnePiece:
    """A handler that takes a piece of a message when it is told to, and then does something else."""

    def __init__(self) -> None:
        self.go = trio.Event()

    async def __call__(self, ws: WebSocket) -> None:
        await self.go.wait()
        async for _ in ws.recv_streaming():
            break
        await trio.sleep_forever()


@on_each
async def test_a_piece_that_was_taken_makes_room(transport: str, autojump_clock: MockClock) -> None:
    handler = TakingOnePiece()
    async with websocket(handler, transport, route=LARGE, **SMALL) as peer:
        await peer.send(frame(BINARY, bytes(2000), fin=False))
        await settled()
        handler.go.set()
        await settled()
        await peer.send(ping(b"there?"))
        assert await peer.read_now() == [Frame(PONG, b"there?")]


@on_each_that_leaves
async def test_so_that_a_client_that_leaves_is_noticed(transport: str, autojump_clock: MockClock) -> None:
    handler = TakingOnePiece()
    async with websocket(handler, transport, route=LARGE, WEBSOCKET_PING_INTERVAL=math.inf, **SMALL) as peer:
        await peer.send(frame(BINARY, bytes(2000), fin=False))
        await settled()
        handler.go.set()
        await settled()
        await peer.stream.send_eof()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"


@on_each
async def test_what_becomes_much_when_it_is_inflated_is_bounded_as_well(
    transport: str, autojump_clock: MockClock
) -> None:
    deflater = zlib.compressobj(9, wbits=-15)
    octets = deflater.compress(bytes(60_000_000)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    config = {"route": {"max_size": 1 << 27, "deflate": True}, "offer": "permessage-deflate", "buffer_size": 1 << 20}
    async with websocket(sleep, transport, **config) as peer:
        await peer.send(frame(BINARY, octets, fin=False, reserved=COMPRESSED))
        await settled()
        assert 1 << 20 <= peer.ws._wire.held < 2 << 20
        await peer.send(frame(0, b"\x00"))
        assert len(await peer.ws.recv()) == 60_000_000


@on_each
async def test_characters_are_counted_in_memory(transport: str, autojump_clock: MockClock) -> None:
    words = "\U0001f600" * 1_000_000
    async with (
        websocket(sleep, transport, route={"max_size": 1 << 24}, buffer_size=1 << 24) as peer,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(peer.send, frame(TEXT, words.encode(), fin=False), frame(0))
        await settled()
        assert 1 << 20 <= peer.ws._wire.held < 5 << 18
        assert await peer.ws.recv() == words


@on_each
async def test_small_messages_wait_however_small_they_have_to_be(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, route={"max_size": 1}) as peer:
        await peer.send(text("a"), text("b"), ping(b"there?"))
        assert await peer.read_now() == [Frame(PONG, b"there?")]


@on_each
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_beyond_its_limit_is_found_though_nobody_receives(
    transport: str, opcode: int, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport, **SMALL) as peer:
        await peer.send(frame(opcode, b"a" * 999, fin=False), frame(CONTINUATION, b"a", fin=False))
        assert await peer.read_now() == []
        await peer.send(frame(CONTINUATION, b"a"))
        await peer.ended.wait()
        assert peer.ws.close_code == 1009

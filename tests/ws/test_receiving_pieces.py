"""Receiving in pieces: they come as they are sent, and a message that is left is dropped."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import Frame, binary, close, first, last, more, on_each, ping, settled, text, websocket
from written_frames import BINARY, CONTINUATION, PONG, TEXT

from trioframe import LocalProtocolError, WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken
from trioframe.ws.receiving import MessageStream


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def pieces_of(stream: MessageStream) -> list[str | bytes]:
    return [piece async for piece in stream]


@on_each
async def test_pieces_come_as_they_are_sent(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        stream = peer.ws.recv_streaming()
        assert not stream.begun
        for octets in (first(b"Hel"), more(b"lo "), ping(b"p") + more(b"")):
            await peer.send(octets)
            if octets[0] == CONTINUATION or octets[0] == TEXT:
                assert await anext(stream) == {TEXT: "Hel", CONTINUATION: "lo "}[octets[0]]
        assert await peer.read() == Frame(PONG, b"p")
        assert stream.begun
        await peer.send(last("w\u00e9".encode()[:2]), text("behind"))
        with pytest.raises(WebSocketClosed):
            await anext(stream)  # half a character


async def test_pieces_are_not_cut_within_a_character(autojump_clock: MockClock) -> None:
    octets = "aé€\U0001f600z".encode()
    async with websocket(sleep) as peer:
        stream, received = peer.ws.recv_streaming(), list[str | bytes]()
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                received.extend(await pieces_of(stream))

            nursery.start_soon(receive)
            await peer.send(first(octets[:2]))
            await settled()
            for octet in octets[2:-1]:
                await peer.send(more(bytes([octet])))
                await settled()
            await peer.send(last(octets[-1:]))
        assert received == ["a", "é", "€", "\U0001f600", "z"]


@on_each
async def test_a_frame_that_comes_in_pieces_is_given_in_pieces(transport: str, autojump_clock: MockClock) -> None:
    octets = binary(bytes(200_000))
    async with websocket(sleep, transport) as peer:
        stream = peer.ws.recv_streaming()
        await peer.send(octets[:5000])
        some = await anext(stream)
        assert 0 < len(some) < 5000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, octets[5000:])
            rest = await pieces_of(stream)
        assert len(some) + sum(map(len, rest)) == 200_000
        assert await pieces_of(stream) == []


@on_each
async def test_messages_that_waited_are_one_piece_each(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), first(b"2"), last(b"2"), text(""), text("4"))
        await settled()
        assert [await pieces_of(peer.ws.recv_streaming()) for _ in range(4)] == [["1"], ["22"], [""], ["4"]]


@on_each
async def test_what_was_held_of_a_message_is_its_first_piece(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(first(b"1"), more(b"2"))
        await settled()
        stream = peer.ws.recv_streaming()
        assert await anext(stream) == "12"
        await peer.send(last(b"3"))
        assert await pieces_of(stream) == ["3"]


@on_each
async def test_a_message_that_is_left_is_dropped_with_the_next_one(transport: str, autojump_clock: MockClock) -> None:
    """Whether its rest has come already, or comes later."""
    async with websocket(sleep, transport) as peer:
        for later in (False, True):
            stream = peer.ws.recv_streaming()
            await peer.send(first(b"1"))
            assert await anext(stream) == "1"
            await peer.send(more(b"2"), last(b"3"), text("next")) if not later else None
            await settled()
            async with trio.open_nursery() as nursery:

                async def receive() -> None:
                    assert await peer.ws.recv() == "next"

                nursery.start_soon(receive)
                await settled()
                await peer.send(more(b"2"), last(b"3"), text("next")) if later else None
            with pytest.raises(LocalProtocolError, match="dropped"):
                await anext(stream)


@on_each
async def test_behind_a_message_that_was_left_the_next_one_comes_in_pieces(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer:
        left, stream = peer.ws.recv_streaming(), peer.ws.recv_streaming()
        await peer.send(first(b"1"))
        assert await anext(left) == "1"
        received = []

        async def receive() -> None:
            received.extend([await anext(stream)])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await settled()
            await peer.send(more(b"2"), last(b"3"))
            await settled()
            assert received == []
            await peer.send(first(b"a", BINARY))
        assert received == [b"a"]
        await peer.send(last(b"b"))
        assert await pieces_of(stream) == [b"b"]


async def test_what_is_left_need_not_fit(autojump_clock: MockClock) -> None:
    """But the limit holds for it as well."""
    async with websocket(sleep, WEBSOCKET_MAX_SIZE=10) as peer:
        stream = peer.ws.recv_streaming()
        await peer.send(first(b"12345"))
        await anext(stream)
        await peer.send(more(b"12345"), last(b"6"))
        with pytest.raises(WebSocketClosed, match="1009"):
            await peer.ws.recv()


@on_each
async def test_pieces_wait_while_nobody_takes_them(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        stream = peer.ws.recv_streaming()
        await peer.send(first(b"0"))
        assert await anext(stream) == "0"
        await peer.send(*(more(b"%d," % number) for number in range(40)), last(b"end"), text("next"), ping(b"p"))
        assert await peer.read_now() == []  # the queue is full
        assert "".join(map(str, await pieces_of(stream))) == "".join(f"{number}," for number in range(40)) + "end"
        assert await peer.ws.recv() == "next"
        assert await peer.read() == Frame(PONG, b"p")


async def test_two_streams_are_two_messages(autojump_clock: MockClock) -> None:
    """Whichever is asked first has the first; the other one, left in the middle, is dropped."""
    async with websocket(sleep) as peer:
        one, other = peer.ws.recv_streaming(), peer.ws.recv_streaming()
        await peer.send(text("1"), text("2"), text("3"))
        assert await pieces_of(other) == ["1"]
        assert await pieces_of(one) == ["2"]
        assert await pieces_of(one) == []
        assert await peer.ws.recv() == "3"


@on_each
async def test_a_stream_ends_with_the_websocket(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        stream = peer.ws.recv_streaming()
        await peer.send(first(b"1"))
        assert await anext(stream) == "1"
        await peer.send(more(b"2"), close(4000))
        await settled()
        assert await anext(stream) == "2"
        for _ in range(2):
            with pytest.raises(Broken, match="4000"):
                await anext(stream)

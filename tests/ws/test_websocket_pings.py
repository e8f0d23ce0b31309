"""Pings and pongs that the handler asks for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked
from websocket_peer import Frame, close, closing, on_each, pong, settled, websocket
from written_frames import BINARY, PING, PONG

from trioframe import LocalProtocolError, WebSocket
from trioframe.ws.ended import Broken

STUCK = bytes(1 << 20)


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


@on_each
async def test_a_ping_tells_how_long_its_pong_took(transport: str, autojump_clock: MockClock) -> None:
    took: list[float] = []

    async def handler(ws: WebSocket) -> None:
        took.append(await ws.ping())
        took.append(await ws.ping(b"mine"))
        took.append(await ws.ping(b""))

    async with websocket(handler, transport) as peer:
        for number in range(3):
            opcode, payload, _ = await peer.read()
            assert opcode == PING
            assert (len(payload) == 4) if number == 0 else payload == (b"mine", b"")[number - 1]
            await trio.sleep(number + 1)
            await peer.send(pong(b"another"), pong(payload))
        await peer.ended.wait()
        assert took == pytest.approx([1, 2, 3], abs=0.1)


async def test_pings_of_several_tasks(autojump_clock: MockClock) -> None:
    """The pong of the latest answers all of them."""
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(peer.ws.ping)
        payloads = [(await peer.read()).payload for _ in range(3)]
        assert len(set(payloads)) == 3
        await peer.send(pong(payloads[-1]))


async def test_a_ping_waits_for_a_frame_that_is_stuck(autojump_clock: MockClock) -> None:
    """Its time counts from when it leaves."""
    took: list[float] = []

    async def measure(ws: WebSocket) -> None:
        took.append(await ws.ping(b"p"))

    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        nursery.start_soon(measure, peer.ws)
        await trio.sleep(10)
        assert await peer.read_many(2) == [Frame(BINARY, STUCK), Frame(PING, b"p")]
        await trio.sleep(1)
        await peer.send(pong(b"p"))
    assert took == [1]


async def test_a_ping_that_cannot_be_sent(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        with pytest.raises(LocalProtocolError, match="125"):
            await peer.ws.ping(bytes(126))
        with pytest.raises(LocalProtocolError, match="125"):
            await peer.ws.pong(bytes(126))
        nursery.start_soon(peer.ws.ping, b"p")
        await wait_all_tasks_blocked()
        with pytest.raises(LocalProtocolError, match="take another one"):
            await peer.ws.ping(b"p")
        assert await peer.read_now() == [Frame(PING, b"p")]
        await peer.send(pong(b"p"))


async def test_a_ping_that_is_cancelled_is_waited_for_no_more(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        for _ in range(2):
            with trio.move_on_after(1) as scope:
                await peer.ws.ping(b"p")
            assert scope.cancelled_caught
        assert await peer.read_now() == [Frame(PING, b"p")] * 2
        assert len(peer.ws._pings or ()) == 0


@on_each
async def test_a_ping_whose_websocket_ends(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(Broken, match="4000"):
            await ws.ping()
        with pytest.raises(Broken, match="4000"):
            await ws.ping()
        with pytest.raises(Broken, match="4000"):
            await ws.pong()

    async with websocket(handler, transport) as peer:
        assert (await peer.read()).opcode == PING
        await peer.send(close(4000))
        assert await peer.read_to_end() == [closing(4000)]
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_a_pong_that_nobody_asked_for(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with assert_checkpoints():
            await ws.pong()
        await ws.pong(b"alive")

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(2) == [Frame(PONG), Frame(PONG, b"alive")]

"""Whoever waits in an operation is told when it has ended, whatever it waits for; and what was done stays done."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import Frame, close, needs_epoll, on_each, ping, pong, settled, websocket
from written_frames import CONTINUATION, PING, TEXT

from trioframe import App, WebSocket, WebSocketClosed
from trioframe.ws.outbox import WORK_PER_FRAME, WORK_PER_TURN

LOST = ("raised", 1006)


async def one_and_no_more() -> AsyncIterator[str]:
    yield "a"
    await trio.sleep_forever()


async def send_for_ever(ws: WebSocket) -> None:
    await ws.send(one_and_no_more())


async def send_behind_another(ws: WebSocket) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ws.send, one_and_no_more())
        await settled()
        nursery.start_soon(ws.send, "b")


class TestSendingInPieces:
    @pytest.mark.parametrize("handler", [send_for_ever, send_behind_another])
    async def test_who_waits_for_a_piece_learns_that_the_connection_was_lost(
        self, handler: Any, autojump_clock: MockClock
    ) -> None:
        async with websocket(handler, "tcp") as peer:
            assert await peer.read() == Frame(TEXT, b"a", fin=False)
            peer.reset()
            await peer.ended.wait()
            assert (peer.fate, peer.ws.close_code) == LOST
            assert trio.current_time() < 10

    @on_each
    async def test_and_that_the_peer_has_closed(self, transport: str, autojump_clock: MockClock) -> None:
        async with websocket(send_for_ever, transport) as peer:
            await peer.read()
            await peer.send(close(1000))
            await peer.ended.wait()
            assert isinstance(peer.error, WebSocketClosed)
            assert (peer.fate, peer.error.code) == ("raised", 1000)

    async def test_a_task_of_no_request_is_told_as_well(self, autojump_clock: MockClock) -> None:
        """And holds up nobody who sends behind it."""
        errors: list[WebSocketClosed] = []

        async def hub(ws: WebSocket) -> None:
            try:
                await ws.send(one_and_no_more())
            except WebSocketClosed as closed:
                errors.append(closed)

        async def handler(ws: WebSocket) -> None:
            await settled()
            await ws.send("b")

        async with websocket(handler, "tcp") as peer, trio.open_nursery() as nursery:
            await peer.opened.wait()
            nursery.start_soon(hub, peer.ws)
            await peer.read()
            await settled()
            peer.reset()
            await peer.ended.wait()
            assert (peer.fate, peer.ws.close_code) == LOST
        assert [error.code for error in errors] == [1006]

    @needs_epoll
    async def test_what_was_sent_whole_was_sent(self, autojump_clock: MockClock) -> None:
        """Cancelled behind its last frame it has happened: who is told otherwise would send it again."""
        caught: list[bool] = []

        async def handler(ws: WebSocket) -> None:
            with trio.CancelScope() as scope:

                async def pieces() -> AsyncIterator[str]:
                    yield "money"
                    scope.cancel()

                await ws.send(pieces())
            caught.append(scope.cancelled_caught)

        async with websocket(handler, "unix") as peer:
            assert [await peer.read() for _ in range(2)] == [
                Frame(TEXT, b"money", fin=False),
                Frame(CONTINUATION, b""),
            ]
            await peer.ended.wait()
        assert caught == [False]

    @needs_epoll
    async def test_others_have_their_turn(self, autojump_clock: MockClock) -> None:
        turns = 0
        pieces = 10 * WORK_PER_TURN // WORK_PER_FRAME  # for as many there is room without anybody reading

        async def count() -> None:
            nonlocal turns
            while turns < 1000:
                await trio.lowlevel.checkpoint()
                turns += 1

        async def many() -> AsyncIterator[str]:
            for _ in range(pieces):
                yield "a"

        async def handler(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(count)
                with trio.fail_after(10):
                    await ws.send(many())
                nursery.cancel_scope.cancel()

        async with websocket(handler, "unix") as peer:
            await peer.ended.wait()
            assert peer.fate == "returned"
        assert 9 <= turns <= 12


class TestPings:
    async def test_the_keep_alive_does_not_forget_a_ping_of_the_handler(self, autojump_clock: MockClock) -> None:
        """They may have the same payload, one after the other."""
        taken: list[float] = []

        async def handler(ws: WebSocket) -> None:
            await trio.sleep(25)
            taken.append(await ws.ping(struct.pack("!I", 2)))

        async with websocket(handler, WEBSOCKET_PING_INTERVAL=10, WEBSOCKET_PING_TIMEOUT=60) as peer:
            for number in (1, 2):
                assert await peer.read() == Frame(PING, struct.pack("!I", number))
                await peer.send(pong(struct.pack("!I", number)))
            assert await peer.read() == Frame(PING, struct.pack("!I", 2))
            assert await peer.read() == Frame(PING, struct.pack("!I", 3))
            await peer.send(pong(struct.pack("!I", 2)))
            await peer.ended.wait()
            assert peer.fate == "returned"
        assert len(taken) == 1

    @on_each
    async def test_a_pong_in_front_of_a_close_is_one(self, transport: str, autojump_clock: MockClock) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.ping(b"p")

        async with websocket(handler, transport) as peer:
            assert await peer.read() == Frame(PING, b"p")
            await peer.send(pong(b"p"), close(1000))
            await peer.ended.wait()
            assert peer.fate == "returned"

    async def test_who_waits_to_send_one_is_told(self, autojump_clock: MockClock) -> None:
        async def handler(ws: WebSocket) -> None:
            await trio.sleep(1)
            await ws.ping()

        async with websocket(handler, buffer_size=64, SEND_TIMEOUT=10) as peer:
            for _ in range(20):
                await peer.send(ping(b"x" * 100))
            await peer.ended.wait()
            assert (peer.fate, peer.ws.close_code) == LOST


async def test_who_accepts_is_told_while_receivers_hear_of_it(autojump_clock: MockClock) -> None:
    async def linger(websocket: object) -> None:
        await trio.sleep(2)

    def prepare(app: App) -> None:
        app.add_signal(linger, "websocket.connection.open")

    async def handler(ws: WebSocket) -> None:
        await ws.send("a")

    async with websocket(handler, "tcp", accept=False, prepare=prepare) as peer:
        await peer.read_head()
        await trio.sleep(0.5)
        peer.reset()
        await peer.ended.wait()
        assert (peer.fate, peer.ws.close_code) == LOST

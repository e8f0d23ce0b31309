"""Sending: messages leave whole and in order, and what a cancellation does to one."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import OPERATIONS, Frame, close, closing, on_each, pieces, ping, settled, websocket
from written_frames import BINARY, PONG, TEXT

from trioframe import LocalProtocolError, WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken
from trioframe.ws.outbox import WORK_PER_FRAME, WORK_PER_TURN

STUCK = bytes(1 << 20)


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


class Text(str):
    """A kind of text."""

    __slots__ = ()


MESSAGES: list[tuple[object, Frame]] = [
    ("", Frame(TEXT)),
    ("é", Frame(TEXT, "é".encode())),
    (b"", Frame(BINARY)),
    (b"\0\xff", Frame(BINARY, b"\0\xff")),
    (bytearray(b"ab"), Frame(BINARY, b"ab")),
    (memoryview(b"abcd")[::2], Frame(BINARY, b"ac")),
    (Text("kind"), Frame(TEXT, b"kind")),
    ("a" * 126, Frame(TEXT, b"a" * 126)),
    (bytes(70_000), Frame(BINARY, bytes(70_000))),
]


@on_each
async def test_a_message_is_sent_as_what_it_is(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        for message, _ in MESSAGES:
            await ws.send(message)  # type: ignore[arg-type]

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(len(MESSAGES)) == [frame for _, frame in MESSAGES]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (1, TypeError),
        (None, TypeError),
        ([b"a"], TypeError),
        ("\ud800", LocalProtocolError),
    ],
)
async def test_what_cannot_be_sent_changes_nothing(
    message: object, error: type[Exception], autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(error):
            await ws.send(message)  # type: ignore[arg-type]
        await ws.send("next")

    async with websocket(handler) as peer:
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
async def test_messages_of_several_tasks_leave_in_the_order_of_asking(
    transport: str, autojump_clock: MockClock
) -> None:
    """While the peer does not read."""
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        for number in range(20):
            message = pieces(f"{number}") if number == 10 else f"{number}"
            nursery.start_soon(peer.ws.send, message)
            await wait_all_tasks_blocked()
        assert (await peer.read()).payload == STUCK
        frames = await peer.read_many(21)
        assert b"".join(frame.payload for frame in frames) == b"".join(b"%d" % number for number in range(20))


@on_each
async def test_pings_are_answered_behind_a_frame_that_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    """The last one, which answers all."""
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        for number in range(100):
            await peer.send(ping(b"%d" % number))
            if number % 10 == 0:
                await settled()
        await settled()
        nursery.start_soon(peer.ws.send, "next")
        await settled()
        assert await peer.read() == Frame(BINARY, STUCK)
        assert await peer.read_many(2) == [Frame(PONG, b"99"), Frame(TEXT, b"next")]


@on_each
async def test_a_message_does_not_tear_a_control_frame_that_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, buffer_size=50) as peer, trio.open_nursery() as nursery:
        control = bytes([0x8A, 126]) + (60_000).to_bytes(2) + bytes(60_000)  # larger than any, to be stuck anywhere
        stuck = 10
        peer.ws._outbox.send_soon(control * stuck)
        for message in ("1", pieces("2"), "3"):
            nursery.start_soon(peer.ws.send, message)
            await wait_all_tasks_blocked()
        assert await peer.read_many(stuck) == [Frame(PONG, bytes(60_000))] * stuck
        frames = await peer.read_many(4)
        assert [frame.payload for frame in frames] == [b"1", b"2", b"", b"3"]


@on_each
async def test_a_peer_that_closes_while_a_frame_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    """The frame leaves whole, and our close behind it; what waited is not sent."""
    errors: list[WebSocketClosed] = []

    async def send(ws: WebSocket) -> None:
        try:
            await ws.send("never")
        except WebSocketClosed as error:
            errors.append(error)

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        nursery.start_soon(send, peer.ws)
        await peer.send(close(4000))
        await settled()
        assert await peer.read_to_end() == [Frame(BINARY, STUCK), closing(4000)]
        assert [(type(error), error.code) for error in errors] == [(Broken, 4000)]


@on_each
async def test_a_send_that_is_cancelled_before_it_begins_sends_nothing(
    transport: str, autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        for message in ("never", pieces("never")):
            with trio.CancelScope() as scope:
                scope.cancel()
                await ws.send(message)
            assert scope.cancelled_caught
        await ws.send("next")

    async with websocket(handler, transport) as peer:
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_send_that_is_cancelled_before_its_turn_sends_nothing(
    transport: str, in_pieces: bool, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        with trio.move_on_after(1) as scope:
            await peer.ws.send(pieces("never") if in_pieces else "never")
        assert scope.cancelled_caught
        nursery.start_soon(peer.ws.send, "next")
        assert await peer.read() == Frame(BINARY, STUCK)
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_send_that_is_cancelled_within_a_frame_cuts_the_connection(
    transport: str, in_pieces: bool, autojump_clock: MockClock
) -> None:
    """And its handler goes on."""
    errors: list[WebSocketClosed] = []

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1):
            await ws.send(pieces(STUCK) if in_pieces else STUCK)
        for operation in OPERATIONS.values():
            try:
                await operation(ws)
            except WebSocketClosed as error:
                errors.append(error)
        await trio.sleep(1)

    async with websocket(handler, transport) as peer:
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at) == ("returned", pytest.approx(2, abs=0.2))
        assert await peer.read_to_end() == []
        assert 0 < len(peer.received) < len(STUCK)
        assert {(type(error), error.code) for error in errors} == {(Broken, 1006)}
        assert len(errors) == len(OPERATIONS) - 2  # but accept, which was done, and close, which has no effect


async def test_a_send_that_is_cancelled_behind_its_frame_cuts_it_too(autojump_clock: MockClock) -> None:
    """A control frame is stuck there."""
    head_was_read = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await head_was_read.wait()
        with trio.move_on_after(1) as scope:
            await ws.send(bytes(146))
        assert scope.cancelled_caught
        with pytest.raises(Broken, match="1006"):
            await ws.send("never")

    async with websocket(handler, buffer_size=100) as peer:
        head_was_read.set()
        await wait_all_tasks_blocked()
        await peer.send(ping(bytes(90)))
        await wait_all_tasks_blocked()
        peer.received += await peer.stream.receive_some(60)  # so that there is room for ten octets of the pong
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert await peer.read_to_end() == [Frame(BINARY, bytes(146))]
        assert len(peer.received) == 10


async def test_others_have_their_turn_while_much_is_sent(autojump_clock: MockClock) -> None:
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bystander)
            for _ in range(1000):
                await ws.send("a")
            nursery.cancel_scope.cancel()

    async with websocket(handler, "unix") as peer:
        assert len(await peer.read_many(1000)) == 1000
        assert turns > 1000 * WORK_PER_FRAME / WORK_PER_TURN / 2

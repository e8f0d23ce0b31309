"""Who reads the frames of a WebSocket, what is read ahead, and what is answered while the handler is elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import (
    Frame,
    binary,
    close,
    closing,
    needs_epoll,
    on_each,
    ping,
    pong,
    settled,
    text,
    websocket,
)
from written_frames import BINARY, CLOSE, PONG, TEXT, frame

from trioframe import WebSocket, WebSocketClosed
from trioframe.ws.reading import EVENTS_AT_ONCE

MAX_QUEUE = 16


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def echo_once(ws: WebSocket) -> None:
    await ws.send(await ws.recv())
    await trio.sleep_forever()


class Reader:
    """A handler that does something else until it is told to read."""

    def __init__(self) -> None:
        self.read = trio.Event()
        self.messages: list[str | bytes] = []

    async def __call__(self, ws: WebSocket) -> None:
        await self.read.wait()
        async for message in ws:
            self.messages.append(message)


# --- answered while the handler does something else -------------------------------------------------------------------


@on_each
async def test_pings_are_answered_while_the_handler_sleeps(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        for number in range(3):
            await peer.send(ping(b"%d" % number))
            assert await peer.read() == Frame(PONG, b"%d" % number)


@on_each
async def test_pings_are_answered_while_the_handler_receives(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(WebSocket.recv, transport) as peer:
        for number in range(3):
            await peer.send(ping(b"%d" % number))
            assert await peer.read() == Frame(PONG, b"%d" % number)
        assert peer.fate == "runs"


@on_each
async def test_a_close_is_answered_while_the_handler_sleeps(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        assert await peer.leave() == [closing()]
        assert peer.fate == "runs"
        assert peer.ws.close_code == 1000


@on_each
async def test_what_came_right_behind_the_request_is_read(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, early=ping(b"early") + text("message")) as peer:
        assert await peer.read() == Frame(PONG, b"early")
        assert await peer.ws.recv() == "message"


@on_each
async def test_what_comes_in_pieces_is_put_together(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        for octet in ping(b"slowly"):
            await peer.send(bytes([octet]))
            await settled()
        assert await peer.read() == Frame(PONG, b"slowly")


async def test_pings_between_messages_are_answered_when_they_are_met(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.send(text("1"), ping(b"a"), frame(TEXT, b"2", fin=False), ping(b"b"), frame(0, b"3"), ping(b"c"))
        assert await peer.read_many(3) == [Frame(PONG, b"a"), Frame(PONG, b"b"), Frame(PONG, b"c")]
        assert [await peer.ws.recv(), await peer.ws.recv()] == ["1", "23"]


@pytest.mark.parametrize("handler", [sleep, WebSocket.recv])
async def test_the_pongs_of_one_read_leave_together(
    handler: Callable[[WebSocket], Awaitable[object]], autojump_clock: MockClock
) -> None:
    async with websocket(handler) as peer:
        await peer.send(*(ping(b"%d" % number) for number in range(10)))
        assert await peer.read_many(10) == [Frame(PONG, b"%d" % number) for number in range(10)]
        assert len(peer.writes) == 1


@needs_epoll
async def test_a_flood_of_pings_is_answered(autojump_clock: MockClock) -> None:
    async with websocket(sleep, "unix") as peer:
        await peer.send(*(ping(b"%d" % number) for number in range(1000)))
        assert await peer.read_many(1000) == [Frame(PONG, b"%d" % number) for number in range(1000)]


async def test_a_flood_of_pings_fills_nothing_for_a_peer_that_does_not_read(autojump_clock: MockClock) -> None:
    async with websocket(sleep, buffer_size=512) as peer:
        peer.stream.stop_reading()
        for number in range(500):
            await peer.send(ping(b"%d" % number))
        await settled()
        outbox = peer.ws._outbox
        assert (len(outbox._owed), outbox._owed_pong) == (0, b"\x8a\x03499")
        peer.stream.resume_reading()
        pongs = [frame.payload for frame in await peer.read_now()]
        assert pongs[0] == b"0"
        assert pongs[-1] == b"499"
        assert len(pongs) < 10


@on_each
async def test_others_have_their_turn_in_a_flood(transport: str, autojump_clock: MockClock) -> None:
    """However much has come, a bounded number of events is parsed before that."""
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        await peer.send(*(pong(b"%d" % number) for number in range(800)), ping(b"last"))
        nursery.start_soon(bystander)
        assert await peer.read() == Frame(PONG, b"last")
        assert turns >= 800 / EVENTS_AT_ONCE
        nursery.cancel_scope.cancel()


# --- read ahead -------------------------------------------------------------------------------------------------------


@on_each
async def test_messages_wait_for_a_handler_that_does_something_else(transport: str, autojump_clock: MockClock) -> None:
    reader = Reader()
    async with websocket(reader, transport) as peer:
        await peer.send(text("1"), binary(b"2"))
        await peer.send(text("3"))
        await settled()
        assert [message.data for message in peer.ws._queue or ()] == ["1", b"2", "3"]
        reader.read.set()
        await peer.send(text("4"))
        assert await peer.leave() == [closing()]
    assert reader.messages == ["1", b"2", "3", "4"]


@on_each
@pytest.mark.parametrize(
    ("config", "waiting"),
    [
        ({}, MAX_QUEUE),
        ({"WEBSOCKET_MAX_QUEUE": 1}, 1),
        ({"WEBSOCKET_MAX_SIZE": 2500}, 3),
        ({"WEBSOCKET_MAX_QUEUE": 2, "WEBSOCKET_MAX_SIZE": 1000}, 1),
    ],
)
async def test_when_the_queue_is_full_nothing_is_read(
    transport: str, config: dict[str, int], waiting: int, autojump_clock: MockClock
) -> None:
    """In number or in size; the writes of the peer are held up, and go on when there is room again."""
    reader, sent = Reader(), 0

    async def send() -> None:
        nonlocal sent
        for number in range(2000):
            await peer.send(text(f"{number:<1000}"))
            sent += 1

    async with websocket(reader, transport, **config) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await settled()
        held_up_at = sent
        assert held_up_at < 1500
        assert len(peer.ws._queue or ()) == waiting
        await trio.sleep(15)
        assert sent == held_up_at
        reader.read.set()
        while len(reader.messages) < 2000:
            await settled()
        assert reader.messages == [f"{number:<1000}" for number in range(2000)]


@on_each
async def test_for_each_message_that_is_received_another_one_is_read(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE + 2)), ping(b"behind"))
        for number in range(2):
            assert await peer.read_now() == []
            assert len(peer.ws._queue or ()) == MAX_QUEUE
            assert await peer.ws.recv() == str(number)
        assert await peer.read_now() == []  # the queue is full again
        assert await peer.ws.recv() == "2"
        assert await peer.read() == Frame(PONG, b"behind")


async def test_room_in_size_is_given_back(autojump_clock: MockClock) -> None:
    async with websocket(sleep, WEBSOCKET_MAX_SIZE=1000) as peer:
        for _ in range(5):
            await peer.send(*(text("a" * 300) for _ in range(5)))
            await settled()
            assert len(peer.ws._queue or ()) == 3  # a string is somewhat larger than its characters
            assert [await peer.ws.recv() for _ in range(5)] == ["a" * 300] * 5


@on_each
async def test_what_comes_while_a_task_ceases_to_receive_is_read_too(transport: str, autojump_clock: MockClock) -> None:
    """It may come for that task, which does not take it any more; nobody tells of it twice."""
    async with websocket(sleep, transport) as peer:
        for number in range(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.ws.recv)
                await settled()
                if number % 2:
                    nursery.cancel_scope.cancel()
                peer.send_nowait(ping(b"%d" % number))
                nursery.cancel_scope.cancel()
            assert await peer.read() == Frame(PONG, b"%d" % number)
            assert trio.current_time() < 2


async def test_what_one_read_has_brought_is_read_ahead_without_more_coming(autojump_clock: MockClock) -> None:
    """Who has received one message and does something else has not lost the rest of that read."""
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.append(await ws.recv())
        await trio.sleep_forever()

    async with websocket(handler) as peer:
        await peer.send(*(text(str(number)) for number in range(40)), ping(b"behind"))
        await settled()
        assert received == ["0"]
        assert len(peer.ws._queue or ()) == MAX_QUEUE
        assert [await peer.ws.recv() for _ in range(39)] == [str(number) for number in range(1, 40)]
        assert await peer.read() == Frame(PONG, b"behind")


@on_each
async def test_more_than_one_read_takes(transport: str, autojump_clock: MockClock) -> None:
    """A read as large as the buffer may have left something, of which the transport tells nobody any more."""
    async with websocket(sleep, transport, REQUEST_BUFFER_SIZE=2048, buffer_size=65536) as peer:
        received: list[str | bytes] = []

        async def receive() -> None:
            received.append(await peer.ws.recv())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await settled()
            await peer.send(*(text(f"{number:<2042}") for number in range(12)), ping(b"behind"))
        assert await peer.read() == Frame(PONG, b"behind")
        assert len(peer.ws._queue or ()) == 11


# --- what comes behind a message --------------------------------------------------------------------------------------

ENDS = {
    "a close": (close(1001, "bye"), closing(1001, "bye")),
    "an error": (frame(3), closing(1002, "Invalid opcode 0x3")),
}


@on_each
@pytest.mark.parametrize("end", ENDS)
async def test_who_has_received_a_message_can_answer_it_before_the_end(
    transport: str, end: str, autojump_clock: MockClock
) -> None:
    """Though both have come in one read."""
    octets, answer = ENDS[end]
    async with websocket(echo_once, transport) as peer:
        await settled()  # it receives
        await peer.send(text("hello"), octets)
        assert await peer.read_to_end() == [Frame(TEXT, b"hello"), answer]


@needs_epoll
async def test_who_has_received_a_message_can_answer_it_before_the_loss(autojump_clock: MockClock) -> None:
    """As long as that takes no wait: what is on its way to a peer that has left is given up."""
    async with websocket(echo_once, "tcp") as peer:
        await settled()
        await peer.send(text("hello"))
        await peer.stream.send_eof()
        assert await peer.read_to_end() == [Frame(TEXT, b"hello")]


@on_each
async def test_what_was_read_ahead_does_not_hold_up_the_end(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), ping(b"p"), close(4000))
        assert await peer.read_to_end() == [Frame(PONG, b"p"), closing(4000)]
        assert await peer.ws.recv() == "1"
        with pytest.raises(WebSocketClosed, match="4000"):
            await peer.ws.recv()


@on_each
async def test_pongs_leave_in_front_of_the_close_that_came_behind_their_pings(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(ping(b"1"), ping(b"2"), frame(CLOSE, b"\0"))
        assert await peer.read_to_end() == [
            *(Frame(PONG, b"1"), Frame(PONG, b"2")),
            closing(1002, "invalid code in a close frame"),
        ]


@on_each
async def test_messages_that_come_behind_our_close_are_dropped(transport: str, autojump_clock: MockClock) -> None:
    """Pings are answered still (RFC 6455 section 5.5.2)."""
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, ws)
            await wait_all_tasks_blocked()
            await ws.close(4001)

    async def receive(ws: WebSocket) -> None:
        with pytest.raises(WebSocketClosed, match="4001"):
            while True:
                received.append(await ws.recv())

    async with websocket(handler, transport) as peer:
        assert await peer.read() == closing(4001)
        await peer.send(text("late"))
        await settled()
        await peer.send(frame(BINARY, b"later", fin=False), ping(b"p"))
        assert await peer.read() == Frame(PONG, b"p")
        await peer.send(close(4001))
        assert await peer.read_to_end() == []
    assert (received, peer.fate) == ([], "returned")


async def test_what_was_heard_is_dated_by_the_clock_of_the_run(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await trio.sleep(5)
        await peer.send(ping())
        await peer.read()
        assert peer.ws._heard_at == 5

"""Receiving: a message whole or in pieces, one task at a time, and nothing lost by a cancellation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked
from websocket_peer import (
    Frame,
    WebSocketPeer,
    binary,
    close,
    closing,
    on_each,
    ping,
    settled,
    text,
    websocket,
)
from written_frames import BINARY, CONTINUATION, PONG, TEXT, frame

from trioframe import LocalProtocolError, WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken, Ended
from trioframe.ws.receiving import MessageStream

MAX_QUEUE = 16


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


def first(octets: bytes, opcode: int = TEXT) -> bytes:
    """The first fragment of a message."""
    return frame(opcode, octets, fin=False)


def more(octets: bytes, *, fin: bool = False) -> bytes:
    return frame(CONTINUATION, octets, fin=fin)


def last(octets: bytes) -> bytes:
    return more(octets, fin=True)


async def pieces_of(stream: MessageStream) -> list[str | bytes]:
    return [piece async for piece in stream]


@on_each
async def test_messages_are_received_as_they_were_sent(transport: str, autojump_clock: MockClock) -> None:
    sent = ["", "text", b"", b"\0\xff", "é" * 300, bytes(70_000), "in fragments", "in octets"]

    async def send(peer: WebSocketPeer) -> None:
        for message in sent[:-2]:
            await peer.send(text(message) if isinstance(message, str) else binary(message))
        await peer.send(first(b"in "), ping(), more(b"frag"), last(b"ments"))
        for octet in text("in octets"):
            await peer.send(bytes([octet]))
            await wait_all_tasks_blocked()

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(send, peer)
        assert [await peer.ws.recv() for _ in sent] == sent


@on_each
async def test_each_is_a_checkpoint(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), text("2"), close())
        await settled()
        for message in ("1", "2"):
            with assert_checkpoints():
                assert await peer.ws.recv() == message
        with assert_checkpoints(), pytest.raises(Ended):
            await peer.ws.recv()


async def test_one_task_receives_at_a_time(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.recv)
        await wait_all_tasks_blocked()
        for receive in (peer.ws.recv, peer.ws.receive, peer.ws.__anext__, peer.ws.recv_streaming().__anext__):
            with pytest.raises(trio.BusyResourceError, match="another task is receiving"):
                await receive()
        await peer.send(text("a"))
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.recv_streaming().__anext__)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await peer.ws.recv()
        nursery.cancel_scope.cancel()


# --- the end ----------------------------------------------------------------------------------------------------------


@on_each
@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_all_that_came_before_the_end_is_received_before_it(
    transport: str, code: int, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), binary(b"2"), close(code, "why"), text("late"))
        await settled()
        assert [await peer.ws.recv(), await peer.ws.recv()] == ["1", b"2"]
        for receive in (peer.ws.recv, peer.ws.receive, peer.ws.recv_streaming().__anext__, peer.ws.recv):
            with pytest.raises(Ended if code < 1002 else Broken) as caught:
                await receive()
            assert (caught.value.code, caught.value.reason) == (code, "why")


@on_each
async def test_also_when_we_have_closed(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        await peer.send(text("1"), text("2"))
        await settled()
        nursery.start_soon(peer.ws.close, 4000)
        assert await peer.read() == closing(4000)
        assert [await peer.ws.recv(), await peer.ws.recv()] == ["1", "2"]
        with pytest.raises(Broken, match="4000"):  # at once: nothing will come
            await peer.ws.recv()
        await peer.send(close(4000))


@pytest.mark.parametrize(("code", "is_clean"), [(1000, True), (1001, True), (None, True), (1002, False), (4000, False)])
async def test_iteration_ends_when_it_is_closed_in_order(
    code: int | None, is_clean: bool, autojump_clock: MockClock
) -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.extend([message async for message in ws])
        received.append("ended")

    async with websocket(handler) as peer:
        await peer.send(text("1"), frame(8) if code is None else close(code))
        await peer.ended.wait()
        assert received == (["1", "ended"] if is_clean else [])
        assert (peer.fate, type(peer.error)) == (("returned", type(None)) if is_clean else ("raised", Broken))


async def test_to_users_of_a_channel_it_is_the_end_or_a_break(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.leave()
        with pytest.raises(trio.EndOfChannel) as ended:
            await peer.ws.receive()
        assert isinstance(ended.value, WebSocketClosed)
    async with websocket(sleep, route={"on_disconnect": "ignore"}) as peer:
        await peer.stream.aclose()
        with pytest.raises(trio.BrokenResourceError) as broken:
            await peer.ws.receive()
        assert isinstance(broken.value, WebSocketClosed)


# --- cancelled --------------------------------------------------------------------------------------------------------


class CancelAt(trio.abc.Instrument):
    """Cancels a scope behind the n-th step of the current task; or when that is to take it, and has not yet."""

    def __init__(self, scope: trio.CancelScope, step: int, when: str) -> None:
        self._task = trio.lowlevel.current_task()
        self._scope = scope
        self._step = step
        self._when = when

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count("behind it", task)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self._count("before it", task)

    def _count(self, when: str, task: trio.lowlevel.Task) -> None:
        if task is self._task and when == self._when:
            self._step -= 1
            if self._step == 0:
                self._scope.cancel()


@contextmanager
def cancelled_at(step: int, when: str) -> Iterator[trio.CancelScope]:
    with trio.CancelScope() as scope:
        instrument = CancelAt(scope, step, when)
        trio.lowlevel.add_instrument(instrument)
        try:
            if step == 0:
                scope.cancel()
            yield scope
        finally:
            trio.lowlevel.remove_instrument(instrument)


async def receive_everywhere(receive: Callable[[], Awaitable[None]], when: str) -> int:
    """Receive again and again, cancelled at the first step, at the second, ... until the end; how often it was."""
    cancelled = 0
    for number in count():
        try:
            with cancelled_at(number % 7, when) as scope:
                await receive()
        except WebSocketClosed:
            return cancelled
        cancelled += scope.cancelled_caught
    raise AssertionError


@pytest.fixture
def cut_apart() -> list[bytes]:
    """Messages of all kinds, with control frames between, cut in many ways."""
    octets = b"".join(
        [
            *(text(f"{number}") for number in range(20)),
            *(first(b"2") + ping(b"p") + last(b"%d" % number) for number in range(10)),
            *(binary(bytes([number]) * 300) for number in range(10)),
            *(text(f"4{number}") + ping(b"p") * 20 for number in range(5)),
        ]
    )
    cuts = [octets[start : start + size] for size, start in _cuts(len(octets))]
    assert b"".join(cuts) == octets
    return cuts


def _cuts(size: int) -> list[tuple[int, int]]:
    sizes, start = [1, 2, 3, 50, 7, 400, 1, 13], 0
    cuts: list[tuple[int, int]] = []
    while start < size:
        cuts.append((sizes[len(cuts) % len(sizes)], start))
        start += cuts[-1][0]
    return cuts


SENT = [
    *(str(number) for number in range(20)),
    *(f"2{number}" for number in range(10)),
    *(bytes([number]) * 300 for number in range(10)),
    *(f"4{number}" for number in range(5)),
]


async def send_slowly(peer: WebSocketPeer, pieces: list[bytes]) -> None:
    for number, piece in enumerate(pieces):
        await peer.send(piece)
        for _ in range(number % 5):
            await trio.lowlevel.checkpoint()
    await peer.send(close())


at_each_checkpoint = pytest.mark.parametrize("when", ["behind it", "before it"])


@on_each
@at_each_checkpoint
@pytest.mark.parametrize("max_queue", [1, MAX_QUEUE])
async def test_no_message_is_lost_by_a_cancellation(
    transport: str, when: str, max_queue: int, cut_apart: list[bytes], autojump_clock: MockClock
) -> None:
    received: list[str | bytes] = []

    async with websocket(sleep, transport, WEBSOCKET_MAX_QUEUE=max_queue) as peer, trio.open_nursery() as nursery:

        async def receive() -> None:
            received.append(await peer.ws.recv())

        nursery.start_soon(send_slowly, peer, cut_apart)
        nursery.start_soon(peer.read_to_end)
        assert await receive_everywhere(receive, when) > 10
    assert received == SENT


@on_each
@at_each_checkpoint
async def test_no_piece_is_lost_by_a_cancellation(
    transport: str, when: str, cut_apart: list[bytes], autojump_clock: MockClock
) -> None:
    received: list[str | bytes] = []
    pieces: list[str | bytes] = []

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        stream = peer.ws.recv_streaming()

        async def receive() -> None:
            nonlocal stream
            try:
                pieces.append(await anext(stream))
            except StopAsyncIteration:
                received.append(b"".join(pieces) if isinstance(pieces[0], bytes) else "".join(pieces))  # type: ignore[arg-type]
                pieces.clear()
                stream = peer.ws.recv_streaming()

        nursery.start_soon(send_slowly, peer, cut_apart)
        nursery.start_soon(peer.read_to_end)
        assert await receive_everywhere(receive, when) > 10
    assert received == SENT


@on_each
async def test_what_comes_in_the_moment_of_the_cancellation_is_received_next(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer:
        for number in range(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.ws.recv)
                await settled()
                peer.send_nowait(text(str(number)))
                nursery.cancel_scope.cancel()
            assert await peer.ws.recv() == str(number)


async def test_a_recv_that_is_cancelled_before_it_begins_takes_nothing(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.send(text("1"))
        await settled()
        with trio.CancelScope() as scope:
            scope.cancel()
            await peer.ws.recv()
        assert scope.cancelled_caught
        assert await peer.ws.recv() == "1"


# --- in pieces --------------------------------------------------------------------------------------------------------


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


# --- others -----------------------------------------------------------------------------------------------------------


async def test_others_have_their_turn(autojump_clock: MockClock) -> None:
    """However many have come, each is a checkpoint."""
    received, turns = 0, 0

    async def handler(ws: WebSocket) -> None:
        nonlocal received
        async for _ in ws:
            received += 1

    async def bystander() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with websocket(handler) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(bystander)
        await peer.send(*(text("a") for _ in range(1000)), close())
        await peer.ended.wait()
        assert received == 1000
        assert turns > 1000
        nursery.cancel_scope.cancel()

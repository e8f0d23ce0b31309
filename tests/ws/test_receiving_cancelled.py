"""A recv that is cancelled, wherever that is, loses nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import WebSocketPeer, binary, close, first, last, on_each, ping, settled, text, websocket

from trioframe import WebSocket, WebSocketClosed

MAX_QUEUE = 16


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


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

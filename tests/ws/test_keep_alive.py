"""A peer that has gone without a word is found, and none is given up for what is not its fault."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import (
    CONFIG,
    INTERVAL,
    TIMEOUT,
    Handler,
    closing,
    on_each,
    on_each_that_leaves,
    ping,
    pong,
    settled,
    text,
    told,
    websocket,
)
from written_frames import BINARY, CLOSE, PING, PONG, TEXT, frame

from trioframe import WebSocket
from trioframe.ws.ended import Broken
from trioframe.ws.keep_alive import PASSES

MAX_QUEUE = 16
UNANSWERED = closing(1011, "no answer to a ping in time")


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


@on_each
@pytest.mark.parametrize("handler", [sleep, WebSocket.recv])
async def test_a_peer_is_pinged_when_it_was_silent_for_the_interval(
    transport: str, handler: Handler, autojump_clock: MockClock
) -> None:
    async with websocket(handler, transport, **CONFIG) as peer:
        for number in range(1, 6):
            opcode, payload, _ = await peer.read()
            assert (opcode, len(payload)) == (PING, 4)
            assert trio.current_time() == pytest.approx(number * INTERVAL, abs=0.01)
            await peer.send(pong(payload))


async def test_a_peer_that_speaks_is_not_pinged(autojump_clock: MockClock) -> None:
    received = 0

    async def handler(ws: WebSocket) -> None:
        nonlocal received
        async for _ in ws:
            received += 1

    async with websocket(handler, **CONFIG) as peer:
        for number in range(10):
            await trio.sleep(INTERVAL - 1)
            await peer.send(text(str(number)) if number % 2 else pong())
        assert await peer.read_now() == []
        silent_since = trio.current_time()
        assert (await peer.read()).opcode == PING
        assert trio.current_time() == silent_since + INTERVAL
        assert received == 5


@pytest.mark.parametrize("sign", [text("a"), pong(b"another"), ping(), frame(TEXT, b"a")[:1]])
async def test_any_sign_of_life_will_do_for_an_answer(sign: bytes, autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG) as peer:
        await peer.read()
        await trio.sleep(TIMEOUT - 1)
        await peer.send(sign)
        heard_at = trio.current_time()
        frame = await peer.read()
        if frame.opcode == PONG:
            frame = await peer.read()
        assert frame.opcode == PING
        assert trio.current_time() == heard_at + INTERVAL


@on_each
async def test_a_peer_that_does_not_answer_is_given_up_exactly_when_it_is_late(
    transport: str, autojump_clock: MockClock
) -> None:
    handler, errors = told(WebSocket.recv)
    async with websocket(handler, transport, **CONFIG) as peer:
        assert (await peer.read()).opcode == PING
        assert await peer.read_to_end() == [UNANSWERED]
        await peer.ended.wait()
        assert peer.ended_at == pytest.approx(INTERVAL + TIMEOUT, abs=0.01)
        [error] = errors
        assert (type(error), error.code, error.reason) == (Broken, 1011, "no answer to a ping in time")
        assert peer.fate == "returned"


@on_each
async def test_a_handler_that_does_something_else_is_cancelled_then(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        assert peer.ended_at == pytest.approx(INTERVAL + TIMEOUT, abs=0.01)
        assert peer.ws.close_code == 1011


async def test_infinity_turns_pings_off(autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG | {"WEBSOCKET_PING_INTERVAL": float("inf")}) as peer:
        await trio.sleep(50_000)
        assert await peer.read_now() == []
        assert peer.fate == "runs"


async def test_a_peer_that_need_not_answer_is_pinged_all_the_same(autojump_clock: MockClock) -> None:
    """For whatever stands between, and forgets quiet connections."""
    async with websocket(sleep, **CONFIG | {"WEBSOCKET_PING_TIMEOUT": float("inf")}) as peer:
        for number in range(1, 4):
            opcode, payload, _ = await peer.read()
            assert (opcode, trio.current_time()) == (PING, number * INTERVAL)
            await peer.send(pong(payload))
        assert (await peer.read()).opcode == PING
        await trio.sleep(50_000)
        assert peer.fate == "runs"


async def test_a_long_timeout_does_not_make_pings_rarer(autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG | {"WEBSOCKET_PING_TIMEOUT": 10 * INTERVAL + 1}) as peer:
        for number in range(1, 4):
            opcode, payload, _ = await peer.read()
            assert (opcode, trio.current_time()) == (PING, number * INTERVAL)
            await peer.send(pong(payload))
        assert (await peer.read()).opcode == PING
        assert await peer.read_to_end() == [UNANSWERED]
        assert trio.current_time() == 4 * INTERVAL + 10 * INTERVAL + 1


async def test_nothing_is_kept_of_pings_that_are_never_answered_by_a_pong(autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG) as peer:
        for _ in range(5):
            await peer.read()
            await peer.send(pong(b"another"))
        assert len(peer.ws._pings or ()) <= 1


@on_each
async def test_time_in_which_nothing_was_read_does_not_count(transport: str, autojump_clock: MockClock) -> None:
    """The queue is full, and the pong behind it; once it is read, the peer has all of its time again."""
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        _, payload, _ = await peer.read()
        await peer.send(pong(payload))
        await trio.sleep(1000)
        assert peer.fate == "runs"
        assert {frame.opcode for frame in await peer.read_now()} == {PING}  # which may find out that it has gone
        assert [await peer.ws.recv() for _ in range(MAX_QUEUE)] == [str(number) for number in range(MAX_QUEUE)]
        read_at = trio.current_time()
        assert (await peer.read()).opcode == PING
        assert trio.current_time() == pytest.approx(read_at + INTERVAL, abs=0.1)


@pytest.mark.parametrize("paused_for", [0.25, 7.25, 13.25, 1000.25])
async def test_once_it_is_read_again_an_answer_is_due(paused_for: float, autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        assert (await peer.read()).opcode == PING
        await trio.sleep(paused_for)
        await peer.ws.recv()
        resumed_at = trio.current_time()
        frames = await peer.read_to_end()
        assert frames[-1] == UNANSWERED
        assert {frame.opcode for frame in frames[:-1]} <= {PING}
        assert TIMEOUT <= trio.current_time() - resumed_at <= INTERVAL + TIMEOUT + 0.001


async def test_before_the_ping_it_counts_as_little(autojump_clock: MockClock) -> None:
    async with websocket(sleep, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        await trio.sleep(INTERVAL - 1)
        await peer.ws.recv()
        resumed_at = trio.current_time()
        assert (await peer.read()).opcode == PING
        assert trio.current_time() == pytest.approx(resumed_at + INTERVAL)


@on_each
async def test_who_reads_slowly_is_not_pinged_meanwhile(transport: str, autojump_clock: MockClock) -> None:
    """The ping would be late, and its pong with it; how slowly one may read, the writer sees to."""
    message = bytes(8 << 20)
    async with websocket(sleep, transport, **CONFIG) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, message)
        received = 0
        while received < len(message):
            received += len(await peer.stream.receive_some(200_000))
            if received < len(message):
                await trio.sleep(0.5)
            elif transport == "memory":
                assert trio.current_time() > 2 * (INTERVAL + TIMEOUT)
        nursery.cancel_scope.cancel()
        assert peer.fate == "runs"


@on_each
@pytest.mark.parametrize("handler", [sleep, WebSocket.recv])
async def test_time_in_which_we_were_late_does_not_count(
    transport: str, handler: Handler, autojump_clock: MockClock
) -> None:
    """The alarm rings, and the pong is here already, though nobody has had the time to read it."""
    async with websocket(handler, transport, **CONFIG) as peer:
        _, payload, _ = await peer.read()
        peer.send_nowait(pong(payload))
        autojump_clock.jump(1000)  # the event loop is blocked
        for _ in range(2 * PASSES):
            await trio.lowlevel.checkpoint()
        await settled()
        assert peer.fate == "runs"
        assert [frame.opcode for frame in await peer.read_now()] in ([], [PING])


@on_each
@pytest.mark.parametrize("size", [900, 2000])
async def test_who_looks_again_and_again_does_not_stop_the_clock(
    transport: str, size: int, autojump_clock: MockClock
) -> None:
    """A peer falls silent in a message, of which more or less than may be read ahead has come."""

    async def handler(ws: WebSocket) -> None:
        await trio.sleep(1)
        while True:
            with trio.move_on_after(5):
                await ws.recv()

    config = CONFIG | {"WEBSOCKET_MAX_SIZE": 1000}
    async with websocket(handler, transport, route={"max_size": 10_000}, **config) as peer:
        await peer.send(frame(BINARY, bytes(size), fin=False))
        await peer.ended.wait()
        assert peer.ended_at == pytest.approx(INTERVAL + TIMEOUT, abs=6)
        assert [frame.opcode for frame in await peer.read_to_end()] == [PING, CLOSE]


@on_each_that_leaves
async def test_behind_the_end_the_alarm_is_not_set_again(transport: str, autojump_clock: MockClock) -> None:
    """What waited is received, and makes room; but nobody is to be pinged any more."""
    async with websocket(sleep, transport, route={"on_disconnect": "ignore"}, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        await trio.sleep(INTERVAL + 1)  # it was pinged
        peer.reset()
        await settled()
        assert peer.ws.close_code == 1006
        assert [await peer.ws.recv() for _ in range(MAX_QUEUE)] == [str(number) for number in range(MAX_QUEUE)]
        assert peer.ws._alarm.deadline == math.inf

"""What a WebSocket does by itself: it comes to its end, whoever brings it about."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import (
    CLOSE_TIMEOUT,
    CONFIG,
    Frame,
    binary,
    close,
    closing,
    needs_epoll,
    on_each,
    ping,
    settled,
    text,
    told,
    websocket,
)
from written_frames import BINARY, CLOSE, CONTINUATION, PONG, TEXT, frame, header

from trioframe import WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken, Ended

MAX_QUEUE = 16


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def nothing(ws: WebSocket) -> None:
    await trio.lowlevel.checkpoint()


async def ignored(operation: Awaitable[object]) -> None:
    with suppress(WebSocketClosed):
        await operation


# --- the handshake ----------------------------------------------------------------------------------------------------


async def test_a_handler_that_has_not_refused_for_a_second_accepts(autojump_clock: MockClock) -> None:
    async with websocket(sleep, accept=False) as peer:
        await wait_all_tasks_blocked()
        assert not peer.ws.accepted
        with trio.move_on_after(0.999) as too_early:
            await peer.stream.receive_some(1)
        assert too_early.cancelled_caught
        assert await peer.stream.receive_some(1) == b"H"
        assert trio.current_time() == 1
        assert peer.ws.accepted


async def test_a_client_that_leaves_before_is_no_websocket(autojump_clock: MockClock) -> None:
    async with websocket(sleep, accept=False) as peer:
        await wait_all_tasks_blocked()
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        await peer.served.wait()
        assert (peer.ws.accepted, peer.ws.closed, peer.ws.close_code) == (False, True, 1006)
        with pytest.raises(Broken, match="1006"):
            await peer.ws.recv()


async def test_a_server_that_drains_already_goes_away_at_once(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        peer.app.shutdown()
        await wait_all_tasks_blocked()
        with pytest.raises(Broken, match="1001"):
            await ws.send("never")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert await peer.read() == closing(1001, "the server is stopping")
        await peer.send(close(1001))
        await peer.ended.wait()
        assert peer.fate == "returned"


# --- the peer ends it -------------------------------------------------------------------------------------------------


CLOSES = {
    "normal": (close(), closing(), 1000, ""),
    "going away": (close(1001, "bye"), closing(1001, "bye"), 1001, "bye"),
    "of an application": (close(4321, "é"), closing(4321, "é"), 4321, "é"),
    "without a code": (frame(CLOSE), Frame(CLOSE), 1005, ""),
    "that only clients send": (close(1010), closing(1000), 1010, ""),
}


FAILURES = {
    "a bad frame": (frame(3), 1002),
    "no mask": (frame(TEXT, b"a", key=None), 1002),
    "a bad code": (frame(CLOSE, b"\x03\xed"), 1002),
    "bad UTF-8": (frame(TEXT, b"\xff"), 1007),
    "too large, as declared": (header(BINARY, 1001), 1009),
    "too many fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 4, 1008),
}


LIMITS = {"WEBSOCKET_MAX_SIZE": 1000, "WEBSOCKET_MAX_FRAGMENTS": 4}


@on_each
@pytest.mark.parametrize("kind", CLOSES)
async def test_a_close_is_answered(transport: str, kind: str, autojump_clock: MockClock) -> None:
    octets, answer, code, reason = CLOSES[kind]
    handler, errors = told(WebSocket.recv)
    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        await peer.send(octets)
        assert await peer.read_to_end() == [answer]
        await peer.ended.wait()
        [error] = errors
        assert (error.code, error.reason) == (code, reason) == (peer.ws.close_code, peer.ws.close_reason)
        assert type(error) is (Ended if code in (1000, 1001, 1005) else Broken)
        assert peer.ws.closed


@on_each
async def test_a_handler_that_does_something_else_finishes_after_a_close(
    transport: str, autojump_clock: MockClock
) -> None:
    async def work(ws: WebSocket) -> None:
        await trio.sleep(100)

    async with websocket(work, transport, **CONFIG) as peer:
        await peer.send(close(4000))
        await trio.sleep(1)
        assert peer.request.disconnected
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at) == ("returned", pytest.approx(100, abs=0.1))


@on_each
async def test_or_is_cancelled_where_that_is_wanted(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, route={"cancel_on_close": True}, **CONFIG) as peer:
        assert await peer.leave() == [closing()]
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        assert peer.ws.close_code == 1000


async def test_but_not_if_it_is_told(autojump_clock: MockClock) -> None:
    handler, errors = told(WebSocket.recv)
    async with websocket(handler, route={"cancel_on_close": True}, **CONFIG) as peer:
        assert await peer.leave() == [closing()]
        await peer.ended.wait()
        assert (peer.fate, [error.code for error in errors]) == ("returned", [1000])


async def test_nor_if_it_ignores_who_leaves(autojump_clock: MockClock) -> None:
    async with websocket(sleep, route={"cancel_on_close": True, "on_disconnect": "ignore"}, **CONFIG) as peer:
        await peer.send(close())
        assert await peer.read_now() == [closing()]
        assert peer.request.disconnected
        assert peer.fate == "runs"


@on_each
@pytest.mark.parametrize("kind", FAILURES)
async def test_what_the_peer_does_wrong_is_found_in_recv(transport: str, kind: str, autojump_clock: MockClock) -> None:
    octets, code = FAILURES[kind]
    handler, errors = told(WebSocket.recv)
    async with websocket(handler, transport, **CONFIG | LIMITS) as peer:
        await settled()
        await peer.send(octets)
        [last] = await peer.read_to_end()
        assert (last.opcode, last.payload[:2]) == (CLOSE, code.to_bytes(2))
        await peer.ended.wait()
        [error] = errors
        assert (type(error), error.code) == (Broken, code)
        assert error.reason.encode() == last.payload[2:]
        assert (peer.fate, peer.ws.close_code) == ("returned", code)
        assert peer.ended_at < 1


@on_each
@pytest.mark.parametrize("kind", FAILURES)
async def test_and_while_the_handler_does_something_else(transport: str, kind: str, autojump_clock: MockClock) -> None:
    octets, code = FAILURES[kind]
    async with websocket(sleep, transport, **CONFIG | LIMITS) as peer:
        await peer.send(octets)
        [last] = await peer.read_to_end()
        assert (last.opcode, last.payload[:2]) == (CLOSE, code.to_bytes(2))
        assert peer.fate == "cancelled as disconnect"
        assert peer.ended_at < 1
        assert peer.ws.close_code == code


# --- we end it --------------------------------------------------------------------------------------------------------


@on_each
async def test_a_handler_that_returns_closes_and_the_peer_has_a_moment_to_answer(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(nothing, transport, **CONFIG) as peer:
        assert await peer.read() == closing()
        await trio.sleep(CLOSE_TIMEOUT - 0.5)
        await peer.send(close())
        assert await peer.read_to_end() == []
        await peer.served.wait()
        assert trio.current_time() < CLOSE_TIMEOUT
        assert peer.ws.close_code == 1000


@on_each
async def test_a_peer_that_does_not_answer_is_cut(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(nothing, transport, **CONFIG) as peer:
        assert await peer.read() == closing()
        assert await peer.read_to_end() == []
        assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT, abs=0.1)
        await peer.served.wait()


@on_each
@pytest.mark.parametrize("sends", [False, True])
async def test_it_ends_in_bounded_time_for_a_peer_that_reads_nothing(
    transport: str, sends: bool, autojump_clock: MockClock
) -> None:
    """Nor answers; though it may go on sending."""

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1):
            await ws.recv() if sends else await trio.sleep_forever()
        ws._outbox.send_soon(bytes(1 << 23))

    async def send_on() -> None:
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await peer.send(binary(bytes(10_000)))
                await trio.sleep(0.5)

    async with websocket(handler, transport, **CONFIG) as peer, trio.open_nursery() as nursery:
        if sends:
            nursery.start_soon(send_on)
        await peer.served.wait()
        assert trio.current_time() < 1 + 2 * CLOSE_TIMEOUT + 1
        if not sends:
            nursery.cancel_scope.cancel()


@on_each
async def test_a_full_queue_does_not_hide_the_answer(transport: str, autojump_clock: MockClock) -> None:
    """What has come and what comes is dropped."""
    handler_goes_on = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await handler_goes_on.wait()

    async with websocket(handler, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(3 * MAX_QUEUE)))
        await settled()
        handler_goes_on.set()
        assert await peer.read() == closing()
        await peer.send(text("late"), close())
        assert await peer.read_to_end() == []
        await peer.served.wait()
        assert trio.current_time() < 1


@on_each
async def test_both_close_at_once(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        await settled()
        await ws.close(4000, "ours")

    async with websocket(handler, transport, **CONFIG) as peer:
        ours = await peer.read()
        await peer.send(close(4001, "theirs"))
        assert (ours, await peer.read_to_end()) == (closing(4000, "ours"), [])
        assert (peer.ws.close_code, peer.ws.close_reason) == (4000, "ours")
        await peer.served.wait()
        assert trio.current_time() < 1


@on_each
async def test_the_server_drains(transport: str, autojump_clock: MockClock) -> None:
    handler, errors = told(WebSocket.recv)
    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        peer.app.shutdown()
        assert await peer.read() == closing(1001, "the server is stopping")
        await peer.send(close(1001))
        assert await peer.read_to_end() == []
        await peer.served.wait()
        assert [(type(error), error.code) for error in errors] == [(Ended, 1001)]
        assert trio.current_time() < 1.5


async def test_the_server_drains_while_it_is_closed_anyway(autojump_clock: MockClock) -> None:
    async with websocket(nothing, **CONFIG) as peer:
        assert await peer.read() == closing()
        peer.app.shutdown()
        assert await peer.leave() == []
        assert peer.ws.close_code == 1000


async def test_what_the_peer_does_wrong_behind_our_close(autojump_clock: MockClock) -> None:
    async with websocket(nothing, **CONFIG) as peer:
        assert await peer.read() == closing()
        await peer.send(frame(3))
        assert await peer.read_to_end() == []
        await peer.served.wait()
        assert (peer.ws.close_code, trio.current_time() < 1) == (1000, True)


@needs_epoll
async def test_much_that_comes_behind_our_close_is_dropped(autojump_clock: MockClock) -> None:
    async with websocket(nothing, "unix", **CONFIG) as peer:
        assert await peer.read() == closing()
        await peer.send(*(binary(bytes(size)) for size in (900_000, 100_000, 900_000)), ping(b"p"), close())
        assert await peer.read_to_end() == [Frame(PONG, b"p")]
        assert trio.current_time() < 1


@on_each
async def test_an_answer_to_a_close_that_nobody_reads_is_given_up(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        ws._outbox.send_soon(bytes(1 << 23))
        await ignored(ws.recv())

    async with websocket(handler, transport, **CONFIG) as peer:
        await peer.send(close())
        await peer.served.wait()
        assert trio.current_time() <= CLOSE_TIMEOUT + 0.5

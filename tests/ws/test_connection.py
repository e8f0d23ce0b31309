"""What a WebSocket does by itself: it comes to its end, whoever brings it about."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import (
    Frame,
    WebSocketPeer,
    binary,
    close,
    closing,
    needs_epoll,
    on_each,
    on_each_that_leaves,
    ping,
    settled,
    text,
    told,
    websocket,
)
from written_frames import BINARY, CLOSE, CONTINUATION, PONG, TEXT, frame, header

from trioframe import App, WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken, Ended

CLOSE_TIMEOUT, LINGER = 5.0, 7.0  # seconds
CONFIG = {
    "WEBSOCKET_PING_INTERVAL": 20.0,
    "WEBSOCKET_PING_TIMEOUT": 15.0,
    "WEBSOCKET_CLOSE_TIMEOUT": CLOSE_TIMEOUT,
    "LINGER_TIMEOUT": LINGER,
}
MAX_QUEUE = 16

Handler = Callable[[WebSocket], Awaitable[object]]


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def nothing(ws: WebSocket) -> None:
    await trio.lowlevel.checkpoint()


async def ignored(operation: Awaitable[object]) -> None:
    with suppress(WebSocketClosed):
        await operation


async def send_much(ws: WebSocket) -> None:
    await ws.send(bytes(1 << 23))


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


# --- the connection is lost -------------------------------------------------------------------------------------------


async def fin(peer: WebSocketPeer) -> None:
    await peer.stream.send_eof()


async def leave(peer: WebSocketPeer) -> None:
    await peer.stream.aclose()


async def rst(peer: WebSocketPeer) -> None:
    await trio.lowlevel.checkpoint()
    peer.reset()


on_each_loss = pytest.mark.parametrize("lose", [fin, leave, rst])
Lose = Callable[[WebSocketPeer], Awaitable[None]]


async def wait_for_pong(ws: WebSocket) -> None:
    await ws.ping()


async def wait_for_close(ws: WebSocket) -> None:
    await ws.close()
    ws._raise_closed()


@on_each_that_leaves
@on_each_loss
@pytest.mark.parametrize("operation", [WebSocket.recv, wait_for_pong, wait_for_close, send_much])
async def test_who_sits_in_an_operation_is_told_of_the_loss(
    transport: str, lose: Lose, operation: Handler, autojump_clock: MockClock
) -> None:
    handler, errors = told(operation)
    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        await lose(peer)
        await peer.ended.wait()
        assert peer.fate == "returned"
        [error] = errors
        assert isinstance(error, Broken)
        assert (error.code, isinstance(error, trio.ClosedResourceError)) == (
            (1000, True) if operation is wait_for_close else (1006, False)
        )
        assert peer.ended_at < 1
        await peer.served.wait()


@on_each_that_leaves
@on_each_loss
@pytest.mark.parametrize("queued", [0, 3])
async def test_who_does_something_else_is_cancelled(
    transport: str, lose: Lose, queued: int, autojump_clock: MockClock
) -> None:
    """Also with messages that wait."""
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(queued)))
        await settled()
        await lose(peer)
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        assert peer.ended_at < 1
        assert peer.ws.close_code == 1006
        assert [await peer.ws.recv() for _ in range(queued)] == [str(number) for number in range(queued)]
        with pytest.raises(Broken):
            await peer.ws.recv()
        await peer.served.wait()


@on_each_that_leaves
async def test_who_ignores_who_leaves_goes_on(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, route={"on_disconnect": "ignore"}, **CONFIG) as peer:
        peer.reset()
        await settled()
        assert (peer.fate, peer.request.disconnected) == ("runs", True)
        for operation in (WebSocket.recv, wait_for_pong, send_much):
            with pytest.raises(WebSocketClosed, match="1006"):
                await operation(peer.ws)
        await peer.ws.close()


@on_each_that_leaves
async def test_a_reset_is_found_with_a_full_queue_as_well(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, **CONFIG) as peer:
        await peer.send(*(text(str(number)) for number in range(MAX_QUEUE)))
        await settled()
        peer.reset()
        await peer.ended.wait()
        assert (peer.fate, peer.ws.close_code) == ("cancelled as disconnect", 1006)


@on_each_that_leaves
async def test_a_task_of_no_request_that_is_told_does_not_save_the_handler(
    transport: str, autojump_clock: MockClock
) -> None:
    """A hub sends to many; who of them has gone has to end all the same."""
    handler, errors = told(send_much)
    async with websocket(sleep, transport, **CONFIG) as peer, trio.open_nursery() as hub:
        hub.start_soon(handler, peer.ws)
        await settled()
        assert peer.ws._outbox.waiting
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        await settled()
        assert [error.code for error in errors] == [1006]


@on_each_that_leaves
async def test_nor_does_one_that_receives(transport: str, autojump_clock: MockClock) -> None:
    handler, errors = told(WebSocket.recv)
    async with websocket(sleep, transport, **CONFIG) as peer, trio.open_nursery() as other:
        await settled()
        other.start_soon(handler, peer.ws)
        await settled()
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "cancelled as disconnect"
        await settled()
        assert [error.code for error in errors] == [1006]


@on_each_that_leaves
async def test_a_task_of_the_request_does(transport: str, autojump_clock: MockClock) -> None:
    receive, errors = told(WebSocket.recv)

    async def handler(ws: WebSocket) -> None:
        await settled()
        peer.request.nursery.start_soon(receive, ws)
        await trio.sleep(10)

    async with websocket(handler, transport, **CONFIG) as peer:
        await settled()
        await settled()  # it receives
        peer.reset()
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert [error.code for error in errors] == [1006]


@needs_epoll
@pytest.mark.parametrize(
    "operation",
    [
        lambda ws: ws.send("a"),
        WebSocket.ping,
        WebSocket.pong,
        WebSocket.close,
        lambda ws: ws.send(some_pieces()),
    ],
)
async def test_the_operation_that_finds_the_loss_is_told(operation: Handler, autojump_clock: MockClock) -> None:
    """By the error of its own write, before the transport tells."""

    async def handler(ws: WebSocket) -> None:
        await settled()
        peer.reset()
        try:
            await operation(ws)
        except WebSocketClosed as error:
            errors.append(error)
        await trio.lowlevel.checkpoint()

    errors: list[WebSocketClosed] = []
    async with websocket(handler, "tcp", **CONFIG) as peer:
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert [error.code for error in errors] == ([] if operation is WebSocket.close else [1006])


async def some_pieces() -> object:
    yield "a"


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


# --- hanging up -------------------------------------------------------------------------------------------------------


@on_each_that_leaves
@pytest.mark.parametrize("octets", [close(), frame(3)])
async def test_the_connection_is_hung_up_though_the_handler_goes_on(
    transport: str, octets: bytes, autojump_clock: MockClock
) -> None:
    """The peer waits for it (RFC 6455 section 7.1.1)."""
    route = {"on_disconnect": "ignore"}

    async def handler(ws: WebSocket) -> None:
        await trio.sleep(100)

    async with websocket(handler, transport, route=route, **CONFIG) as peer:
        await peer.send(octets)
        assert [frame.opcode for frame in await peer.read_to_end()] == [CLOSE]
        assert trio.current_time() < 1
        assert peer.fate == "runs"
        with pytest.raises(WebSocketClosed):
            await peer.ws.recv()
        await peer.served.wait()
        assert trio.current_time() == pytest.approx(100, abs=LINGER)


@on_each_that_leaves
@pytest.mark.parametrize("seconds", [0.0, 0.5, LINGER - 0.5, LINGER + 0.5])
@pytest.mark.parametrize("close_timeout", [1.0, 60.0])
async def test_it_ends_in_order_while_it_is_hung_up(
    transport: str,
    seconds: float,
    close_timeout: float,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The peer keeps the connection open, and the handler returns meanwhile: with that the request is over."""
    over_at: list[float] = []

    async def handler(ws: WebSocket) -> None:
        await trio.sleep(seconds)

    def prepare(app: App) -> None:
        @app.on_request
        async def expect(request: Any) -> None:
            request.after_response(note)

    async def note() -> None:
        over_at.append(trio.current_time())

    config = CONFIG | {"WEBSOCKET_CLOSE_TIMEOUT": close_timeout}
    async with websocket(handler, transport, prepare=prepare, **config) as peer:
        await peer.send(close())
        assert await peer.read_to_end(stay=True) == [closing()]
        await peer.served.wait()
        assert over_at == [pytest.approx(seconds, abs=0.2)]
        assert trio.current_time() <= max(seconds, LINGER) + LINGER + 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

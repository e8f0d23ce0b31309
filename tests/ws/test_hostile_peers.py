"""Peers that do what nobody who means well would do: what each does, and what it must not bring about.

Found by clients that did everything at random; `benchmarks/abuse.py` has the floods.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from upgrading import opening, visiting
from websocket_peer import (
    Frame,
    binary,
    close,
    closing,
    needs_epoll,
    on_each,
    on_each_that_leaves,
    ping,
    pong,
    settled,
    text,
    websocket,
)
from written_frames import CONTINUATION, PONG, TEXT, frame

from trioframe import App, Response, WebSocket, WebSocketClosed
from trioframe import text as text_response
from trioframe.ws.bounds import WebSocketLimits
from trioframe.ws.events import NEED_DATA, Fragment, Message
from trioframe.ws.protocol import WebSocketProtocol

QUEUE = 16  # messages that wait, by default


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


# --- haste -----------------------------------------------------------------------------------------------------------


@on_each
async def test_a_ping_right_behind_the_handshake_is_answered_while_the_handler_sleeps(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport, early=ping(b"early")) as peer:
        assert await peer.read() == Frame(PONG, b"early")


@on_each
async def test_a_close_right_behind_the_handshake_is_answered_while_the_handler_sleeps(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport, early=close()) as peer:
        assert await peer.read_to_end() == [closing()]
        assert peer.ws.close_code == 1000


@on_each_that_leaves
async def test_a_close_that_is_not_waited_for(transport: str, autojump_clock: MockClock) -> None:
    """The answer does not reach anybody, and it is a clean close all the same."""
    async with websocket(sleep, transport) as peer:
        peer.send_nowait(ping(), close(4000))
        peer.reset()
        await settled()
        assert peer.ws.closed
        assert peer.ws.close_code in (4000, 1006)  # a reset may come before what was sent in front of it
    assert peer.fate.startswith("cancelled")


@on_each
async def test_what_was_asked_before_an_error_is_answered_before_it_is_told(
    transport: str, autojump_clock: MockClock
) -> None:
    async with websocket(echo, transport) as peer:
        await peer.send(ping(b"1"), ping(b"2"), frame(3))
        *pongs, last = await peer.read_to_end()
        assert pongs == [Frame(PONG, b"1"), Frame(PONG, b"2")]
        assert last.payload[:2] == closing(1002).payload


# --- a queue that is full --------------------------------------------------------------------------------------------


@on_each
@pytest.mark.parametrize("by_itself", [True, False], ids=["the handler returns", "the handler closes"])
async def test_a_close_is_answered_behind_more_messages_than_wait(
    transport: str, by_itself: bool, autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        await settled()
        if not by_itself:
            await ws.close()

    async with websocket(handler, transport) as peer:
        await peer.send(text("a") * (2 * QUEUE), close())
        began = trio.current_time()
        assert await peer.read_to_end() == [closing()]
        assert trio.current_time() - began < 1  # and not the WEBSOCKET_CLOSE_TIMEOUT
        assert peer.ws.close_code == 1000


@on_each
async def test_messages_that_wait_when_the_handler_closes_can_be_received(
    transport: str, autojump_clock: MockClock
) -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        await settled()
        await ws.close()
        with pytest.raises(WebSocketClosed):
            while True:
                received.append(await ws.recv())

    async with websocket(handler, transport) as peer:
        await peer.send(text("a") * (2 * QUEUE), close())
        await peer.read_to_end()
        await peer.ended.wait()
    assert received == ["a"] * QUEUE


async def test_who_leaves_behind_a_full_queue_is_found_out_by_the_next_ping(autojump_clock: MockClock) -> None:
    """A first ping has been sent before; the peer answers none, but nobody reads."""
    async with websocket(sleep, WEBSOCKET_PING_INTERVAL=20, WEBSOCKET_PING_TIMEOUT=20) as peer:
        await peer.send(text("a") * (2 * QUEUE))
        await trio.sleep(50)
        assert not peer.ws.closed
        await peer.stream.aclose()
        await trio.sleep(21)
        assert peer.ws.close_code == 1006
    assert peer.fate == "cancelled as disconnect"


async def test_silence_is_no_reason_to_give_up_who_is_not_read(autojump_clock: MockClock) -> None:
    async with websocket(sleep, WEBSOCKET_PING_INTERVAL=20, WEBSOCKET_PING_TIMEOUT=20) as peer:
        await peer.send(text("a") * (2 * QUEUE))
        await trio.sleep(1000)
        assert not peer.ws.closed
        assert 49 <= len(await peer.read_now()) <= 50


# --- a peer that reads slowly -----------------------------------------------------------------------------------------


async def test_who_reads_slowly_is_not_given_up_for_a_ping_that_has_not_left(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(bytes(1_000_000))

    async with websocket(handler, WEBSOCKET_PING_INTERVAL=20, WEBSOCKET_PING_TIMEOUT=20, SEND_TIMEOUT=10) as peer:
        while not peer.ended.is_set():
            peer.received += await peer.stream.receive_some(10_000)
            await trio.sleep(1)
        assert peer.fate == "returned"
        assert trio.current_time() > 90


async def test_who_reads_nothing_is_given_up_by_the_writer(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(WebSocketClosed):
            await ws.send(bytes(1_000_000))

    async with websocket(handler, WEBSOCKET_PING_INTERVAL=20, WEBSOCKET_PING_TIMEOUT=20, SEND_TIMEOUT=60) as peer:
        await peer.served.wait()
        assert 59 < trio.current_time() < 61
        assert peer.ws.close_code == 1006


# --- a peer that has gone --------------------------------------------------------------------------------------------


@needs_epoll
@pytest.mark.parametrize(
    "frames",
    [ping() * 8000, ping(bytes(125)) * 400, (ping() + text("a")) * 3000],
    ids=["empty", "full", "between messages"],
)
async def test_pings_of_a_peer_that_has_gone(
    frames: bytes, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Each pong that cannot be sent tells of the peer's going; that must not lead to the next one."""
    async with websocket(sleep, "tcp") as peer:
        peer.send_nowait(frames)
        peer.reset()
        await peer.served.wait()
        assert peer.ws.close_code == 1006
    assert caplog.records == []


@needs_epoll
async def test_a_close_behind_what_cannot_be_answered_any_more(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, "tcp") as peer:
        peer.send_nowait(ping(), text("a"), close())
        peer.reset()
        await peer.served.wait()
        assert peer.fate == "cancelled as disconnect"
    assert caplog.records == []


# --- a close, and a handler that does not care ------------------------------------------------------------------------


@needs_epoll
async def test_the_connection_is_let_go_of_though_the_handler_goes_on(autojump_clock: MockClock) -> None:
    async with websocket(sleep, "tcp") as peer:
        await peer.leave()
        await settled()
        assert peer.fate == "runs"
        assert peer.ws._transport.socket.fileno() == -1


# --- many small things -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
@pytest.mark.parametrize("fragments", [False, True], ids=["messages", "fragments"])
def test_a_message_of_many_frames_is_read_frame_by_frame(payload: bytes, fragments: bool) -> None:
    protocol = WebSocketProtocol(WebSocketLimits())
    protocol.receive_data(frame(TEXT, payload, fin=False) + frame(CONTINUATION, payload, fin=False) * 999)
    steps = [protocol.next_step(fragments=fragments) for _ in range(1000)]
    piece = Fragment("x", final=False) if fragments and payload else None
    assert steps == [piece] * 1000
    assert protocol.next_step(fragments=fragments) is NEED_DATA
    if not fragments:
        protocol.receive_data(frame(CONTINUATION, b"!"))
        assert protocol.next_event() == Message("x" * 1000 * len(payload) + "!")


@on_each
@pytest.mark.parametrize("receives", [True, False], ids=["to a handler that receives", "to one that sleeps"])
async def test_others_have_their_turn_within_a_message_of_many_frames(
    transport: str, receives: bool, autojump_clock: MockClock
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    message = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 1000 + frame(CONTINUATION, b"x")
    async with websocket(echo if receives else sleep, transport) as peer:
        await peer.send(message[:100])
        await settled()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await peer.send(message[100:], ping())
            if receives:
                assert await peer.read() == Frame(TEXT, b"x" * 1002)
            assert await peer.read() == Frame(PONG)
            nursery.cancel_scope.cancel()
    assert turns > 10


@on_each
async def test_pongs_that_nobody_asked_for_mean_nothing(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(echo, transport) as peer:
        await peer.send(pong() * 100, pong(bytes(125)) * 20, text("a"))
        assert await peer.read() == Frame(TEXT, b"a")


# --- a handshake that is refused -------------------------------------------------------------------------------------


def refusing() -> App:
    app = App("refusing", env_prefix=None)

    @app.on_response
    def refuse(request: Any, response: Response) -> Response:
        return text_response("no", status=403)

    return app


async def test_a_refusal_of_middleware_ends_the_websocket(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    app = refusing()
    found: list[BaseException] = []

    @app.websocket("/ws")
    async def feed(request: Any, ws: WebSocket) -> None:
        for operation in (ws.recv(), ws.send("a"), ws.accept()):
            with pytest.raises(trio.BrokenResourceError) as info:
                await operation
            found.append(info.value)
        await ws.recv()

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 403
        assert (await visitor.ask(opening("/nowhere"))).status == 403  # the connection goes on
    assert [error.code for error in found if isinstance(error, WebSocketClosed)] == [1006] * 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_refusal_of_middleware_cancels_a_handler_that_does_not_ask(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    app = refusing()

    @app.websocket("/ws")
    async def feed(request: Any, ws: WebSocket) -> None:
        await trio.sleep_forever()

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 403
        assert (await visitor.ask(opening("/nowhere"))).status == 403
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- bytes beyond what is reasonable ----------------------------------------------------------------------------------


@on_each
async def test_who_is_told_to_stop_may_still_be_sending(transport: str, autojump_clock: MockClock) -> None:
    """A message that is too large, most of it on its way when it is refused: the refusal can be read."""
    async with websocket(echo, transport, WEBSOCKET_MAX_SIZE=1000) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, binary(bytes(50_000)))
            (only,) = await peer.read_to_end(stay=True)
        assert only.payload[:2] == closing(1009).payload

"""The connection is hung up in time, though the handler goes on."""

from __future__ import annotations

import logging
import ssl
from functools import partial
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock, wait_all_tasks_blocked
from websocket_peer import CONFIG, HANDSHAKE, LINGER, close, closing, on_each_that_leaves, websocket
from written_frames import BINARY, CLOSE, frame, header

from trioframe import App, WebSocket, WebSocketClosed


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


@pytest.mark.parametrize("tidying", [0, 0.1])
async def test_it_is_hung_up_in_order_over_tls_too(tidying: float) -> None:
    """The client does not look before it has said all; meanwhile the handler ends."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(ours)
    authority.configure_trust(theirs)
    app = App("tls", env_prefix=None)
    ended = trio.Event()

    @app.websocket("/", max_size=1000)
    async def handler(request: Any, ws: WebSocket) -> None:
        try:
            await ws.recv()
        except WebSocketClosed:
            await trio.sleep(tidying)
        ended.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(app.serve, port=0, ssl=ours))
            stream = await trio.open_tcp_stream(*listener.socket.getsockname())
            client = trio.SSLStream(stream, theirs, server_hostname="localhost")
            await client.send_all(HANDSHAKE + header(BINARY, 10_000_000))
            await ended.wait()
            for _ in range(20):  # broken at once, if the connection was cut
                await client.send_all(bytes(50_000))
                await wait_all_tasks_blocked(0.001)
            received = b""
            while piece := await client.receive_some():
                received += piece
            assert received.partition(b"\r\n\r\n")[2][:4] == bytes([0x80 | CLOSE, 35]) + (1009).to_bytes(2)
            await trio.aclose_forcefully(client)
            nursery.cancel_scope.cancel()

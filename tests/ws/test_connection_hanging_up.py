"""The connection is hung up in time, though the handler goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import close, closing, on_each_that_leaves, websocket
from written_frames import CLOSE, frame

from trioframe import App, WebSocket, WebSocketClosed

CLOSE_TIMEOUT, LINGER = 5.0, 7.0  # seconds
CONFIG = {
    "WEBSOCKET_PING_INTERVAL": 20.0,
    "WEBSOCKET_PING_TIMEOUT": 15.0,
    "WEBSOCKET_CLOSE_TIMEOUT": CLOSE_TIMEOUT,
    "LINGER_TIMEOUT": LINGER,
}


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

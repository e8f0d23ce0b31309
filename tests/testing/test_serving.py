"""An app in memory: one life for all its connections."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from trioframe import App, CompileError, Request, WebSocket
from trioframe.testing.error_log import ErrorLog
from trioframe.testing.serving import serving

logger = logging.getLogger("trioframe.test")

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"  # with 1000, and a mask that changes nothing


@pytest.fixture
def app() -> App:
    return App("test", {"GRACEFUL_SHUTDOWN_TIMEOUT": 10, "CANCEL_GRACE": 1}, env_prefix=None)


async def test_it_begins_and_ends_once_for_all_connections(app: App) -> None:
    moments = []
    app.before_server_start(lambda app: moments.append("start"))
    app.after_server_stop(lambda app: moments.append("stop"))
    async with serving(app, ErrorLog()) as serve, trio.open_nursery() as nursery:
        assert moments == ["start"]
        clients = []
        for _ in range(2):
            client, server = memory_stream_pair()
            nursery.start_soon(serve, server)
            clients.append(client)
        for client in clients:
            await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.receive_some()).startswith(b"HTTP/1.1 404")
        for client in clients:
            await client.aclose()
    assert moments == ["start", "stop"]


async def test_a_connection_lasts_as_long_as_its_handler(app: App, autojump_clock: MockClock) -> None:
    ended = []

    @app.websocket("/")
    async def work(request: Request, ws: WebSocket) -> None:
        await ws.accept()
        await trio.sleep(8)
        ended.append(trio.current_time())

    async with serving(app, ErrorLog()) as serve, trio.open_nursery() as nursery:
        client, server = memory_stream_pair()

        async def connect() -> None:
            await serve(server)
            assert ended == [trio.current_time()]

        nursery.start_soon(connect)
        await client.send_all(HANDSHAKE + CLOSE)
        while await client.receive_some():  # the server hangs up before
            assert not ended
        await client.aclose()
        assert not ended
    assert ended


async def test_after_it_has_stopped_it_takes_nobody(app: App) -> None:
    async with serving(app, ErrorLog()) as serve:
        app.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        client, server = memory_stream_pair()
        await serve(server)
        assert await client.receive_some() == b""


async def test_what_its_start_raises_comes_out_as_it_is(app: App) -> None:
    @app.before_server_start
    async def fail(app: App) -> None:
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        async with serving(app, ErrorLog()):
            raise AssertionError("not reached")  # pragma: no cover


async def test_mistakes_come_out(app: App) -> None:
    app.signal("http.no.such")(lambda: None)
    with pytest.raises(CompileError):
        async with serving(app, ErrorLog()):
            raise AssertionError("not reached")  # pragma: no cover


async def test_its_errors_are_heard(app: App) -> None:
    errors = ErrorLog()

    @app.after_server_start
    async def complain(app: App) -> None:
        logger.error("by the server")

    with errors:
        async with serving(app, errors):
            logger.error("by the test")
    assert [record.getMessage() for record in errors.records] == ["by the server"]


async def test_what_does_not_end_is_cancelled(app: App, autojump_clock: object) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    app.add_task(stubborn)
    began = trio.current_time()
    async with serving(app, ErrorLog()):
        await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() - began == 1000  # nobody can end what shields itself

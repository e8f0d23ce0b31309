"""WebSocket clients that others have written, over real sockets: both sides understand what the other one sends."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import trio
import trio_websocket
import websockets.sync.client
import websockets.trio.client
from integration.live_server import Certificates, Live, serving
from integration.websocket_server import MEBIBYTE, End, WebSocketServer
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

WORDS = "Grüße, \N{SNAKE}\n\0" * 7
OCTETS = bytes(range(256))
SIZES = [0, 1, 125, 126, 65_535, 65_536, MEBIBYTE]
CODES = [(1000, ""), (1000, "done"), (1001, "leaving"), (3000, "r" * 123), (4999, "ä" * 61)]

ECHOES = [
    ("/echo", None),
    ("/echo", "deflate"),
    ("/deflated", "deflate"),
    ("/deflated", None),
    ("/takeover", "deflate"),
]
with_and_without_deflate = pytest.mark.parametrize(("path", "compression"), ECHOES)


@pytest.fixture
def server() -> WebSocketServer:
    return WebSocketServer()


def tls_of(live: Live) -> ssl.SSLContext | None:
    return None if live.tls is None else live.tls.client


def url_of(live: Live, path: str) -> str:
    return live.url(path, "ws" if live.tls is None else "wss")


def websockets_to(live: Live, path: str, **options: Any) -> Any:
    """A connection of websockets; without compression and pings of its own, if nothing else is said."""
    options = {"compression": None, "ping_interval": None, "proxy": None, **options}
    return websockets.trio.client.connect(url_of(live, path), ssl=tls_of(live), **options)


@asynccontextmanager
async def trio_websocket_to(live: Live, path: str, **options: Any) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """A connection of trio-websocket, on a stream of ours: it does not close its own in every case."""
    async with await live.connect() as client, trio.open_nursery() as nursery:
        ws = await trio_websocket.wrap_client_stream(nursery, client.stream, f"127.0.0.1:{live.port}", path, **options)
        yield ws
        await ws.aclose()
        nursery.cancel_scope.cancel(reason="the test is over")


# --- websockets -------------------------------------------------------------------------------------------------------


@with_and_without_deflate
async def test_websockets(server, tls, path, compression):
    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, path, compression=compression) as ws:
            agreed = ws.response.headers.get("Sec-WebSocket-Extensions", "")
            assert agreed.startswith("permessage-deflate") is (path != "/echo" and compression == "deflate")
            for message in (WORDS, OCTETS, "", b"", WORDS * 1000):
                await ws.send(message)
                assert await ws.recv() == message
        assert await server.next_end() == End("returned", 1000)
        assert (ws.close_code, ws.close_reason) == (1000, "")


@with_and_without_deflate
async def test_websockets_and_messages_of_all_sizes(server, path, compression):
    async with serving(server.app) as live, websockets_to(live, path, compression=compression) as ws:
        for size in SIZES:
            message = (OCTETS * (size // 256 + 1))[:size]
            await ws.send(message)
            assert await ws.recv() == message


@pytest.mark.parametrize("bits", [9, 12, None])
@pytest.mark.parametrize("alone", [False, True])
async def test_a_client_that_wants_to_hold_less(server, bits, alone):
    offer = ClientPerMessageDeflateFactory(alone, alone, bits, bits)
    async with (
        serving(server.app) as live,
        websockets_to(live, "/takeover", compression=None, extensions=[offer]) as ws,
    ):
        agreed = ws.response.headers["Sec-WebSocket-Extensions"]
        assert ("no_context_takeover" in agreed, f"server_max_window_bits={bits}" in agreed) == (
            alone,
            bits is not None,
        )
        for number in range(20):
            message = f"{number % 3} {WORDS * 100}"
            await ws.send(message)
            assert await ws.recv() == message


async def test_a_large_message_and_tls(server, certificates: Certificates):
    message = OCTETS * (MEBIBYTE // 256)
    async with serving(server.app, tls=certificates) as live, websockets_to(live, "/echo") as ws:
        await ws.send(message)
        assert await ws.recv() == message


@pytest.mark.parametrize("path", ["/echo", "/deflated", "/takeover"])
async def test_a_message_that_is_too_large(server, path):
    async with serving(server.app) as live, websockets_to(live, path, compression="deflate") as ws:
        await ws.send(bytes(MEBIBYTE + 1))
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1009
        assert (await server.next_end()).code == 1009


@with_and_without_deflate
async def test_many_small_messages_that_nobody_waits_for(server, path, compression):
    messages: list[str | bytes] = [f"number {number}" if number % 3 else b"%d" % number for number in range(1000)]
    async with serving(server.app) as live, websockets_to(live, path, compression=compression) as ws:

        async def send() -> None:
            for message in messages:
                await ws.send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert [await ws.recv() for _ in messages] == messages


async def test_many_small_messages_of_the_server(server, tls):
    async with serving(server.app, tls=tls) as live, websockets_to(live, "/count?to=2000") as ws:
        assert [message async for message in ws] == [str(number) for number in range(2000)]
        assert ws.close_code == 1000


@with_and_without_deflate
async def test_fragments_of_websockets(server, path, compression):
    async def pieces() -> AsyncIterator[str]:
        for word in WORDS.split():
            yield word
            await trio.lowlevel.checkpoint()

    async with serving(server.app) as live, websockets_to(live, path, compression=compression) as ws:
        await ws.send(pieces())
        assert await ws.recv() == "".join(WORDS.split())


async def test_fragments_both_ways(server, tls):
    """A message beyond WEBSOCKET_MAX_SIZE, of which the server holds no more than a piece."""
    number, size = 64, 32 * 1024
    received = 0

    async def send(ws: Any) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for part in range(number):
                while part * size > received + size:  # this client does not receive while its sending is held up
                    await trio.lowlevel.checkpoint()
                yield bytes(size)

        await ws.send(parts())

    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, "/pieces", max_size=None) as ws, trio.open_nursery() as nursery:
            nursery.start_soon(send, ws)
            async for piece in ws.recv_streaming():
                received += len(piece)
        assert received == number * size
        assert await server.next_end() == End("closed", 1000)


async def test_subprotocols_of_websockets(server):
    async with serving(server.app) as live:
        for offered, chosen in (
            (["chat"], "chat"),
            (["other", "superchat", "chat"], "chat"),
            (["superchat"], "superchat"),
            (["other"], None),
        ):
            async with websockets_to(live, "/echo", subprotocols=offered) as ws:
                assert ws.subprotocol == chosen


async def test_websockets_pings_and_is_pinged(server, tls):
    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, "/work") as ws:  # whose handler reads nothing
            for _ in range(3):
                pong = await ws.ping()
                await pong.wait()
            await ws.pong(b"unasked")
        async with websockets_to(live, "/ping") as ws:
            assert await ws.recv() == "pong"
            assert [message async for message in ws] == []


async def test_keep_alive_on_both_sides():
    server = WebSocketServer(WEBSOCKET_PING_INTERVAL=0.03, WEBSOCKET_PING_TIMEOUT=2)
    async with (
        serving(server.app) as live,
        websockets_to(live, "/slow", ping_interval=0.02, ping_timeout=2) as ws,
    ):
        await ws.send("before")
        assert await ws.recv() == "before"
        assert ws.latency > 0


@pytest.mark.parametrize(("code", "reason"), CODES)
async def test_websockets_closes(server, tls, code, reason):
    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, "/receive") as ws:
            await ws.aclose(code, reason)
        assert ws.close_code == code
        assert (await server.next_end())[1:] == (code, reason)


@pytest.mark.parametrize(("code", "reason"), CODES)
async def test_websockets_is_closed(server, tls, code, reason):
    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, f"/close?code={code}&reason={quote(reason)}") as ws:
            with pytest.raises(ConnectionClosedOK if code < 3000 else ConnectionClosedError):
                await ws.recv()
        assert (ws.close_code, ws.close_reason) == (code, reason)
        assert await server.next_end() == End("returned", code, reason)


async def test_the_server_stops(server, tls):
    async with serving(server.app, tls=tls) as live:
        async with websockets_to(live, "/receive") as reading, websockets_to(live, "/work") as working:
            server.app.shutdown()
            for ws in (reading, working):
                with pytest.raises(ConnectionClosedOK):
                    await ws.recv()
                assert ws.close_code == 1001
        assert await server.next_end() == End("returned", 1001, "the server is stopping")
        live.scope.cancel()


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/nowhere", None, 404), ("/fine", None, 200), ("/ours", "https://elsewhere.example", 403)],
)
async def test_websockets_is_refused(server, path, origin, status):
    async with serving(server.app) as live, await live.connect() as client:
        with pytest.raises(InvalidStatus) as caught:
            async with websockets_to(live, path, origin=origin, stream=client.stream):
                pass
        assert caught.value.response.status_code == status


async def test_an_origin_that_is_allowed(server):
    async with serving(server.app) as live, websockets_to(live, "/ours", origin="https://ours.example") as ws:
        await ws.send("from there")
        assert await ws.recv() == "from there"


@pytest.mark.any_transport
async def test_websockets_in_a_thread(server):
    def talk(url: str) -> list[str | bytes]:
        with websockets.sync.client.connect(url, subprotocols=["chat"], proxy=None) as ws:  # type: ignore[list-item]
            assert ws.subprotocol == "chat"
            for number in range(100):
                ws.send(str(number))
            echoes = [ws.recv() for _ in range(100)]
            assert ws.ping().wait(5)
            return echoes

    async with serving(server.app) as live:
        url = url_of(live, "/deflated")
        assert await trio.to_thread.run_sync(talk, url) == [str(number) for number in range(100)]
        assert await server.next_end() == End("returned", 1000)


# --- trio-websocket ---------------------------------------------------------------------------------------------------


async def test_trio_websocket(server, tls):
    async with serving(server.app, tls=tls) as live:
        async with trio_websocket_to(live, "/echo", subprotocols=["other", "chat"]) as ws:
            assert ws.subprotocol == "chat"
            for message in (WORDS, OCTETS, "", b""):
                await ws.send_message(message)
                assert await ws.get_message() == message
            await ws.ping(b"hello?")
            await ws.pong(b"unasked")
            await ws.aclose(4001, "enough")
        assert await server.next_end() == End("closed", 4001, "enough")


async def test_large_messages_both_ways_at_once(server, tls):
    message = OCTETS * (MEBIBYTE // 256)

    async def send(ws: trio_websocket.WebSocketConnection) -> None:
        for _ in range(4):
            await ws.send_message(message)

    async with (
        serving(server.app, tls=tls) as live,
        trio_websocket_to(live, "/echo") as ws,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(send, ws)
        for _ in range(4):
            assert await ws.get_message() == message


async def test_trio_websocket_is_closed(server):
    async with serving(server.app) as live, trio_websocket_to(live, "/close?code=4002&reason=bye") as ws:
        with pytest.raises(trio_websocket.ConnectionClosed):
            await ws.get_message()
        assert ws.closed is not None
        assert (ws.closed.code, ws.closed.reason) == (4002, "bye")


async def test_trio_websocket_is_refused(server):
    async with serving(server.app) as live:
        with pytest.RaisesGroup(trio_websocket.ConnectionRejected) as caught:
            async with trio_websocket_to(live, "/fine"):
                pass
        [rejected] = caught.value.exceptions
        assert isinstance(rejected, trio_websocket.ConnectionRejected)
        assert (rejected.status_code, rejected.body) == (200, b"fine")


async def test_a_hundred_at_once(server):
    """Each echoes in its own time, and all get what is theirs."""
    echoed = []

    async def talk(live: Live, number: int) -> None:
        async with websockets_to(live, "/echo") as ws:
            for turn in range(10):
                await ws.send(f"{number}: {turn}")
                echoed.append(await ws.recv() == f"{number}: {turn}")

    async with serving(server.app) as live:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(talk, live, number)
        assert echoed == [True] * 1000
        assert {await server.next_end() for _ in range(100)} == {End("returned", 1000)}


# --- httpx2 -----------------------------------------------------------------------------------------------------------


async def test_httpx(server):
    async with serving(server.app) as live, httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(live.url("/fine"))).text == "fine"
        async with http.websocket(url_of(live, "/echo"), subprotocols=["chat"]) as ws:
            assert ws.subprotocol == "chat"
            await ws.send_text(WORDS)
            assert await ws.receive_text() == WORDS
            await ws.send_bytes(OCTETS)
            assert await ws.receive_bytes() == OCTETS
        assert await server.next_end() == End("returned", 1000)

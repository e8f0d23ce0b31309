"""WebSockets whose clients misbehave, on real sockets: the handler is told as promised, and others are served.

Whoever sits in an operation of the WebSocket gets `WebSocketClosed`; whoever works is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from integration.bystanders import Bystanders, end, errors
from integration.live_server import Certificates, Live, listening_socket, serving
from integration.raw_client import RawClient, request_for
from integration.websocket_server import MEBIBYTE, End, WebSocketServer
from written_frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, header
from wsproto.frame_protocol import FrameProtocol, Opcode

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HALF_A_FRAME = header(BINARY, 1000) + b"only some of it"
GOODBYE = frame(CLOSE, b"\x03\xe8")
BUFFER = 16 * 1024  # asked of the kernel for each direction at each end
SETTLED = 0.05  # seconds without anybody running

LOST = {"/receive": End("closed", 1006), "/work": End("cancelled for disconnect", 1006)}
on_each_handler = pytest.mark.parametrize("path", LOST)


@asynccontextmanager
async def websocket(live: Live, path: str, *, behind: bytes = b"", **options: Any) -> AsyncIterator[RawClient]:
    """A client whose handshake was accepted.

    Parameters:
      behind: what it sends together with the handshake.
      options: of `Live.connect`.
    """
    async with await live.connect(**options) as client:
        await client.send(request_for(path, UPGRADE) + behind)
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # not an octet of what follows
            head += await client.stream.receive_some(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield client


async def until_cut(client: RawClient) -> bytes:
    """Everything until the connection ends, in whatever way."""
    received = b""
    try:
        async for piece in client.stream:
            received += piece
    except trio.BrokenResourceError:
        pass
    return received


def read(octets: bytes) -> list[tuple[Opcode, Any]]:
    """The frames of the server; of a close, its code."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(octets)
    return [
        (found.opcode, found.payload[0] if found.opcode is Opcode.CLOSE else found.payload)
        for found in protocol.received_frames()
    ]


# --- who goes without a word ------------------------------------------------------------------------------------------


async def reset(client: RawClient) -> None:
    client.reset()


async def leave(client: RawClient) -> None:
    client.leave()


LEAVING: dict[str, Callable[[RawClient], Awaitable[None]]] = {
    "RST": reset,
    "FIN": leave,
    "half-close": RawClient.half_close,
}


@on_each_handler
@pytest.mark.parametrize("before", [b"", HALF_A_FRAME], ids=["at rest", "in a frame"])
@pytest.mark.parametrize("go", LEAVING.values(), ids=LEAVING)
async def test_a_client_that_goes_without_a_close(tls, *, path, before, go, caplog):
    server = WebSocketServer()
    async with serving(server.app, tls=tls) as live, Bystanders(live) as bystanders:
        async with websocket(live, path, behind=before) as client:
            await go(client)
            assert await server.next_end() == LOST[path]
        assert await bystanders.are_served()
    assert not errors(caplog)


@on_each_handler
async def test_the_end_of_tls_is_no_close(certificates: Certificates, path, caplog):
    server = WebSocketServer()
    async with serving(server.app, tls=certificates) as live, Bystanders(live) as bystanders:
        async with websocket(live, path) as client:
            await client.say_goodbye()
            assert await server.next_end() == LOST[path]
        assert await bystanders.are_served()
    assert not errors(caplog)


async def test_what_came_before_the_end_is_received(tls):
    server = WebSocketServer()
    async with serving(server.app, tls=tls) as live:
        async with websocket(live, "/slow", behind=frame(TEXT, b"one") + frame(BINARY, b"two") + GOODBYE) as client:
            assert read(await client.rest()) == [(Opcode.CLOSE, 1000)]
        assert await server.next_end() == End("closed", 1000)  # it sends to somebody who has closed


# --- who is silent ----------------------------------------------------------------------------------------------------


@on_each_handler
async def test_half_a_frame_and_then_silence(tls, path, caplog):
    server = WebSocketServer(WEBSOCKET_PING_INTERVAL=0.05, WEBSOCKET_PING_TIMEOUT=0.05)
    async with serving(server.app, tls=tls) as live, Bystanders(live) as bystanders:
        async with websocket(live, path, behind=HALF_A_FRAME) as client:
            ended = await server.next_end()
            assert (ended.outcome, ended.code) == (LOST[path].outcome, 1011)
            assert [opcode for opcode, _ in read(await until_cut(client))] == [Opcode.PING, Opcode.CLOSE]
        assert await bystanders.are_served()
    assert not errors(caplog)


async def test_a_close_that_is_not_answered(tls):
    server = WebSocketServer(WEBSOCKET_CLOSE_TIMEOUT=0.1)
    async with serving(server.app, tls=tls) as live, websocket(live, "/close?code=4000") as client:
        assert await server.next_end() == End("returned", 4000)
        assert read(await until_cut(client)) == [(Opcode.CLOSE, 4000)]


# --- who says too much ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, MEBIBYTE])
async def test_bytes_behind_a_close(tls, size, caplog):
    """They are not read, and do not take away the answer."""
    server = WebSocketServer()
    async with serving(server.app, tls=tls) as live, Bystanders(live) as bystanders:
        async with websocket(live, "/receive") as client, trio.open_nursery() as nursery:
            nursery.start_soon(send_as_far_as_it_goes, client, GOODBYE + b"x" * size)
            # OpenSSL says no goodbye to who still sends.
            assert read(await (client.rest() if tls is None else until_cut(client))) == [(Opcode.CLOSE, 1000)]
        assert await server.next_end() == End("returned", 1000)
        assert await bystanders.are_served()
    assert not errors(caplog)


async def send_as_far_as_it_goes(client: RawClient, data: bytes) -> None:
    try:
        await client.send(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


WRONG = {
    "no mask": (frame(TEXT, b"hello", key=None), 1002),
    "an unknown opcode": (frame(0x3, b"hello"), 1002),
    "a reserved bit": (frame(TEXT, b"hello", reserved=4), 1002),
    "a ping that is too long": (header(PING, 126), 1002),
    "the middle of a message": (frame(CONTINUATION, b"hello"), 1002),
    "HTTP": (request_for("/fine"), 1002),
    "a close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "a code that nobody sends": (frame(CLOSE, b"\x03\xed"), 1002),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007),
    "a message that is too large": (header(BINARY, MEBIBYTE + 1), 1009),
    "far too many fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 2000, 1008),
}


@on_each_handler
@pytest.mark.parametrize(("sent", "code"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_told(path, sent, code, caplog):
    server = WebSocketServer()
    async with serving(server.app) as live, Bystanders(live) as bystanders:
        async with websocket(live, path, behind=sent) as client:
            assert read(await client.rest())[-1] == (Opcode.CLOSE, code)
            ended = await server.next_end()
            assert (ended.outcome, ended.code) == (LOST[path].outcome, code)
        assert await bystanders.are_served()
    assert not errors(caplog)


# --- who does not read ------------------------------------------------------------------------------------------------


async def test_send_timeout_ends_who_does_not_read(tls, access_records, caplog):
    server = WebSocketServer(SEND_TIMEOUT=0.1, ACCESS_LOG=True)
    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    async with serving(server.app, fd=fd, tls=tls) as live, Bystanders(live) as bystanders:
        await access_records.next()
        async with websocket(live, "/send", receive_buffer=BUFFER):
            assert await server.next_end() == End("closed", 1006)
            assert (await access_records.next()).status == 101
        assert await bystanders.are_served()
    assert not errors(caplog)


@pytest.mark.parametrize("go", LEAVING.values(), ids=LEAVING)
async def test_who_does_not_read_and_goes(tls, go):
    server = WebSocketServer(SEND_TIMEOUT=0.5)
    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    async with serving(server.app, fd=fd, tls=tls) as live, Bystanders(live) as bystanders:
        async with websocket(live, "/send", receive_buffer=BUFFER) as client:
            await trio.testing.wait_all_tasks_blocked(SETTLED)
            assert not server.ends()
            await go(client)
            assert await server.next_end() == End("closed", 1006)
        assert await bystanders.are_served()


async def test_the_server_stops_while_somebody_does_not_read(tls):
    server = WebSocketServer(GRACEFUL_SHUTDOWN_TIMEOUT=0.1, CANCEL_GRACE=0.1)
    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    async with serving(server.app, fd=fd, tls=tls) as live, websocket(live, "/send", receive_buffer=BUFFER):
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        began = trio.current_time()
        await end(live)
        assert trio.current_time() - began < 2
        assert (await server.next_end()).code == 1001


async def test_who_is_not_read_is_held_up(tls):
    """At most WEBSOCKET_MAX_QUEUE messages wait in us; the rest waits in TCP, and in the client."""
    server = WebSocketServer()
    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    sent = 0

    async def send(client: RawClient) -> None:
        nonlocal sent
        while True:
            await client.send(frame(BINARY, bytes(4096)))
            sent += 1

    async with (
        serving(server.app, fd=fd, tls=tls) as live,
        Bystanders(live) as bystanders,
        websocket(live, "/work", receive_buffer=BUFFER) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(send, client)
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        stopped_at = sent
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        assert 16 <= sent == stopped_at < 1000
        assert await bystanders.are_served()
        nursery.cancel_scope.cancel()


async def test_many_that_misbehave_at_once(caplog):
    """Each in a way of its own; nobody is forgotten."""
    server = WebSocketServer(SEND_TIMEOUT=0.2)
    ways = [reset, leave, RawClient.half_close]

    async def misbehave(live: Live, number: int) -> None:
        path = ("/receive", "/work", "/send", "/echo")[number % 4]
        async with websocket(live, path, behind=HALF_A_FRAME[: number % 17]) as client:
            await ways[number % 3](client)
            await trio.testing.wait_all_tasks_blocked(SETTLED)

    async with serving(server.app) as live, Bystanders(live) as bystanders:
        async with trio.open_nursery() as nursery:
            for number in range(120):
                nursery.start_soon(misbehave, live, number)
        ends = [await server.next_end() for _ in range(120)]
        assert {ended.code for ended in ends} == {1006}
        assert {ended.outcome for ended in ends} == {"closed", "cancelled for disconnect"}
        assert await bystanders.are_served()
    assert not errors(caplog)

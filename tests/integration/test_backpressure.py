"""Nobody's slowness fills our memory: a client that does not read stops the handler, and the other way round.

What one side has got rid of and the other has not taken is somewhere between them: in the kernel, which is given small
buffers here, and in ours, whose sizes are published.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import listening_socket, serving
from integration.raw_client import request_for

from trioframe import App, Request, Response, text

Figure = Callable[[str, float], None]

KIB = 1024
BUFFER = 16 * KIB  # asked of the kernel for each direction at each end; Linux takes twice that
PIECE = 4 * KIB
OURS = 64 * KIB  # REQUEST_BUFFER_SIZE
SETTLED = 0.05  # seconds without anybody running: the stream stands still

ECHO_MEMORY = Path(__file__).parents[2] / "benchmarks" / "echo_memory.py"


class Counting:
    """An app that sends, receives or both for ever, and counts the bytes."""

    def __init__(self, **config: Any) -> None:
        self.app = App("counting", config, env_prefix=None)
        self.sent = 0
        self.received = 0
        self.ended = trio.Event()
        self.read = trio.Event()  # lets `sink` begin to read
        self.app.add_route(self.flood, "/flood")
        self.app.add_route(self.generate, "/generate")
        self.app.add_route(self.sink, "/sink", ["POST"], stream=True)

    async def flood(self, request: Request) -> None:
        try:
            response = await request.respond()
            while True:
                await response.send(b"x" * PIECE)
                self.sent += PIECE
        finally:
            self.ended.set()

    async def generate(self, request: Request) -> Any:
        async def pieces() -> Any:
            try:
                while True:
                    self.sent += PIECE
                    yield b"x" * PIECE
            finally:
                self.ended.set()

        return pieces()

    async def sink(self, request: Request) -> Response:
        await self.read.wait()
        async for piece in request.stream:
            self.received += len(piece)
        return text(str(self.received))


def kernel_share(*sockets: Any) -> int:
    """The most that the kernel keeps, by what it says itself."""
    options = (socket.SO_SNDBUF, socket.SO_RCVBUF)
    return sum(sock.getsockopt(socket.SOL_SOCKET, option) for sock in sockets for option in options)


@pytest.mark.parametrize("path", ["/flood", "/generate"])
async def test_a_client_that_does_not_read_stops_the_handler(tls, path, figure: Figure):
    counting = Counting()
    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    async with serving(counting.app, fd=fd, tls=tls) as live, await live.connect(receive_buffer=BUFFER) as client:
        kernel = kernel_share(live.listeners[0].socket)  # at each end is as much as here
        await client.send(request_for(path))
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        stopped_at = counting.sent
        assert 0 < stopped_at <= kernel + OURS
        figure(f"KiB accepted by send from a client that reads nothing ({'TLS' if tls else 'TCP'})", stopped_at / KIB)

        # It stands still, and goes on where it was when the client reads again.
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        assert counting.sent == stopped_at
        received = 0
        while received < 2 * stopped_at:
            received += len(await client.stream.receive_some(BUFFER))
        assert received <= counting.sent * 1.01 + kernel
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        assert counting.sent - received <= kernel + OURS
        client.reset()
        await counting.ended.wait()


async def test_send_gives_up_a_client_that_never_reads_again(access_records):
    counting = Counting(SEND_TIMEOUT=0.1, ACCESS_LOG=True)
    async with serving(counting.app) as live, await live.connect(receive_buffer=BUFFER) as client:
        began = trio.current_time()
        await client.send(request_for("/flood"))
        await counting.ended.wait()
        assert trio.current_time() - began < 2
        assert (await access_records.next()).status == 503


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_handler_that_does_not_read_stops_the_client(tls, chunked, figure: Figure):
    counting = Counting()
    total = 4 * 1024 * KIB
    framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {total}\r\n"
    piece = b"1000\r\n" + b"x" * PIECE + b"\r\n" if chunked else b"x" * PIECE
    uploaded = 0

    fd = listening_socket(receive_buffer=BUFFER, send_buffer=BUFFER).detach()
    async with serving(counting.app, fd=fd, tls=tls) as live, await live.connect(receive_buffer=BUFFER) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)

        async def upload() -> None:
            nonlocal uploaded
            await client.send(request_for("/sink", framing, "POST"))
            for _ in range(total // PIECE):
                await client.send(piece)
                uploaded += PIECE
            if chunked:
                await client.send(b"0\r\n\r\n")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload)
            await trio.testing.wait_all_tasks_blocked(SETTLED)
            # The head came in a read of its own size, with what was behind it; then comes the read-ahead.
            assert uploaded <= kernel_share(live.listeners[0].socket) + 2 * OURS
            figure(f"KiB uploaded to a handler that reads nothing ({'TLS' if tls else 'TCP'})", uploaded / KIB)
            assert counting.received == 0
            counting.read.set()
            assert (await client.answer("POST")).body == str(total).encode()


async def test_many_stalled_downloads_leave_room_for_others():
    counting = Counting()
    async with serving(counting.app) as live, trio.open_nursery() as nursery:
        stalled = [await live.connect(receive_buffer=BUFFER) for _ in range(20)]
        for client in stalled:
            nursery.start_soon(client.send, request_for("/flood"))
        await trio.testing.wait_all_tasks_blocked(SETTLED)
        async with await live.connect() as other:
            assert (await other.get("/nowhere")).status == 404
        for client in stalled:
            client.reset()


@pytest.mark.any_transport  # the server is a program of its own
async def test_an_echo_of_64_mib_takes_no_memory(figure: Figure):
    with trio.fail_after(15):
        done = await trio.run_process(
            [sys.executable, str(ECHO_MEMORY), "--mib", "64"], capture_stdout=True, stderr=subprocess.DEVNULL
        )
    measured = json.loads(done.stdout)
    figure("MiB that an echo of 64 MiB adds to the peak memory of its server", measured["growth_mib"])
    assert measured["growth_mib"] < 4

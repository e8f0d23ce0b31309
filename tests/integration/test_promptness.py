"""What a handler has sent, its client has: nothing waits in the kernel for what may never follow.

Where more is known to follow, the kernel is told so and may hold bytes back for a fuller packet (Linux: 200 ms).  Here
nothing follows for as long as it takes to look.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from integration.live_server import serving
from integration.raw_client import request_for

from trioframe import App, Request, Response, raw

LARGE = b"x" * 100_000  # more than is joined with its head


def make_app() -> App:
    app = App("prompt", env_prefix=None)

    @app.get("/send")
    async def send(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send(b"piece")
        await trio.sleep_forever()

    @app.get("/generator")
    async def generator(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"piece"
            await trio.sleep_forever()

        return Response(pieces())

    @app.get("/begun")
    async def begun(request: Request) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"piece"

        await request.respond(Response(pieces()))
        await trio.sleep_forever()

    @app.route("/large", methods=["GET", "HEAD"])
    async def large(request: Request) -> Response:
        return raw(LARGE)

    return app


@pytest.mark.parametrize(
    ("method", "path", "end"),
    [
        ("GET", "/send", b"piece\r\n"),
        ("GET", "/generator", b"piece\r\n"),
        ("GET", "/begun", b"piece\r\n"),
        ("HEAD", "/large", b"\r\n\r\n"),
    ],
)
async def test_what_was_sent_has_arrived_when_everybody_waits(method: str, path: str, end: bytes):
    async with serving(make_app()) as live:
        with socket.create_connection(("127.0.0.1", live.port)) as client:
            client.setblocking(False)
            client.send(request_for(path, method=method))
            await trio.testing.wait_all_tasks_blocked(0.01)
            answer = client.recv(65536)  # does not wait: BlockingIOError if nothing is there
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(end)

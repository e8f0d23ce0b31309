"""A client that has half-closed may still be reading: as ``printf ... | nc`` does.

A handler that answers without waiting has its answer delivered, whole, however long it computes, however much it sends
and however slowly that is read.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import Live, serving
from integration.raw_client import CutShortError, request_for

from trioframe import App, Request, Response, text


@pytest.fixture
def half_close_app() -> App:
    """None of its handlers waits for anything but its client."""
    app = App("half", env_prefix=None)

    @app.get("/plain")
    async def plain(request: Request) -> Response:
        return text("plain")

    @app.post("/body")
    async def body(request: Request) -> Response:
        return text(request.text)

    @app.post("/echo", stream=True)
    async def echo(request: Request) -> None:
        async with await request.respond() as response:
            async for piece in request.stream:
                await response.send(piece)

    @app.get("/big")
    async def big(request: Request) -> None:
        async with await request.respond() as response:
            for _ in range(64):
                await response.send(b"x" * 65536)

    app.add_route(stream, "/stream")
    app.add_route(compute, "/compute")
    app.add_route(compute_and_stream, "/compute-and-stream")
    return app


async def stream(request: Request) -> Any:
    async def pieces() -> Any:
        for number in range(100):
            yield b"%d\n" % number

    return pieces()


async def compute(request: Request) -> Response:
    work(0.03)
    for _ in range(3):
        await trio.lowlevel.checkpoint()
    return text("computed")


async def compute_and_stream(request: Request) -> None:
    async with await request.respond() as response:
        for number in range(10):
            work(0.004)
            await response.send(b"%d\n" % number)


def work(seconds: float) -> None:
    """Compute, and let nobody else have his turn."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


NUMBERS = b"".join(b"%d\n" % number for number in range(100))
HALF_CLOSED = {
    "plain": (request_for("/plain"), b"plain"),
    "body": (request_for("/body", "Content-Length: 4\r\n", "POST") + b"body", b"body"),
    "large body": (request_for("/body", "Content-Length: 500000\r\n", "POST") + b"b" * 500_000, b"b" * 500_000),
    "echo": (
        request_for("/echo", "Transfer-Encoding: chunked\r\n", "POST") + b"4\r\nbody\r\n4\r\nmore\r\n0\r\n\r\n",
        b"bodymore",
    ),
    "stream": (request_for("/stream"), NUMBERS),
    "compute": (request_for("/compute"), b"computed"),
    "compute and stream": (request_for("/compute-and-stream"), b"".join(b"%d\n" % number for number in range(10))),
    "big": (request_for("/big"), b"x" * 65536 * 64),
}


@pytest.mark.parametrize(("request_", "body"), HALF_CLOSED.values(), ids=HALF_CLOSED)
async def test_a_half_closed_client_is_answered(request_, body, half_close_app: App):
    """As by ``printf ... | nc``."""
    async with serving(half_close_app) as live, await live.connect() as client:
        await client.send(request_)
        await client.half_close()
        assert (await client.answer()).body == body
        assert await client.is_closed()


async def test_all_pipelined_requests_of_a_half_closed_client_are_answered(half_close_app: App):
    async with serving(half_close_app) as live, await live.connect() as client:
        await client.send(request_for("/plain") * 3 + request_for("/stream") + request_for("/plain"))
        await client.half_close()
        bodies = [(await client.answer()).body for _ in range(5)]
        assert bodies == [b"plain"] * 3 + [NUMBERS, b"plain"]
        assert await client.is_closed()


async def test_a_slow_reader_that_half_closed_gets_all_of_it(half_close_app: App):
    """What is sent holds the moment up that a half-closed client is given, however long it takes to leave."""
    async with serving(half_close_app) as live, await live.connect(receive_buffer=16384) as client:
        await client.send(request_for("/big"))
        await client.half_close()
        for _ in range(5):
            await trio.testing.wait_all_tasks_blocked(0.03)  # the server is blocked in `send`
            assert await client.stream.receive_some(100_000)
        assert len(await client.rest()) > 60 * 65536


async def test_many_half_closed_clients_at_once_are_all_answered(half_close_app: App):
    """None of these handlers waits for anything, but each has to wait for its turn."""
    answered: list[bool] = []

    async def ask(live: Live) -> None:
        async with await live.connect() as client:
            await client.send(request_for("/echo", "Content-Length: 100000\r\n", "POST") + b"x" * 100_000)
            await client.half_close()
            with contextlib.suppress(CutShortError, trio.BrokenResourceError):
                answered.append((await client.answer()).body == b"x" * 100_000)

    async with serving(half_close_app) as live, trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(ask, live)
    assert answered.count(True) == 200


async def test_half_close_may_be_allowed():
    app = App("patient", {"HALF_CLOSE": "allow"}, env_prefix=None)

    @app.get("/")
    async def patient(request: Request) -> Response:
        await trio.sleep(0.05)
        return text("still here")

    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/"))
        await client.half_close()
        assert (await client.answer()).body == b"still here"

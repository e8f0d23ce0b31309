"""`serve` ends in bounded time and leaves nothing open, whatever its clients and handlers are at when it has to.

Dozens of clients do what occurs to them - ask, send half of something, stop reading, half-close, reset, stay - and the
handlers sleep, shield themselves, send for ever or clean up slowly.  At some moment the server is shut down or
cancelled.  All is random from a fixed seed; a socket or a task left behind would be a warning, and so a failure.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
import trio
from integration.live_server import Certificates, Live, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request, RequestCancelled, Response, text

CLIENTS = 40
GRACEFUL, GRACE = 0.1, 0.2  # seconds: GRACEFUL_SHUTDOWN_TIMEOUT and CANCEL_GRACE
ON_TOP = 1.0  # seconds for everything else, on a machine with other things to do

LEFT = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


def make_app() -> App:
    app = App("restless", {"GRACEFUL_SHUTDOWN_TIMEOUT": GRACEFUL, "CANCEL_GRACE": GRACE}, env_prefix=None)

    @app.get("/large")
    async def large(request: Request) -> Response:
        return text("x" * 3_000_000)

    @app.get("/sleep")
    async def sleep(request: Request) -> Response:
        request.nursery.start_soon(trio.sleep_forever)
        await trio.sleep(0.1)
        return text("slept")

    @app.get("/shielded")
    async def shielded(request: Request) -> None:
        with request.shielded(1000):
            await trio.sleep_forever()

    @app.get("/clean-up")
    async def clean_up(request: Request) -> None:
        try:
            with request.cancellable():
                await trio.sleep_forever()
        except RequestCancelled:
            await trio.sleep_forever()

    @app.get("/flood")
    async def flood(request: Request) -> None:
        response = await request.respond()
        while True:
            await response.send(b"x" * 50_000)

    @app.post("/echo", stream=True)
    async def echo(request: Request) -> None:
        async with await request.respond() as response:
            async for piece in request.stream:
                await response.send(piece)

    return app


class Whim:
    """A client that does what occurs to it, until it or the server has left."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.things: list[Any] = [
            *[self.ask, self.read] * 4,
            *[self.begin_a_head, self.begin_a_body, self.pipeline, self.pause] * 2,
            RawClient.half_close,
        ]

    async def be(self, live: Live) -> None:
        with contextlib.suppress(*LEFT):
            async with await live.connect() as client:
                for _ in range(self.random.randrange(5, 50)):
                    await self.random.choice(self.things)(client)
                self.random.choice([RawClient.reset, RawClient.leave])(client)

    async def ask(self, client: RawClient) -> None:
        await client.send(request_for(self.random.choice("/large /sleep /shielded /clean-up /flood /missing".split())))

    async def begin_a_head(self, client: RawClient) -> None:
        await client.send(b"GET / HT")

    async def begin_a_body(self, client: RawClient) -> None:
        await client.send(request_for("/echo", "Transfer-Encoding: chunked\r\n", "POST") + b"5\r\nhello\r\n")

    async def pipeline(self, client: RawClient) -> None:
        await client.send(request_for("/missing") * 20)

    async def read(self, client: RawClient) -> None:
        with trio.move_on_after(0.05):
            await client.stream.receive_some(self.random.choice([1, 1000, 1_000_000]))

    async def pause(self, client: RawClient) -> None:
        await trio.sleep(self.random.random() * 0.1)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("how", ["shutdown", "cancellation"])
async def test_it_ends_in_time(how, seed, tls: Certificates | None):
    app = make_app()
    async with serving(app, tls=tls) as live, trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            nursery.start_soon(Whim(1000 * seed + number).be, live)
        await trio.sleep(random.Random(seed).random() * 0.3)
        began = trio.current_time()
        if how == "shutdown":
            app.shutdown()
        else:
            live.scope.cancel()
        await live.ended.wait()
        assert trio.current_time() - began < GRACEFUL + GRACE + ON_TOP
        nursery.cancel_scope.cancel()

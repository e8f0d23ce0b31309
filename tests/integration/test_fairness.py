"""Nobody's haste makes others wait: one connection that asks without end, beside 50 that ask once in a while.

What counts is whose turn it is.  So turns are counted, not time: how much of the flood - answers, pieces of a body - is
served from the moment in which a bystander asks until he has his answer.  A connection has its turn for a bounded piece
of work, and then everybody else has his; so that number is small, however much of the flood is waiting.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import trio
from integration.live_server import Certificates, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request, Response, text

BYSTANDERS = 50
ROUNDS = 3  # in each of them all bystanders ask at once

# From a question to its answer, the scheduler comes round some three times: the socket is found to be readable, its
# connection is woken and answers, and the client is woken.  The flood has one turn in each of them, and one or two more
# where a task of TLS, or the reader of a stream, stands between.
TURNS = 8

PIECE = 1024  # bytes of a body that are served in one turn
BACKLOG = 5 * TURNS * PIECE  # bytes of the flood that wait at the least


@dataclass(frozen=True)
class Flood:
    """What one client sends: `first`, and then `more` without end."""

    first: bytes
    more: bytes = b""


FLOODS = {
    "requests": Flood(b"", request_for("/answer") * 1000),
    "upload": Flood(request_for("/read", f"Content-Length: {10**15}\r\n", "POST"), b"x" * 50 * PIECE),
    "upload in small chunks": Flood(
        request_for("/read", "Transfer-Encoding: chunked\r\n", "POST"), b"1\r\nx\r\n" * 10_000
    ),
    "download": Flood(request_for("/send")),
}


class Flooded:
    """An app with something to flood in each direction; none of its handlers ever waits for anything but the client.

    Attributes:
      served: how many turns the flood has had: requests answered, pieces read, pieces sent.
      offered: bytes of it that the client has got rid of.
    """

    def __init__(self) -> None:
        self.served = 0
        self.offered = 0.0
        self.begun = trio.Event()
        config = {"MAX_REQUESTS_PER_CONNECTION": math.inf, "REQUEST_BUFFER_SIZE": PIECE}
        self.app = App("flooded", config, env_prefix=None)
        self.app.add_route(self.ping, "/ping")
        self.app.add_route(self.answer, "/answer")
        self.app.add_route(self.read, "/read", ["POST"], stream=True)
        self.app.add_route(self.send, "/send")

    @property
    def waiting(self) -> float:
        """Bytes of the flood that wait for their turn, at the least: more than a piece is never taken in one."""
        return self.offered - PIECE * self.served

    async def ping(self, request: Request) -> Response:
        return text("pong")

    async def answer(self, request: Request) -> Response:
        self._count()
        return text("answer")

    async def read(self, request: Request) -> Response:
        async for _ in request.stream:
            self._count()
        return text("read")

    async def send(self, request: Request) -> None:
        self.offered = math.inf
        response = await request.respond()
        while True:
            await response.send(b"x" * PIECE)
            self._count()

    def _count(self) -> None:
        self.served += 1
        self.begun.set()

    # --- clients -----------------------------------------------------------------------------------------------------

    async def flood(self, client: RawClient, flood: Flood) -> None:
        await client.send(flood.first)
        while flood.more:
            await client.send(flood.more)
            self.offered += len(flood.more)

    async def take(self, client: RawClient) -> None:
        """Whatever comes, as fast as it comes."""
        while await client.stream.receive_some():
            pass

    async def ask(self, client: RawClient, turns: list[int]) -> None:
        before = self.served
        assert (await client.get("/ping")).body == b"pong"
        turns.append(self.served - before)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_on_one_connection_holds_up_nobody_else(
    flood: Flood, tls: Certificates | None, figure: Callable[[str, float], None]
):
    flooded = Flooded()
    turns: list[int] = []
    waiting: list[float] = []
    async with serving(flooded.app, tls=tls) as live, AsyncExitStack() as clients:
        flooder, *bystanders = [await clients.enter_async_context(await live.connect()) for _ in range(1 + BYSTANDERS)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flooded.flood, flooder, flood)
            nursery.start_soon(flooded.take, flooder)
            await flooded.begun.wait()
            for _ in range(ROUNDS):
                async with trio.open_nursery() as asking:
                    for client in bystanders:
                        asking.start_soon(flooded.ask, client, turns)
                waiting.append(flooded.waiting)
            nursery.cancel_scope.cancel()
    figure("turns that a flood has while a bystander waits, at most", max(turns))
    assert max(turns) <= TURNS
    assert min(waiting) > BACKLOG

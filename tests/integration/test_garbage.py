"""A connection that has ended is gone: nothing of it waits for the garbage collector, however it ended."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import Live, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request, RequestCancelled
from trioframe.http.h1_connection import H1Driver
from trioframe.http.h1_exchange import H1Exchange
from trioframe.http.lifetime import Lifetime
from trioframe.http.transport import Transport
from trioframe.server.connection_tasks import ConnectionTasks

OURS = (H1Driver, H1Exchange, Lifetime, Transport, ConnectionTasks, Request, RequestCancelled)
CONNECTIONS = 5

app = App("garbage", env_prefix=None)


@app.get("/")
async def index(request: Request) -> str:
    return "hello"


@app.get("/sleep")
async def sleep(request: Request) -> None:
    await trio.sleep_forever()


@app.get("/nursery")
async def nursery(request: Request) -> None:
    request.nursery.start_soon(trio.sleep_forever)
    await trio.sleep_forever()


@app.get("/broken")
async def broken(request: Request) -> None:
    raise LookupError("a bug")


@app.post("/body")
async def body(request: Request) -> str:
    return str(len(request.body))


async def answered(client: RawClient, request: bytes) -> None:
    await client.send(request)
    await client.answer()


async def begun(client: RawClient, request: bytes) -> None:
    await client.send(request)
    await trio.testing.wait_all_tasks_blocked()


async def leaving(client: RawClient) -> None:
    await client.stream.aclose()


async def resetting(client: RawClient) -> None:
    client.reset()


Talk = Callable[[RawClient], Awaitable[None]]

TALKS: dict[str, Talk] = {
    "nothing": lambda client: trio.testing.wait_all_tasks_blocked(),
    "an answer": lambda client: answered(client, request_for("/")),
    "the last answer": lambda client: answered(client, request_for("/", "Connection: close\r\n")),
    "half a head": lambda client: begun(client, b"GET / HT"),
    "no HTTP": lambda client: answered(client, b"HELLO\r\n\r\n"),
    "half a body": lambda client: begun(client, request_for("/body", "Content-Length: 9\r\n", "POST") + b"half"),
    "a request that waits": lambda client: begun(client, request_for("/sleep")),
    "a request with a child": lambda client: begun(client, request_for("/nursery")),
    "a request that fails": lambda client: answered(client, request_for("/broken")),
}


async def converse(live: Live, talk: Talk, end: Talk) -> None:
    async with await live.connect() as client:
        await talk(client)
        await end(client)
    (server,) = live.app._servers
    while server.connections:
        await trio.lowlevel.checkpoint()


def alive() -> list[str]:
    return sorted(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, OURS))


@pytest.mark.parametrize("end", [leaving, resetting])
@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
async def test_nothing_of_a_connection_is_left(talk: Talk, end: Talk, caplog: Any) -> None:
    caplog.set_level(100)  # what is logged is kept, and the traceback of an error with it
    async with serving(app) as live:
        await converse(live, talk, end)
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(CONNECTIONS):
                await converse(live, talk, end)
            # An error may hold the last one a little longer; what leaks, leaks for each.
            assert len(alive()) < len(before) + CONNECTIONS, alive()
        finally:
            gc.enable()

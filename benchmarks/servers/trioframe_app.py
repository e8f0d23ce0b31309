"""The workloads as a user of trioframe would write them."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from asked import MIDDLEWARE, RECEIVERS, REQUEST_IDS, WEBSOCKETS, WITHOUT_SPEED
from order import Receipt, receipt
from plain_message import MESSAGE

from trioframe import App, Request, Response, raw, text

if TYPE_CHECKING:  # at run time it would bring all of WebSockets with it, also where nobody asked for them
    from trioframe import WebSocket

if WITHOUT_SPEED:
    sys.modules["websockets.speedups"] = None  # type: ignore[assignment]  # importing it fails, as if it was not there

LARGE = b"x" * 100_000
PIECE = b"x" * (16 * 1024)

# A connection is not closed because it had its share of requests: no peer does that here.
app = App("bench", config={"MAX_REQUESTS_PER_CONNECTION": math.inf}, env_prefix=None)

for _ in range(MIDDLEWARE):

    @app.on_request
    async def pass_by(request: Request) -> None: ...


for _ in range(RECEIVERS):

    @app.signal("http.handler.before")
    async def hear(request: Request) -> None: ...


if REQUEST_IDS:

    @app.on_request
    async def note_id(request: Request) -> None:
        request.ctx.id = request.headers["x-request-id"]

    @app.on_response
    async def give_id(request: Request, response: Response) -> None:
        response.headers["x-request-id"] = request.ctx.id


@app.get("/")
async def hello(request: Request) -> Response:
    return text("Hello, world!")


@app.post("/order/<id:int>")
async def order(request: Request, id: int) -> Receipt:
    args = request.args
    return receipt(
        id,
        request.json,
        page=args["page"],
        sort=args["sort"],
        currency=args["currency"],
        request=request.headers["x-request-id"],
    )


@app.get("/large")
async def large(request: Request) -> Response:
    return raw(LARGE)


@app.get("/download")
async def download(request: Request) -> AsyncIterator[bytes]:
    return pieces()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(64):
        yield PIECE


@app.post("/upload", stream=True)
async def upload(request: Request) -> str:
    size = 0
    async for chunk in request.stream:
        size += len(chunk)
    return str(size)


if WEBSOCKETS:
    members: set[WebSocket] = set()

    @app.websocket("/echo")
    async def echo(request: Request, ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @app.websocket("/broadcast")
    async def broadcast(request: Request, ws: WebSocket) -> None:
        members.add(ws)
        try:
            async for message in ws:
                for _ in range(int(message)):
                    for member in tuple(members):
                        await member.send(MESSAGE)
        finally:
            members.discard(ws)

"""What `abuse.py` attacks: an app with one handler for each thing that a client can take advantage of.

Every handler is as careless as the ones people write; whatever bounds the damage is the server's doing.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import suppress

import trio

from trioframe import App, HTTPError, Request, Response, WebSocket, raw

app = App("abused")

PIECE = b"x" * (16 * 1024)
sleeping = 0


@app.get("/ping")
async def ping(request: Request) -> str:
    return "pong"


@app.get("/number/<number:int>")
async def number(request: Request, number: int) -> str:
    return str(number)


@app.get("/big/<size:int>")
async def big(request: Request, size: int) -> Response:
    """An answer of `size` bytes, in one piece."""
    return raw(b"x" * size)


@app.get("/stream")
async def stream(request: Request) -> AsyncIterator[bytes]:
    """An answer without end."""
    return pieces()


async def pieces() -> AsyncIterator[bytes]:
    while True:
        yield PIECE


@app.get("/sleep")
async def sleep(request: Request) -> str:
    """No answer at all."""
    global sleeping  # noqa: PLW0603 - one number, for /state
    sleeping += 1
    try:
        await trio.sleep_forever()
    finally:
        sleeping -= 1


@app.get("/parse")
async def parse(request: Request) -> str:
    """Looks at everything that has to be parsed."""
    wanted = "content_type accept cookies args url scheme host client_ip credentials token id is_safe is_cacheable"
    for name in wanted.split():
        with suppress(HTTPError):  # whoever sends nonsense in one of them is not spared the others
            getattr(request, name)
    return "parsed"


@app.post("/body")
async def body(request: Request) -> str:
    """The server has read the body before this begins."""
    return str(len(request.body))


@app.post("/upload", stream=True)
async def upload(request: Request) -> str:
    """Reads a body of any size, piece by piece."""
    size = 0
    async for piece in request.stream:
        size += len(piece)
    return str(size)


@app.post("/unread", stream=True)
async def unread(request: Request) -> str:
    """Answers without a look at the body."""
    return "thanks"


# WebSockets; each has a route that agrees on compression, too.


@app.websocket("/ws/echo")
@app.websocket("/ws/echo/deflated", name="echo_deflated", deflate=True)
async def echo(request: Request, ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.websocket("/ws/count")
@app.websocket("/ws/count/deflated", name="count_deflated", deflate=True)
async def count(request: Request, ws: WebSocket) -> None:
    """Tells how long each message was."""
    async for message in ws:
        await ws.send(str(len(message)))


@app.websocket("/ws/pieces")
async def count_pieces(request: Request, ws: WebSocket) -> None:
    """The same, but reads them as they come."""
    while True:
        size = 0
        async for piece in ws.recv_streaming():
            size += len(piece)
        await ws.send(str(size))


@app.websocket("/ws/sleep", cancel_on_close=True)
@app.websocket("/ws/sleep/deflated", name="sleep_deflated", deflate=True, cancel_on_close=True)
async def sleep_on(request: Request, ws: WebSocket) -> None:
    """Neither receives nor sends."""
    global sleeping  # noqa: PLW0603 - as above
    await ws.accept()
    sleeping += 1
    try:
        await trio.sleep_forever()
    finally:
        sleeping -= 1


@app.websocket("/ws/stream")
async def stream_on(request: Request, ws: WebSocket) -> None:
    """Sends without end."""
    while True:
        await ws.send(PIECE)


@app.websocket("/ws/leave")
async def leave(request: Request, ws: WebSocket) -> None:
    """Ends at once."""


@app.get("/state")
async def state(request: Request) -> dict[str, int]:
    """What must be as before when everybody has left; the connection that asks is one of those counted."""
    return {
        "connections": sum(server.connections for server in app._servers),
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "sleeping": sleeping,
    }


@app.get("/held")
async def held(request: Request) -> str:
    """How many objects of the server's own there are; unlike memory it does not depend on who was there at once."""
    gc.collect()
    return str(sum(type(thing).__module__.startswith("trioframe.") for thing in gc.get_objects()))

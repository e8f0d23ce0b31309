"""The workloads as a user of Sanic would write them.

    python sanic_app.py PORT

Its fastest documented way to run in one process: uvloop, which it takes by itself, no access log, no manager process.
"""

from __future__ import annotations

import sys

from asked import MIDDLEWARE, RECEIVERS, REQUEST_IDS, WEBSOCKETS
from order import receipt
from plain_message import MESSAGE
from sanic import HTTPResponse, Request, Sanic, Websocket, json, raw, text

LARGE = b"x" * 100_000
PIECE = b"x" * (16 * 1024)

app = Sanic("bench", configure_logging=False)
app.config.ACCESS_LOG = False
app.config.REQUEST_MAX_SIZE = 2**30  # it counts streamed bodies too

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
    async def give_id(request: Request, response: HTTPResponse) -> None:
        response.headers["x-request-id"] = request.ctx.id


@app.get("/")
async def hello(request: Request) -> HTTPResponse:
    return text("Hello, world!")


@app.post("/order/<id:int>")
async def order(request: Request, id: int) -> HTTPResponse:
    args = request.args
    return json(
        receipt(
            id,
            request.json,
            page=args.get("page"),
            sort=args.get("sort"),
            currency=args.get("currency"),
            request=request.headers["x-request-id"],
        )
    )


@app.get("/large")
async def large(request: Request) -> HTTPResponse:
    return raw(LARGE)


@app.get("/download")
async def download(request: Request) -> None:
    response = await request.respond(content_type="application/octet-stream")
    for _ in range(64):
        await response.send(PIECE)
    await response.eof()


@app.post("/upload", stream=True)
async def upload(request: Request) -> HTTPResponse:
    size = 0
    async for chunk in request.stream:
        size += len(chunk)
    return text(str(size))


if WEBSOCKETS:
    members: set[Websocket] = set()

    @app.websocket("/echo")
    async def echo(request: Request, ws: Websocket) -> None:
        async for message in ws:
            await ws.send(message)

    @app.websocket("/broadcast")
    async def broadcast(request: Request, ws: Websocket) -> None:
        members.add(ws)
        try:
            async for message in ws:
                for _ in range(int(message)):
                    for member in tuple(members):
                        await member.send(MESSAGE)
        finally:
            members.discard(ws)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, debug=False, motd=False)

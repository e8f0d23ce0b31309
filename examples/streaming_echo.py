"""Echoes a body of any length while it arrives: ``curl -T big.iso http://127.0.0.1:8000/echo | cmp - big.iso``.

Each piece is written before the next one is read.  So a client that reads slowly is read from slowly, and the memory
this takes does not depend on the length.
"""

from __future__ import annotations

import trio

from trioframe import App, Request

app = App("streaming_echo")


@app.route("/echo", methods=["POST", "PUT"], stream=True)
async def echo(request: Request) -> None:
    response = await request.respond(content_type=request.content_type)
    async for chunk in request.stream:
        await response.send(chunk)
    await response.eof()


if __name__ == "__main__":
    trio.run(app.serve)

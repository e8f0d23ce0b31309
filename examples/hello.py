"""The smallest app: ``python examples/hello.py``, then ``curl http://127.0.0.1:8000/hello/Ada``."""

from __future__ import annotations

import trio

from trioframe import App, Request, Response, text

app = App("hello")


@app.get("/")
async def index(request: Request) -> Response:
    return text("Hello, world!\n")


@app.get("/hello/<name>")
async def hello(request: Request, name: str) -> Response:
    return text(f"Hello, {name}!\n")


if __name__ == "__main__":
    trio.run(app.serve)

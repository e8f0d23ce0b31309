"""The smallest workload as a user of Quart-Trio would write it."""

from __future__ import annotations

from quart import Response
from quart_trio import QuartTrio

app = QuartTrio(__name__)


@app.get("/")
async def hello() -> Response:
    return Response("Hello, world!", content_type="text/plain; charset=utf-8")

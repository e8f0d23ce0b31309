"""The smallest WebSocket: ``python examples/websocket_echo.py``, then ``python -m websockets ws://127.0.0.1:8000/``.

It ends when the client closes, or has gone; there is nothing to clean up.
"""

from __future__ import annotations

import trio

from trioframe import App, Request, WebSocket

app = App("websocket_echo")


@app.websocket("/")
async def echo(request: Request, ws: WebSocket) -> None:
    async for message in ws:  # str or bytes
        await ws.send(message)


if __name__ == "__main__":
    trio.run(app.serve)

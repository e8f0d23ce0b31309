"""The WebSockets as a user of trio-websocket would write them.

    python trio_websocket_app.py PORT

It has no compression.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket


async def echo(request: WebSocketRequest) -> None:
    connection = await request.accept()
    with suppress(ConnectionClosed):  # which would end the server
        while True:
            await connection.send_message(await connection.get_message())


if __name__ == "__main__":
    trio.run(serve_websocket, echo, "127.0.0.1", int(sys.argv[1]), None)

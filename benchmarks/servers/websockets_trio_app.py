"""The WebSockets as a user of websockets would write them on Trio.

    python websockets_trio_app.py PORT

No compression, its extension in C, and its own `broadcast`.
"""

from __future__ import annotations

import sys
from functools import partial

import trio
from plain_message import MESSAGE
from websockets.trio.server import ServerConnection, broadcast, serve

members: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    await (tell_all if connection.request.path == "/broadcast" else echo)(connection)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def tell_all(connection: ServerConnection) -> None:
    members.add(connection)
    try:
        async for message in connection:
            for _ in range(int(message)):
                await broadcast(members, MESSAGE)
    finally:
        members.discard(connection)


if __name__ == "__main__":
    trio.run(partial(serve, handle, int(sys.argv[1]), host="127.0.0.1", compression=None))

"""The WebSockets as a user of websockets would write them on asyncio.

    python websockets_asyncio_app.py PORT

Its fastest documented way: uvloop, no compression, its extension in C, and its own `broadcast`, which waits for nobody.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from plain_message import MESSAGE
from websockets.asyncio.server import ServerConnection, broadcast, serve

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
                broadcast(members, MESSAGE)
                await asyncio.sleep(0)  # so that it is sent, and others have their turn
    finally:
        members.discard(connection)


async def main(port: int) -> None:
    async with serve(handle, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

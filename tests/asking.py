"""One question to an app, over a memory stream of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import memory_stream_pair

from trioframe import App


class Client:
    """The far end of one connection to an app."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def ask(self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status and body of one answer."""
        status, _, content = await self.ask_all(path, method, body, **headers)
        return status, content.decode()

    async def ask_all(
        self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, str, bytes]:
        await self.send(path, method, body, **headers)
        head, _, content = (await self.read_to_end()).partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), content

    async def send(self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> None:
        fields = {"Host": "x", "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.stream.send_all(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read_to_end(self) -> bytes:
        data = b""
        async for piece in self.stream.receive_stream:
            data += piece
        return data


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[Client]:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        yield Client(client)
        nursery.cancel_scope.cancel()


async def ask(app: App, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, str]:
    async with connected(app) as client:
        return await client.ask(path, method, body, **headers)

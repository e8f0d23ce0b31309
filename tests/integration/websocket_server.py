"""An app with WebSockets for whoever comes, and what becomes of their handlers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import trio
from integration.bystanders import new_app

from trioframe import Deflate, Request, WebSocket, WebSocketClosed

__all__ = ["End", "WebSocketServer"]

MEBIBYTE = 1024 * 1024


class End(NamedTuple):
    """How a handler has ended.

    Attributes:
      outcome: "returned", "closed" if it was told by an exception, or "cancelled for ..." with the reason.
      code: of the close.
    """

    outcome: str
    code: int | None
    reason: str = ""


class WebSocketServer:
    """See the top of this file; the app is `app`.

    ==============  ==================================================================
    /echo           sends what it receives; /deflated with permessage-deflate, /takeover with context takeover
    /ours           the same, for pages of https://ours.example
    /pieces         sends the pieces of what it receives, as pieces
    /receive        only receives
    /send           sends KiB for ever
    /work           neither sends nor receives, for ever
    /slow           works for a moment, then echoes
    /ping           pings, and sends "pong"
    /count          sends numbers, up to the query's `to`
    /close          closes with `code` and `reason` of the query
    ==============  ==================================================================
    """

    def __init__(self, **config: Any) -> None:
        self.app = new_app(**config)
        self._tell, self._ends = trio.open_memory_channel[End](math.inf)
        protocols = ("chat", "superchat")
        self._add("/echo", echo, subprotocols=protocols)
        self._add("/deflated", echo, subprotocols=protocols, deflate=True)
        takeover = Deflate(server_no_context_takeover=False, client_no_context_takeover=False)
        self._add("/takeover", echo, subprotocols=protocols, deflate=takeover)
        self._add("/ours", echo, origins=("https://ours.example",))
        self._add("/pieces", send_pieces, max_size=64 * MEBIBYTE)
        self._add("/receive", receive)
        self._add("/send", send)
        self._add("/work", work)
        self._add("/slow", slow)
        self._add("/ping", ping)
        self._add("/count", count)
        self._add("/close", close)

    async def next_end(self) -> End:
        """How the next handler ends."""
        return await self._ends.receive()

    def ends(self) -> int:
        """How many have ended of which nobody has asked."""
        return self._ends.statistics().current_buffer_used

    def _add(self, path: str, handler: Callable[[Request, WebSocket], Awaitable[None]], **options: Any) -> None:
        async def watched(request: Request, ws: WebSocket) -> None:
            outcome = "raised"
            try:
                await handler(request, ws)
                outcome = "returned"
            except WebSocketClosed:
                outcome = "closed"
                raise
            except trio.Cancelled:
                outcome = f"cancelled for {request.exchange.lifetime.reason}"
                raise
            finally:
                self._tell.send_nowait(End(outcome, ws.close_code, ws.close_reason))

        self.app.websocket(path, name=path[1:], **options)(watched)


async def echo(request: Request, ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def send_pieces(request: Request, ws: WebSocket) -> None:
    while True:
        await ws.send(ws.recv_streaming())


async def receive(request: Request, ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def send(request: Request, ws: WebSocket) -> None:
    while True:
        await ws.send(bytes(1024))


async def work(request: Request, ws: WebSocket) -> None:
    await ws.accept()
    await trio.sleep_forever()


async def slow(request: Request, ws: WebSocket) -> None:
    await ws.accept()
    await trio.sleep(0.3)
    await echo(request, ws)


async def ping(request: Request, ws: WebSocket) -> None:
    assert await ws.ping() < 5
    assert await ws.ping(b"by name") < 5
    await ws.send("pong")


async def count(request: Request, ws: WebSocket) -> None:
    for number in range(int(request.args["to"])):
        await ws.send(str(number))


async def close(request: Request, ws: WebSocket) -> None:
    await ws.close(int(request.args["code"]), request.args.get("reason", ""))

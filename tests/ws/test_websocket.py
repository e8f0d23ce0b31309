"""A WebSocket as its handler sees it: what it tells, that it is a channel, and what it costs."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import (
    OPERATIONS,
    Frame,
    WebSocketPeer,
    close,
    closing,
    needs_epoll,
    on_each,
    settled,
    text,
    websocket,
)
from written_frames import TEXT

from trioframe import WebSocket, WebSocketClosed


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


async def test_how_it_stands(autojump_clock: MockClock) -> None:
    async with websocket(sleep, route={"subprotocols": ["chat"]}) as peer:
        ws = peer.ws
        assert ws.subprotocol is None
        assert (ws.accepted, ws.closed, ws.close_code, ws.close_reason) == (True, False, None, "")
        assert repr(ws) == "<WebSocket of <GET />, OPEN>"
        await peer.send(close(4000, "why"))
        await peer.read_to_end()
        assert (ws.accepted, ws.closed, ws.close_code, ws.close_reason) == (True, True, 4000, "why")
        assert repr(ws) == "<WebSocket of <GET />, CLOSED>"


async def test_it_is_a_channel(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        channel: trio.abc.Channel[str | bytes] = ws
        async with channel:
            await channel.send(await channel.receive())
        for operation in (partial(channel.send, "never"), channel.receive):
            with pytest.raises(trio.ClosedResourceError) as closed:
                await operation()
            assert isinstance(closed.value, WebSocketClosed)
            assert closed.value.code == 1000

    async with websocket(handler) as peer:
        await peer.send(text("a"))
        assert await peer.read_many(2) == [Frame(TEXT, b"a"), closing()]
        assert await peer.leave() == []
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_every_operation_can_be_cancelled_where_it_begins(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        for operation in OPERATIONS.values():
            with trio.CancelScope() as scope:
                scope.cancel()
                await operation(peer.ws)
            assert scope.cancelled_caught
        assert await peer.read_now() == []


# --- what it costs ----------------------------------------------------------------------------------------------------


class Tasks(trio.abc.Instrument):
    """Counts the tasks that are started, and the steps of one."""

    def __init__(self) -> None:
        self.started = 0
        self.steps = 0
        self.handler: trio.lowlevel.Task | None = None

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.started += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += task is self.handler


@on_each
async def test_an_echo_costs_no_task(transport: str, autojump_clock: MockClock) -> None:
    """And on the reactor one step of the handler: it is woken, and waits for the next message."""
    tasks = Tasks()

    async def echo(ws: WebSocket) -> None:
        tasks.handler = trio.lowlevel.current_task()
        async for message in ws:
            await ws.send(message)

    async with websocket(echo, transport) as peer:
        await echo_once(peer)
        trio.lowlevel.add_instrument(tasks)
        for _ in range(10):
            await echo_once(peer)
        trio.lowlevel.remove_instrument(tasks)
        assert tasks.started == 0
        assert tasks.steps == (10 if transport == "unix" else 20)


async def echo_once(peer: WebSocketPeer) -> None:
    await peer.send(text("hello"))
    assert await peer.read() == Frame(TEXT, b"hello")
    await settled()


@needs_epoll
async def test_a_small_message_is_sent_without_a_wait(autojump_clock: MockClock) -> None:
    """It can be cancelled, but others have no turn."""
    tasks = Tasks()

    async def handler(ws: WebSocket) -> None:
        tasks.handler = trio.lowlevel.current_task()
        trio.lowlevel.add_instrument(tasks)
        await ws.send("a")
        await ws.send("b")
        trio.lowlevel.remove_instrument(tasks)

    async with websocket(handler, "unix") as peer:
        assert await peer.read_many(2) == [Frame(TEXT, b"a"), Frame(TEXT, b"b")]
        await peer.ended.wait()
        assert (peer.fate, tasks.steps) == ("returned", 0)

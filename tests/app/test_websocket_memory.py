"""A WebSocket that has ended, and its request, go at once: nothing waits for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio_websocket
from trio.testing import MockClock

from trioframe import App, Forbidden


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
def held() -> list[weakref.ref[Any]]:
    return []


@pytest.fixture
def app(held: list[weakref.ref[Any]]) -> App:
    app = App("held", env_prefix=None)

    @app.websocket("/echo")
    async def echo(request: Any, ws: Any) -> None:
        held.extend([weakref.ref(request), weakref.ref(ws)])
        async for message in ws:
            await ws.send(message)

    @app.websocket("/refused")
    async def refused(request: Any, ws: Any) -> None:
        held.extend([weakref.ref(request), weakref.ref(ws)])
        raise Forbidden

    return app


@pytest.mark.usefixtures("_without_collector")
async def test_one_that_was_closed(app: App, held: list[weakref.ref[Any]], autojump_clock: MockClock) -> None:
    async with app.test_client() as client:
        async with client.websocket("/echo") as ws:
            await ws.send_message("hello")
            assert await ws.get_message() == "hello"
        await trio.sleep(1)
        assert [ref() for ref in held] == [None, None]


@pytest.mark.usefixtures("_without_collector")
async def test_one_that_was_lost(app: App, held: list[weakref.ref[Any]], autojump_clock: MockClock) -> None:
    async with app.test_client() as client:
        with pytest.raises(trio_websocket.ConnectionClosed):
            async with client.websocket("/echo") as ws:
                await ws.send_message("hello")
                await ws.get_message()
                client.connections[-1].reset()
                await ws.get_message()
        await trio.sleep(1)
        assert [ref() for ref in held] == [None, None]


@pytest.mark.usefixtures("_without_collector")
async def test_one_that_was_refused(app: App, held: list[weakref.ref[Any]], autojump_clock: MockClock) -> None:
    async with app.test_client() as client:
        with pytest.raises(trio_websocket.ConnectionRejected):
            async with client.websocket("/refused"):
                pass
        await trio.sleep(1)
        assert [ref() for ref in held] == [None, None]

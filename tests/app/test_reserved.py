"""Every signal of the table is sent, by itself, with what the table says; and nobody sends another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from listening import ENDS, request_for
from memory_listener import MemoryListener
from trio.testing import MockClock

from trioframe import App
from trioframe.app.reserved import NAMESPACES, PHASES, RESERVED

OPENING = (
    b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
REQUESTS = [
    request_for("/"),
    request_for("/broken"),
    request_for("/late"),
    request_for("/body", "POST", b"abc"),
    OPENING,
]

Sent = list[tuple[str, frozenset[str]]]


@pytest.fixture
def app() -> App:
    app = App("reserved", {"RESPONSE_TIMEOUT": 5}, env_prefix=None)
    app.on_request(lambda request: None)
    app.on_response(lambda request, response: None)

    @app.get("/")
    async def hello(request: Any) -> str:
        return "hello"

    @app.get("/broken")
    async def broken(request: Any) -> None:
        raise KeyError("broken")

    @app.get("/late")
    async def late(request: Any) -> None:
        await trio.sleep_forever()

    @app.post("/body")
    async def body(request: Any) -> str:
        return request.text

    @app.websocket("/websocket")
    async def websocket(request: Any, ws: Any) -> None:
        await ws.accept()
        raise KeyError("broken")

    return app


def note(app: App) -> Sent:
    sent: Sent = []
    for name in RESERVED:

        def receiver(name: str = name, **context: object) -> None:
            sent.append((name, frozenset(context)))

        app.add_signal(receiver, name)
    return sent


async def serve(app: App) -> None:
    """The whole life of a server that is asked a few times."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: app.serve(listeners=[listener], task_status=task_status))
        for request in REQUESTS:
            client = listener.connect()
            await client.send_all(request)
            assert await client.receive_some()
            await client.aclose()
        app.shutdown()


async def test_every_row_has_a_sender(app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    sent = note(app)
    await serve(app)
    assert {name for name, _ in sent} == RESERVED.keys()
    assert {(name, context) for name, context in sent} == {
        (name, frozenset(RESERVED[name].context)) for name in RESERVED
    }


async def test_a_request_comes_by_in_the_order_of_the_table(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """But middleware is met twice, on the way there and back."""
    sent = note(app)
    await serve(app)
    rows = [name for name in RESERVED if name.startswith("http.") and ".middleware." not in name]
    met = [name for name, _ in sent if name in rows]
    begins = [index for index, name in enumerate(met) if name == rows[0]]
    for begin, end in zip(begins, [*begins[1:], len(met)], strict=True):
        request = met[begin:end]
        (one_end,) = (name for name in request if name.rpartition(".")[2] in ENDS)
        if one_end.endswith("complete"):
            assert sorted(request, key=rows.index) == request
    assert len(begins) == len(REQUESTS)


def test_every_row_is_in_a_namespace_of_the_framework() -> None:
    assert {name.split(".")[0] for name in RESERVED} <= NAMESPACES
    assert all(row.when and row.context for row in RESERVED.values())


async def test_every_phase_can_be_stood_around(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    met: list[str] = []
    for phase in PHASES:

        async def standing(subject: Any, phase: str = phase) -> AsyncIterator[None]:
            met.append(phase)
            try:
                yield
            finally:
                met.append(phase)

        app.around(phase)(standing)
    await serve(app)
    assert met[0] == met[-1] == "server.lifecycle"
    assert met[1:5] == ["http.lifecycle", "http.handler", "http.handler", "http.lifecycle"]
    assert len(met) == 2 + 4 * len(REQUESTS) + 2
    there, back = ["http.lifecycle", "http.handler", "websocket.handler"], ["http.handler", "http.lifecycle"]
    assert met[-7:] == [*there, "websocket.handler", *back, "server.lifecycle"]

"""As `test_containment`, for what lies beneath the handlers: streams, the wire, TLS."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from integration.bystanders import Bystanders, end, errors, new_app, outcome
from integration.live_server import Certificates, listening_socket, serving
from integration.raw_client import request_for

import trioframe.http.h1_connection
from trioframe import Request, Response, text
from trioframe.http.h1 import H1Connection


class Broken(Exception):
    """What is raised everywhere here."""


# --- below HTTP -------------------------------------------------------------------------------------------------------


class BrokenStream(trio.abc.HalfCloseableStream):
    """The server's end of a connection, which fails in one of its operations once it has seen the word."""

    def __init__(self, stream: trio.SocketStream, operation: str) -> None:
        self.transport_stream = stream
        self._operation = operation
        self._armed = False

    def _touch(self, operation: str) -> None:
        if self._armed and operation == self._operation:
            raise Broken(operation)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._touch("receive_some")
        data = bytes(await self.transport_stream.receive_some(max_bytes))
        self._armed = self._armed or b"/break" in data
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._touch("send_all")
        await self.transport_stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        self._touch("send_eof")
        await self.transport_stream.send_eof()

    async def aclose(self) -> None:
        try:
            await self.transport_stream.aclose()
        finally:
            self._touch("aclose")


class BrokenListener(trio.abc.Listener[trio.abc.Stream]):
    def __init__(self, operation: str) -> None:
        self.socket = trio.socket.from_stdlib_socket(listening_socket())
        self._listener = trio.SocketListener(self.socket)
        self._operation = operation

    async def accept(self) -> trio.abc.Stream:
        return BrokenStream(await self._listener.accept(), self._operation)

    async def aclose(self) -> None:
        await self._listener.aclose()


@pytest.mark.any_transport  # the listener brings its own
@pytest.mark.parametrize("operation", ["receive_some", "send_all", "send_eof", "aclose"])
async def test_a_transport_that_fails(operation, caplog: pytest.LogCaptureFixture):
    app = new_app()

    @app.get("/break")
    async def broken(request: Request) -> Response:
        return text("broken")

    async with serving(app, listeners=[BrokenListener(operation)]) as live, Bystanders(live) as bystanders:
        async with await live.connect() as client:
            await client.send(request_for("/break", "Connection: close\r\n"))
            await outcome(client)
            client.leave()
        assert await bystanders.are_served()
        await end(live)
    assert len(errors(caplog)) == 1


class BrokenWire(H1Connection):
    """The wire of a connection fails in one of its methods, once it has been sent the word."""

    operation = ""
    armed = False

    def receive_data(self, data: bytes) -> None:
        super().receive_data(data)
        self.armed = self.armed or b"/break" in data

    def _touch(self, operation: str) -> None:
        if self.armed and operation == self.operation:
            raise Broken(operation)

    def receive_head(self, data: bytes) -> Any:
        self.receive_data(data)
        return self.next_event()

    def next_event(self) -> Any:
        self._touch("next_event")
        return super().next_event()

    def send_response(self, *args: Any, **options: Any) -> bytes:
        self._touch("send_response")
        return super().send_response(*args, **options)

    def start_next_cycle(self) -> bool:
        self._touch("start_next_cycle")
        return super().start_next_cycle()


@pytest.mark.parametrize("operation", ["next_event", "send_response", "start_next_cycle"])
async def test_a_wire_that_fails(operation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trioframe.http.h1_connection, "H1Connection", type("", (BrokenWire,), {"operation": operation}))
    app = new_app()

    @app.get("/break")
    async def broken(request: Request) -> Response:
        return text("broken")

    async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
        await client.send(request_for("/break"))
        assert await outcome(client) == (200 if operation == "start_next_cycle" else "cut")
        assert await client.is_closed()
        assert await bystanders.are_served()
        await end(live)
    assert errors(caplog)


# --- TLS --------------------------------------------------------------------------------------------------------------

NO_HANDSHAKE = {
    "nothing": b"",
    "half a record": b"\x16\x03\x01\x02\x00\x01",
    "noise": bytes(range(256)) * 8,
    "plain HTTP": request_for("/fine"),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("sent", NO_HANDSHAKE.values(), ids=NO_HANDSHAKE)
async def test_a_handshake_that_fails(sent, reset, certificates: Certificates, caplog: pytest.LogCaptureFixture):
    app = new_app()
    async with serving(app, tls=certificates) as live, Bystanders(live) as bystanders:
        async with await live.connect(plain=True) as client:
            if sent:
                await client.send(sent)
            client.reset() if reset else client.leave()
        assert await bystanders.are_served()
        await end(live)
    assert errors(caplog) == []


async def test_noise_within_tls(certificates: Certificates, caplog: pytest.LogCaptureFixture):
    """Behind a good handshake, beneath the encryption."""
    async with serving(new_app(), tls=certificates) as live, Bystanders(live) as bystanders:
        async with await live.connect() as client:
            assert (await client.get("/fine")).body == b"fine"
            await client.sock.send(b"\x17\x03\x03\x00\x20" + b"noise" * 20)
            assert await client.is_closed()
        assert await bystanders.are_served()
        await end(live)
    assert errors(caplog) == []

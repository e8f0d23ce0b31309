"""Accepting, containing and ending connections, without sockets and in virtual time."""

from __future__ import annotations

import contextvars
import errno
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trustme
from memory_listener import MemoryListener
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from wire import Journal

from trioframe.config import Config
from trioframe.http.exchange import Exchange, Handler
from trioframe.http.h1_connection import GOODBYE
from trioframe.server.reactor import Reactor
from trioframe.server.serve import ACCEPT_PAUSE, Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    await exchange.send_response(200, (), b"hello")


async def sleeping(exchange: Exchange) -> None:
    await exchange.lifetime.run(trio.sleep_forever)


class Running:
    def __init__(self, server: Server, listener: MemoryListener, journal: Journal) -> None:
        self.server = server
        self.listener = listener
        self.journal = journal
        self.ended = trio.Event()


@asynccontextmanager
async def running(handler: Handler, *, ssl: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Running]:
    listener, journal = MemoryListener(), Journal()
    server = Server(handler, Config(**options), journal)
    it = Running(server, listener, journal)

    async def serve(task_status: trio.TaskStatus[Any]) -> None:
        await server.serve([listener], ssl=ssl, task_status=task_status)
        it.ended.set()

    async with trio.open_nursery() as nursery:
        assert await nursery.start(serve) == [listener]
        yield it
        nursery.cancel_scope.cancel()


async def ask(stream: trio.abc.Stream, request: bytes = GET) -> bytes:
    await stream.send_all(request)
    return bytes(await stream.receive_some())


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    data = b""
    while piece := await stream.receive_some():
        data += piece
    return data


# --- serving ----------------------------------------------------------------------------------------------------------


async def test_connections_are_served_side_by_side() -> None:
    async with running(hello) as it:
        one, two = it.listener.connect(), it.listener.connect()
        assert (await ask(two)).endswith(b"hello")
        assert (await ask(one)).endswith(b"hello")
        assert it.server.connections == 2
        await one.aclose()
        await wait_all_tasks_blocked()
        assert it.server.connections == 1


async def test_nothing_one_connection_does_ends_another(caplog: pytest.LogCaptureFixture) -> None:
    class Cursed(trio.abc.Stream):
        """Raises from every operation what no stream should."""

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise ZeroDivisionError("receive")

        async def send_all(self, data: object) -> None:
            raise ZeroDivisionError("send")

        async def wait_send_all_might_not_block(self) -> None:
            raise ZeroDivisionError("wait")

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async with running(hello) as it:
        it.listener.offer(Cursed())
        await wait_all_tasks_blocked()
        assert (await ask(it.listener.connect())).endswith(b"hello")
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_no_error_leaves() -> None:
    async def interrupting(exchange: Exchange) -> None:
        raise KeyboardInterrupt

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with running(interrupting) as it:
            await ask(it.listener.connect())


async def test_at_most_so_many_connections() -> None:
    async with running(hello, MAX_CONNECTIONS=1) as it:
        one, two = it.listener.connect(), it.listener.connect()
        await ask(one)
        await two.send_all(GET)
        await wait_all_tasks_blocked()
        assert it.server.connections == 1
        await one.aclose()
        assert bytes(await two.receive_some()).endswith(b"hello")


async def test_out_of_file_descriptors(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with running(hello) as it:
        for number in range(3):  # the second one comes when there was room in between
            it.listener.fail(OSError(errno.EMFILE, "Too many open files"))
            if number == 0:
                it.listener.connect()
        await trio.sleep(ACCEPT_PAUSE / 2)
        assert it.listener.accepts == 1
        assert (await ask(it.listener.connect())).endswith(b"hello")
        assert trio.current_time() == pytest.approx(3 * ACCEPT_PAUSE)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_connection_that_ends_gives_its_descriptor_at_once(autojump_clock: MockClock) -> None:
    async with running(hello) as it:
        first = it.listener.connect()
        await ask(first)
        it.listener.fail(OSError(errno.ENFILE, "Too many open files in system"))
        await wait_all_tasks_blocked()
        await first.aclose()
        assert (await ask(it.listener.connect())).endswith(b"hello")
        assert trio.current_time() < ACCEPT_PAUSE


async def test_a_connection_that_was_gone_before_it_was_accepted(caplog: pytest.LogCaptureFixture) -> None:
    async with running(hello) as it:
        it.listener.fail(OSError(errno.ECONNABORTED, "Software caused connection abort"))
        assert (await ask(it.listener.connect())).endswith(b"hello")
    assert caplog.records == []


async def test_a_listener_that_breaks_is_not_survived() -> None:
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with running(hello) as it:
            it.listener.fail(OSError(errno.EINVAL, "Invalid argument"))
            await trio.sleep_forever()
    assert it.listener.closed


async def test_one_stream_may_be_served_alone() -> None:
    client, stream = memory_stream_pair()
    server = Server(hello, Config(), Journal())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, stream)
        assert (await ask(client)).endswith(b"hello")
        await client.send_eof()
    assert server.connections == 0


@pytest.mark.parametrize("available", [True, False])
async def test_tcp_with_and_without_the_reactor(monkeypatch: pytest.MonkeyPatch, available: bool) -> None:
    monkeypatch.setattr(Reactor, "available", available and Reactor.available)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    journal = Journal()
    server = Server(sleeping, Config(), journal)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, [listener])
        client = await trio.testing.open_stream_to_socket_listener(listener)
        await client.send_all(GET)
        while not server._drivers or next(iter(server._drivers)).exchange is None:  # type: ignore[attr-defined]
            await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
        while server.connections:
            await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
    assert journal.statuses == [499]


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("example.org").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    seen: list[Any] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange.conn)
        await hello(exchange)

    async with running(handler, ssl=contexts[0]) as it:
        client = trio.SSLStream(it.listener.connect(), contexts[1], server_hostname="example.org")
        assert (await ask(client)).endswith(b"hello")
        assert (await ask(client, GET.replace(b"Host", b"Connection: close\r\nHost"))).endswith(b"hello")
        assert await client.receive_some() == b""
        await client.aclose()
    assert seen[0].scheme == "https"
    assert seen[0].tls.version().startswith("TLS")


async def test_a_tls_client_that_leaves_cancels_its_request(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock
) -> None:
    async with running(sleeping, ssl=contexts[0]) as it:
        client = trio.SSLStream(it.listener.connect(), contexts[1], server_hostname="example.org")
        await client.send_all(GET + GET)
        await wait_all_tasks_blocked()
        await client.aclose()
        await wait_all_tasks_blocked()
        await trio.sleep(0.05)
        assert it.journal.statuses == [499]


async def test_a_listener_that_speaks_tls_itself(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    schemes: list[str] = []

    async def handler(exchange: Exchange) -> None:
        schemes.append(exchange.conn.scheme)
        await hello(exchange)

    async with running(handler) as it:
        client_end, server_end = memory_stream_pair()
        it.listener.offer(trio.SSLStream(server_end, contexts[0], server_side=True))
        client = trio.SSLStream(client_end, contexts[1], server_hostname="example.org")
        assert (await ask(client)).endswith(b"hello")
        await client.aclose()
    assert schemes == ["https"]


async def test_an_idle_tls_connection_ends_with_close_notify(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock
) -> None:
    async with running(hello, ssl=contexts[0]) as it:
        client = trio.SSLStream(it.listener.connect(), contexts[1], server_hostname="example.org")
        await ask(client)
        assert await client.receive_some() == b""  # no BrokenResourceError: the end was said


async def test_who_sends_on_over_tls_sees_the_end_of_the_answer(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock
) -> None:
    async with running(hello, ssl=contexts[0]) as it:
        client = trio.SSLStream(it.listener.connect(), contexts[1], server_hostname="example.org")
        await client.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(900_000))
        answer = b""
        while data := await client.receive_some():  # no BrokenResourceError: the end was said
            answer += data
        assert answer.startswith(b"HTTP/1.1 ")
        await client.aclose()


async def test_plain_http_on_a_tls_port_is_one_line(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(hello, ssl=contexts[0]) as it:
        client = it.listener.connect()
        await client.send_all(GET)
        await wait_all_tasks_blocked()
        assert it.server.connections == 0
    assert len(caplog.records) == 1
    assert "plain HTTP" in caplog.text
    assert caplog.records[0].exc_info is None


async def test_a_handshake_has_its_time(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(hello, ssl=contexts[0], TLS_HANDSHAKE_TIMEOUT=10) as it:
        client = it.listener.connect()
        await read_to_end(client)
        assert trio.current_time() == 10
    assert "longer than 10" in caplog.text


async def test_a_handshake_is_not_waited_for_at_the_end(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], autojump_clock: MockClock
) -> None:
    async with running(hello, ssl=contexts[0]) as it:
        client = it.listener.connect()
        await wait_all_tasks_blocked()
        it.server.shutdown()
        await it.ended.wait()
        assert trio.current_time() == 0
        await client.aclose()


# --- ending -----------------------------------------------------------------------------------------------------------

GRACE, CANCEL_GRACE = 15.0, 5.0


async def test_shutdown_with_nothing_to_wait_for_is_immediate(autojump_clock: MockClock) -> None:
    async with running(hello) as it:
        idle, unused = it.listener.connect(), it.listener.connect()
        await ask(idle)
        await wait_all_tasks_blocked()
        it.server.shutdown()
        it.server.shutdown()
        await it.ended.wait()
        assert trio.current_time() <= GOODBYE
        assert it.listener.closed
        assert await idle.receive_some() == b"" == await unused.receive_some()


async def test_shutdown_lets_a_running_request_finish(autojump_clock: MockClock) -> None:
    async def slow(exchange: Exchange) -> None:
        await trio.sleep(GRACE - 1)
        await hello(exchange)

    async with running(slow) as it:
        client = it.listener.connect()
        await client.send_all(GET)
        await wait_all_tasks_blocked()
        it.server.shutdown()
        assert b"200 OK" in await read_to_end(client)
        await client.aclose()
        await it.ended.wait()
        assert trio.current_time() == GRACE - 1


async def test_shutdown_cancels_what_takes_longer(autojump_clock: MockClock) -> None:
    async with running(sleeping) as it:
        client = it.listener.connect()
        await client.send_all(GET)
        await wait_all_tasks_blocked()
        it.server.shutdown()
        assert b" 503 " in await read_to_end(client)
        assert trio.current_time() == GRACE
        await client.aclose()
        await it.ended.wait()


def shielding(seconds: float) -> Handler:
    async def handler(exchange: Exchange) -> None:
        async def shielded() -> None:
            with exchange.lifetime.shielded(seconds):
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()

        await exchange.lifetime.run(shielded)

    return handler


async def streaming(exchange: Exchange) -> None:
    async def forever() -> None:
        exchange.send_head(200, ())
        while True:
            await exchange.send_data(b"x")
            await trio.sleep(1)

    await exchange.lifetime.run(forever)


async def unread(client: Any, it: Running) -> None:
    stop: trio.Event = trio.Event()
    (driver,) = it.server._drivers
    driver.transport.stream.send_stream.send_all_hook = stop.wait  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("handler", "sent", "latest"),
    [
        pytest.param(hello, b"", 0, id="an idle connection"),
        pytest.param(sleeping, GET, GRACE, id="a running handler"),
        pytest.param(shielding(2), GET, GRACE + 2, id="a shielded handler"),
        pytest.param(shielding(1000), GET, GRACE + CANCEL_GRACE, id="a handler shielded for too long"),
        pytest.param(streaming, GET, GRACE, id="an endless stream"),
        pytest.param(hello, GET[:10], GRACE, id="half a head"),
    ],
)
async def test_shutdown_always_ends_in_time(
    autojump_clock: MockClock, handler: Handler, sent: bytes, latest: float
) -> None:
    async with running(handler, GRACEFUL_SHUTDOWN_TIMEOUT=GRACE, CANCEL_GRACE=CANCEL_GRACE, REQUEST_TIMEOUT=100) as it:
        client = it.listener.connect()
        await client.send_all(sent)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        it.server.shutdown()
        await it.ended.wait()
        assert trio.current_time() - began <= latest + CANCEL_GRACE
        assert it.server.connections == 0


async def test_shutdown_does_not_wait_for_a_client_that_stopped_reading(autojump_clock: MockClock) -> None:
    async with running(hello, SEND_TIMEOUT=1000) as it:
        client = it.listener.connect()
        await wait_all_tasks_blocked()
        await unread(client, it)
        await client.send_all(GET)
        await wait_all_tasks_blocked()
        it.server.shutdown()
        await it.ended.wait()
        assert trio.current_time() == GRACE + CANCEL_GRACE


async def test_shutdown_of_one_stream(autojump_clock: MockClock) -> None:
    client, stream = memory_stream_pair()
    server = Server(shielding(1000), Config(), Journal())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, stream)
        await client.send_all(GET)
        await wait_all_tasks_blocked()
        server.shutdown()
    assert trio.current_time() == GRACE + CANCEL_GRACE


async def test_cancelling_while_the_listeners_close(autojump_clock: MockClock) -> None:
    class Slow(MemoryListener):  # type: ignore[misc]
        async def aclose(self) -> None:
            await trio.sleep(1)
            await super().aclose()

    listener = Slow()
    server = Server(shielding(1000), Config(), Journal())
    client = listener.connect()
    with trio.move_on_after(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, [listener])
            await client.send_all(GET)
            await wait_all_tasks_blocked()
            with trio.CancelScope(shield=True):
                server.shutdown()
                await trio.sleep(1.9)
    assert trio.current_time() <= 2 + CANCEL_GRACE


async def test_one_stream_leaves_the_context_of_its_caller_alone() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    client, stream = memory_stream_pair()
    server = Server(hello, Config(), Journal())

    async def serve() -> None:
        token = variable.set("mine")
        await server.serve_stream(stream)
        variable.reset(token)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await ask(client)
        await client.send_eof()


@pytest.mark.parametrize("serve_one", [False, True])
async def test_cancelling_the_server_reaches_every_finalizer(autojump_clock: MockClock, serve_one: bool) -> None:
    finalized: list[float] = []

    async def careful(exchange: Exchange) -> None:
        async def handler() -> None:
            try:
                with exchange.lifetime.shielded(3):
                    await trio.sleep_forever()
            finally:
                finalized.append(trio.current_time())

        await exchange.lifetime.run(handler)

    listener = MemoryListener()
    client, stream = memory_stream_pair()
    server = Server(careful, Config(), Journal())
    serve: Callable[[], Any] = (
        (lambda: server.serve_stream(stream)) if serve_one else (lambda: server.serve([listener]))
    )
    if not serve_one:
        listener.offer(stream)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await client.send_all(GET)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert len(finalized) == 1
    assert finalized[0] <= CANCEL_GRACE

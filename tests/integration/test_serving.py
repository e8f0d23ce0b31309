"""Starting and stopping: inside another Trio program, and as a program of its own."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import HARD_LIMIT, Certificates, connect, listening_socket, serving
from integration.raw_client import request_for

from trioframe import App, Request, Response, text
from trioframe.server.listeners import ListenError


def make_app(name: str = "served", **config: Any) -> App:
    app = App(name, {"PORT": 0, **config}, env_prefix=None)
    app.ctx.begun = trio.Event()
    app.ctx.finish = trio.Event()

    @app.get("/")
    async def index(request: Request) -> Response:
        return text(name)

    @app.get("/slow")
    async def slow(request: Request) -> Response:
        app.ctx.begun.set()
        await app.ctx.finish.wait()
        return text("finished")

    return app


# --- inside another program -------------------------------------------------------------------------------------------


def test_serve_ends_a_whole_program_when_it_is_shut_down():
    """As ``trio.run(app.serve)`` does; OS signals are nobody's business but the program's."""
    app = make_app()
    handlers: list[Any] = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]

    @app.get("/stop")
    async def stop(request: Request) -> Response:
        assert signal.getsignal(signal.SIGTERM) == handlers[0]
        app.shutdown()
        return text("stopping")

    async def main() -> None:
        with trio.fail_after(HARD_LIMIT):
            await app.serve(fd=listening.detach())

    listening = listening_socket()
    with socket.create_connection(listening.getsockname(), HARD_LIMIT) as client:
        client.sendall(request_for("/stop"))  # waits in the backlog
        client.shutdown(socket.SHUT_WR)
        trio.run(main)
        answer = client.recv(65536)
    assert answer.endswith(b"stopping")
    assert b"connection: close" in answer.lower()
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers


async def test_started_gets_the_bound_listeners(nursery: trio.Nursery):
    app = make_app()
    with trio.fail_after(HARD_LIMIT):
        listeners = await nursery.start(app.serve)
        (listener,) = listeners
        port = listener.socket.getsockname()[1]
        assert port != 0
        async with await connect("127.0.0.1", port) as client:
            assert (await client.get()).body == b"served"
        app.shutdown()


async def test_serve_raises_only_the_cancellation_it_was_sent():
    app = make_app()
    with trio.move_on_after(0.05) as scope:
        await app.serve()
        raise AssertionError("it was not asked to stop")
    assert scope.cancelled_caught


async def test_two_apps_in_one_nursery():
    one, other = make_app("one"), make_app("other")
    async with serving(one) as first, serving(other) as second:
        async with await first.connect() as client:
            assert (await client.get()).body == b"one"
        async with await second.connect() as client:
            assert (await client.get()).body == b"other"
        one.shutdown()
        await first.ended.wait()
        async with await second.connect() as client:
            assert (await client.get()).body == b"other"


async def test_one_app_on_two_addresses(tmp_path: Path):
    app = make_app()
    async with serving(app) as tcp, serving(app, unix=str(tmp_path / "socket")) as unix:
        async with await tcp.connect() as client:
            assert (await client.get()).body == b"served"
        app.shutdown()
        await tcp.ended.wait()
        await unix.ended.wait()


async def test_an_app_can_be_served_again():
    app = make_app()
    for _ in range(2):
        async with serving(app) as live:
            async with await live.connect() as client:
                assert (await client.get()).body == b"served"
            app.shutdown()
            await live.ended.wait()


async def test_shutdown_finishes_what_runs_and_refuses_what_is_new():
    app = make_app()
    async with serving(app) as live:
        async with await live.connect() as busy, await live.connect() as idle:
            assert (await idle.get()).body == b"served"
            await busy.send(request_for("/slow") + request_for("/"))
            await app.ctx.begun.wait()
            app.shutdown()
            assert await idle.is_closed()
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(OSError, match="refused"):
                await live.connect()
            assert live.is_running()
            app.ctx.finish.set()
            answer = await busy.answer()
            assert (answer.body, answer.headers["connection"]) == (b"finished", "close")
            assert await busy.is_closed()  # the request behind it is not begun
        await live.ended.wait()


async def test_shutdown_cancels_what_takes_too_long(access_records):
    app = make_app(GRACEFUL_SHUTDOWN_TIMEOUT=0.05, ACCESS_LOG=True)
    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/slow"))
        await app.ctx.begun.wait()
        app.shutdown()
        assert (await client.answer()).status == 503
        client.leave()
        await live.ended.wait()
    assert (await access_records.next()).status == 503


async def test_shutdown_before_anybody_came():
    app = make_app()
    async with serving(app) as live:
        app.shutdown()
        app.shutdown()
        await live.ended.wait()


async def test_shutdown_does_not_wait_for_clients_that_say_nothing():
    app = make_app()
    async with serving(app) as live, await live.connect():
        await trio.testing.wait_all_tasks_blocked(0.01)
        began = trio.current_time()
        app.shutdown()
        await live.ended.wait()
        assert trio.current_time() - began < 1


@pytest.mark.any_transport
async def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match="another program listens there") as caught:
            await make_app().serve("127.0.0.1", port)
    assert str(port) in str(caught.value)


@pytest.mark.any_transport
async def test_a_unix_socket_goes_with_its_server(tmp_path: Path):
    path = tmp_path / "socket"
    async with serving(make_app(), unix=str(path)):
        assert path.is_socket()
        with pytest.raises(ListenError, match="another program listens there"):
            await make_app().serve(unix=str(path))
        assert path.is_socket()
    assert os.listdir(tmp_path) == []


@pytest.mark.any_transport  # who accepts, brings it
@pytest.mark.parametrize("encrypted", [False, True], ids=["TCP", "TLS"])
async def test_somebody_else_may_accept(encrypted, certificates: Certificates, nursery: trio.Nursery):
    """`serve_stream` is all that Trio's own servers want of a handler."""
    app = make_app()
    tls = certificates if encrypted else None
    serve: Any = partial(trio.serve_tcp, app.serve_stream)
    if tls is not None:
        serve = partial(trio.serve_ssl_over_tcp, app.serve_stream, ssl_context=tls.server)
    with trio.fail_after(HARD_LIMIT):
        (listener, *_) = await nursery.start(partial(serve, 0, host="127.0.0.1"))
        port = getattr(listener, "transport_listener", listener).socket.getsockname()[1]
        client_tls = None if tls is None else tls.client
        async with (
            await connect("127.0.0.1", port, tls=client_tls) as one,
            await connect("127.0.0.1", port, tls=client_tls) as other,
        ):
            for client in (one, other, one):
                assert (await client.get()).body == b"served"
            app.shutdown()  # of every stream it serves
            assert await one.is_closed()
            assert await other.is_closed()
    nursery.cancel_scope.cancel()


# --- several listeners ------------------------------------------------------------------------------------------------


async def test_the_limit_of_connections_is_that_of_all_listeners_together():
    """All have clients that wait, and each hears of them in the same moment."""
    app = make_app(MAX_CONNECTIONS=10)
    sockets = [listening_socket() for _ in range(3)]
    addresses = [sock.getsockname() for sock in sockets]
    waiting = []
    for address in addresses:
        for _ in range(20):
            waiting.append(trio.socket.socket())
            await waiting[-1].connect(address)
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]
    async with serving(app, listeners=listeners):
        await trio.testing.wait_all_tasks_blocked(0.01)
        (server,) = app._servers
        # Where connections are accepted one by one, each listener may have one more in hand.
        assert 10 <= server.connections <= 10 + len(listeners) - 1
        for sock in waiting:
            sock.close()

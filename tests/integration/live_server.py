"""An app on real sockets, in the test's own Trio run: served as long as the block lasts, and never for long."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
import trustme
from integration.raw_client import RawClient

from trioframe import App

HARD_LIMIT = 15.0  # seconds a test may take at the very most, on a machine with other things to do


class Certificates:
    """An authority, a server's certificate for this machine, and a client that trusts it."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.set_alpn_protocols(["http/1.1"])
        self.authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(self.server)
        self.client = ssl.create_default_context()
        self.authority.configure_trust(self.client)


@dataclass
class Live:
    """A server that runs.

    Attributes:
      scope: around `app.serve`.
      task: the task of `app.serve`; all that the server does, it does in this one and below.
    """

    app: App
    listeners: list[Any]
    tls: Certificates | None
    task: trio.lowlevel.Task
    scope: trio.CancelScope
    ended: trio.Event
    port: int

    def url(self, path: str = "/", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def connect(self, *, plain: bool = False, receive_buffer: int | None = None) -> RawClient:
        """A client that speaks TLS if the server does, or else `plain` bytes."""
        tls = None if self.tls is None or plain else self.tls.client
        return await connect("127.0.0.1", self.port, tls=tls, receive_buffer=receive_buffer)

    def is_running(self) -> bool:
        return not self.ended.is_set()


async def connect(
    host: str, port: int, *, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None
) -> RawClient:
    """A client that speaks bytes.

    Parameters:
      receive_buffer: bytes for the kernel to keep; has to be said before it connects, as TCP announces it then.
    """
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(trio.socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await sock.connect((host, port))
        transport = trio.SocketStream(sock)
        client = RawClient(transport, sock)
        if tls is not None:
            client.stream = trio.SSLStream(transport, tls, server_hostname=host)
            await client.stream.do_handshake()
        undo.pop_all()
    return client


@asynccontextmanager
async def serving(
    app: App,
    host: str | None = "127.0.0.1",
    port: int | None = 0,
    *,
    tls: Certificates | None = None,
    limit: float = HARD_LIMIT,
    **options: Any,
) -> AsyncIterator[Live]:
    """Serve `app` with `options` of `App.serve`, on a free port of loopback if they say nothing else."""
    if options.keys() & {"unix", "fd", "listeners"}:
        host = port = None
    scope, ended = trio.CancelScope(), trio.Event()

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        with scope:
            await app.serve(host, port, ssl=tls.server if tls else None, task_status=task_status, **options)
        ended.set()

    with trio.fail_after(limit):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(serve)
            (task,) = nursery.child_tasks
            address = listeners[0].socket.getsockname()
            yield Live(app, listeners, tls, task, scope, ended, port=address[1] if isinstance(address, tuple) else 0)
            nursery.cancel_scope.cancel(reason="the test is over")


def listening_socket(*, receive_buffer: int | None = None, send_buffer: int | None = None) -> socket.socket:
    """A free port of loopback.

    Parameters:
      receive_buffer, send_buffer: bytes for the kernel to keep; the sockets it accepts have the same.
    """
    sock = socket.socket()
    for option, size in ((socket.SO_RCVBUF, receive_buffer), (socket.SO_SNDBUF, send_buffer)):
        if size is not None:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock

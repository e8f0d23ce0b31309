"""Connections are accepted several at a time where that is possible, and one by one elsewhere."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
import trio
from memory_listener import MemoryListener

from trioframe.server.accepting import BATCH, accepting
from trioframe.server.listeners import open_listeners
from trioframe.server.reactor import Reactor

pytestmark = pytest.mark.skipif(not Reactor.available, reason="only the reactor takes plain sockets")


async def clients(address: tuple[str, int], number: int) -> list[socket.socket]:
    connected = []
    for _ in range(number):
        sock = trio.socket.socket()
        await sock.connect(address)
        connected.append(socket.socket(fileno=sock.detach()))
    return connected


def close(*socks: object) -> None:
    for sock in socks:
        assert isinstance(sock, socket.socket)
        sock.close()


async def test_all_that_wait_are_accepted_at_once() -> None:
    (listener,) = await open_listeners(host="127.0.0.1")
    waiting = await clients(listener.socket.getsockname(), 5)  # type: ignore[attr-defined]
    async with accepting(listener, in_batches=True) as accept:
        accepted = await accept(lambda: 100)
        for (sock, conn), client in zip(accepted, waiting, strict=True):
            assert isinstance(sock, socket.socket)
            assert not sock.getblocking()
            assert conn.peername == client.getsockname()
            assert conn.sockname == client.getpeername()
            assert not conn.unix
    close(*waiting, *(sock for sock, _ in accepted))


async def test_but_no_more_than_are_wanted() -> None:
    (listener,) = await open_listeners(host="127.0.0.1")
    waiting = await clients(listener.socket.getsockname(), BATCH + 5)  # type: ignore[attr-defined]
    async with accepting(listener, in_batches=True) as accept:
        batches = [await accept(lambda: 2), await accept(lambda: 1000), await accept(lambda: 1000)]
    assert [len(batch) for batch in batches] == [2, BATCH, 3]
    close(*waiting, *(sock for batch in batches for sock, _ in batch))


async def test_their_small_answers_leave_at_once() -> None:
    (listener,) = await open_listeners(host="127.0.0.1")
    (client,) = await clients(listener.socket.getsockname(), 1)  # type: ignore[attr-defined]
    async with accepting(listener, in_batches=True) as accept:
        ((sock, _),) = await accept(lambda: 1)
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    close(client, sock)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    (listener,) = await open_listeners(unix=path)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    async with accepting(listener, in_batches=True) as accept:
        ((sock, conn),) = await accept(lambda: 1)
    assert conn.unix
    close(client, sock)


async def test_what_was_accepted_is_handed_over_before_an_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when file descriptors run out in the middle of a batch."""
    (listener,) = await open_listeners(host="127.0.0.1")
    waiting = await clients(listener.socket.getsockname(), 3)  # type: ignore[attr-defined]
    left = [True, True, False, False]
    really = socket.socket.accept

    def scarce(self: socket.socket) -> tuple[socket.socket, object]:
        if not left.pop(0):
            raise OSError(errno.EMFILE, "Too many open files")
        return really(self)

    monkeypatch.setattr(socket.socket, "accept", scarce)
    async with accepting(listener, in_batches=True) as accept:
        accepted = await accept(lambda: 100)
        assert len(accepted) == 2
        with pytest.raises(OSError, match="Too many"):
            await accept(lambda: 100)
    close(*waiting, *(sock for sock, _ in accepted))


async def test_the_listener_is_closed_in_the_end_and_only_then() -> None:
    (listener,) = await open_listeners(host="127.0.0.1")
    sock = listener.socket  # type: ignore[attr-defined]
    with trio.CancelScope() as scope:
        async with accepting(listener, in_batches=True) as accept:
            scope.cancel()
            await accept(lambda: 1)
    assert scope.cancelled_caught
    assert sock.fileno() == -1


@pytest.mark.parametrize("in_batches", [True, False])
async def test_other_listeners_accept_in_their_own_way(in_batches: bool) -> None:
    listener = MemoryListener()
    client = listener.connect()
    async with accepting(listener, in_batches=in_batches) as accept:
        ((stream, conn),) = await accept(lambda: 100)
    assert isinstance(stream, trio.abc.Stream)
    assert conn.peername is None
    await stream.aclose()
    await client.aclose()


async def test_a_socket_one_by_one() -> None:
    (listener,) = await open_listeners(host="127.0.0.1")
    waiting = await clients(listener.socket.getsockname(), 2)  # type: ignore[attr-defined]
    async with accepting(listener, in_batches=False) as accept:
        ((stream, conn),) = await accept(lambda: 100)
    assert isinstance(stream, trio.SocketStream)
    assert conn.peername == waiting[0].getsockname()
    await stream.aclose()
    close(*waiting)

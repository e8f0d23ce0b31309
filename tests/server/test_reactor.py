"""One epoll registration for each socket: Trio's own checks, and the corners of edges, closing and going."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import (
    assert_checkpoints,
    assert_no_checkpoints,
    check_half_closeable_stream,
    wait_all_tasks_blocked,
)

from trioframe.server.reactor import Reactor, ReactorStream


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.changed = trio.Event()

    def peer_half_closed(self) -> None:
        self.heard.append("half closed")
        self.changed.set()

    def peer_reset(self) -> None:
        self.heard.append("reset")
        self.changed.set()


@pytest.fixture
async def reactor(nursery: trio.Nursery) -> AsyncIterator[Reactor]:
    reactor = Reactor()
    nursery.start_soon(reactor.run)
    yield reactor
    reactor.stop()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    client.setblocking(False)
    server.setblocking(False)
    return client, server


@pytest.fixture
def pair(reactor: Reactor) -> tuple[trio.SocketStream, ReactorStream]:
    client, server = tcp_pair()
    return trio.SocketStream(trio.socket.from_stdlib_socket(client)), reactor.adopt(server)


async def fill(stream: ReactorStream) -> None:
    """Send until the kernels take no more."""
    for size in (65536, 1):
        stream._writable = True
        while stream.send_nowait(b"x" * size):
            stream._writable = True
    await wait_all_tasks_blocked(0.01)


async def test_it_is_what_trio_says_a_stream_is(reactor: Reactor) -> None:
    # Unix sockets, as what a TCP connection takes depends on when its kernels acknowledge.
    async def make() -> tuple[ReactorStream, ReactorStream]:
        one, other = socket.socketpair()
        one.setblocking(False)
        other.setblocking(False)
        return reactor.adopt(one), reactor.adopt(other)

    async def make_clogged() -> tuple[ReactorStream, ReactorStream]:
        pair = await make()
        for stream in pair:
            await fill(stream)
        return pair

    await check_half_closeable_stream(make, make_clogged)


async def test_nowait_is_no_checkpoint(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    with assert_no_checkpoints():
        assert server.receive_nowait() is None
        assert server.send_nowait(b"hello") == 5
    assert await client.receive_some() == b"hello"
    await client.send_all(b"abc")
    with assert_checkpoints():
        assert await server.receive_some() == b"abc"
    await client.aclose()
    await server.aclose()


async def test_a_short_read_saves_the_vain_one(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    reads: list[int] = []
    recv = server._recv

    def counted(size: int) -> bytes:
        reads.append(size)
        return recv(size)

    server._recv = counted  # type: ignore[assignment]
    for _ in range(3):
        await client.send_all(b"abc")
        assert await server.receive_some() == b"abc"
        assert server.receive_nowait() is None
    assert len(reads) <= 7
    await client.aclose()
    await server.aclose()


async def test_a_half_close_is_told_also_in_front_of_unread_bytes(
    pair: tuple[trio.SocketStream, ReactorStream],
) -> None:
    client, server = pair
    listener = Listener()
    server.watch(listener)
    await client.send_all(b"unread" * 100)
    await client.send_eof()
    await listener.changed.wait()
    assert listener.heard == ["half closed"]
    later = Listener()
    server.watch(later)
    assert later.heard == ["half closed"]
    assert await server.receive_some(600) == b"unread" * 100
    assert await server.receive_some() == b""
    await server.send_all(b"still answered")
    assert await client.receive_some() == b"still answered"
    await client.aclose()
    await server.aclose()


async def test_a_reset_is_told(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    listener = Listener()
    server.watch(listener)
    await wait_all_tasks_blocked()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.aclose()
    await listener.changed.wait()
    assert "reset" in listener.heard
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await server.send_all(b"x")
    with trio.fail_after(1):
        await server.linger()
    await server.aclose()


async def test_nobody_need_listen(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    server.watch(Listener())
    server.watch(None)
    await client.aclose()
    assert await server.receive_some() == b""
    await server.aclose()


async def test_partial_writes_go_on_where_they_stopped(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    data = bytes(range(256)) * 40_000
    received = bytearray()

    async def read() -> None:
        while len(received) < len(data):
            received.extend(await client.receive_some(70_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await server.send_all(data)
    assert received == data
    await client.aclose()
    await server.aclose()


async def test_nothing_is_sent_between_the_parts_of_another(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"x" * 10_000_000)
        await wait_all_tasks_blocked()
        assert server.send_nowait(b"y") == 0
        with pytest.raises(trio.BusyResourceError):
            await server.send_all(b"y")
        nursery.cancel_scope.cancel()
    await client.aclose()
    await server.aclose()


async def test_a_stream_closed_in_any_order_and_its_number_used_again(reactor: Reactor) -> None:
    first_client, first = tcp_pair()
    number = first.fileno()
    stream = reactor.adopt(first)
    first_client.close()  # its event waits in the epoll
    await stream.aclose()
    await stream.aclose()
    client, server = tcp_pair()
    again = reactor.adopt(server)
    listener = Listener()
    again.watch(listener)
    await wait_all_tasks_blocked(0.01)
    assert listener.heard == []
    assert number in {client.fileno(), server.fileno()}
    client.close()
    await again.aclose()


async def test_a_close_wakes_who_waits(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    await fill(server)

    async def closed(operation: object) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await operation  # type: ignore[misc]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(closed, server.receive_some())
        nursery.start_soon(closed, server.send_all(b"x" * 10_000_000))
        await wait_all_tasks_blocked()
        await server.aclose()
    for operation in (server.receive_some(), server.send_all(b"x"), server.send_eof()):
        await closed(operation)
    await closed(server.wait_send_all_might_not_block())
    await client.aclose()


async def test_lingering_reads_on(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.linger)
        assert await client.receive_some() == b""
        await client.send_all(b"still sending" * 1000)
        await client.send_eof()
    await server.aclose()
    await client.aclose()


async def test_a_close_that_resets(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    server.abort()
    await server.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()


async def test_a_socket_that_cannot_be_registered_is_closed(reactor: Reactor) -> None:
    client, server = tcp_pair()
    stream = reactor.adopt(server)
    with pytest.raises(OSError, match="exists"):
        reactor.adopt(server)
    assert server.fileno() == -1
    client.close()
    reactor._streams.clear()
    del stream


async def test_what_waits_for_more_leaves_when_it_is_pushed(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    assert server.send_nowait(b"one", more=True) == 3
    with pytest.raises(BlockingIOError):
        client.socket._sock.recv(10)  # type: ignore[attr-defined]
    server.push()
    server.push()
    assert await client.receive_some() == b"one"
    assert server.send_nowait(b"two", more=True) == 3
    assert server.send_nowait(b"three") == 5
    assert await client.receive_some() == b"twothree"
    await server.aclose()
    server.push()
    await client.aclose()


async def test_on_a_unix_socket_nothing_waits(reactor: Reactor) -> None:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    stream, peer = reactor.adopt(one), reactor.adopt(other)
    assert stream.send_nowait(b"x", more=True) == 1
    stream.push()
    assert await peer.receive_some() == b"x"
    await stream.aclose()
    await peer.aclose()


async def test_a_listener_that_fails_ends_its_own_connection_only(
    pair: tuple[trio.SocketStream, ReactorStream], reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Listener):
        def peer_half_closed(self) -> None:
            raise ValueError("a bug of ours")

    client, server = pair
    server.watch(Failing())
    await client.send_eof()
    await wait_all_tasks_blocked(0.01)
    assert "a bug of ours" in caplog.text
    with pytest.raises(trio.ClosedResourceError):
        await server.receive_some()
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    stream, peer = reactor.adopt(one), reactor.adopt(other)
    await stream.send_all(b"still there")
    assert await peer.receive_some() == b"still there"
    for each in (stream, peer, client):
        await each.aclose()


async def test_who_sends_beside_the_end_of_the_stream_is_told_that_it_has_ended(reactor: Reactor) -> None:
    """Both are one step of the scheduler, whose order is random; the sender must not be told to wait for its turn."""

    async def end(stream: ReactorStream, begun: trio.Event) -> None:
        begun.set()
        with contextlib.suppress(trio.BusyResourceError):  # the other was first
            await stream.send_eof()

    for _ in range(20):
        client, server = tcp_pair()
        stream, begun = reactor.adopt(server), trio.Event()
        async with trio.open_nursery() as both:
            both.start_soon(end, stream, begun)
            await begun.wait()
            with contextlib.suppress(trio.ClosedResourceError):
                await stream.send_all(b"x")
        stream.close_nowait()
        client.close()


# --- for whoever reads while nobody waits -----------------------------------------------------------------------------


class Taker:
    """Takes all that is there, whenever it is called."""

    def __init__(self, stream: ReactorStream, size: int = 65536) -> None:
        self.taken: list[bytes] = []
        self.changed = trio.Event()
        self._stream = stream
        self._size = size

    def __call__(self) -> None:
        while (data := self._stream.receive_nowait(self._size)) is not None:
            self.taken.append(data)
            self.changed.set()
            if not data:
                return

    async def wait(self) -> bytes:
        """All until the next call, and the end of it."""
        await self.changed.wait()
        self.changed = trio.Event()
        await wait_all_tasks_blocked(0.01)
        taken, self.taken = b"".join(self.taken), []
        return taken


async def test_bytes_that_come_are_told_of(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    taker = Taker(server)
    server.when_readable(taker)
    for message in (b"one", b"two", b"x" * 200_000):
        await client.send_all(message)
        received = await taker.wait()
        while len(received) < len(message):
            received += await taker.wait()
        assert received == message
    await client.aclose()
    await server.aclose()


async def test_what_came_before_is_told_of_at_once(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    await client.send_all(b"early")
    await wait_all_tasks_blocked(0.01)
    taker = Taker(server)
    with assert_no_checkpoints():
        server.when_readable(taker)
    assert taker.taken == [b"early"]
    await client.aclose()
    await server.aclose()


async def test_who_takes_a_part_is_not_told_again(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    """There is no edge; `receive_nowait` has to be called until it is None."""
    client, server = pair
    calls: list[bytes | None] = []
    server.when_readable(lambda: calls.append(server.receive_nowait(2)))
    await wait_all_tasks_blocked(0.01)
    calls.clear()
    await client.send_all(b"abcd")
    await wait_all_tasks_blocked(0.01)
    assert calls == [b"ab"]
    assert server.receive_nowait(2) == b"cd"
    assert server.receive_nowait(2) is None
    await client.aclose()
    await server.aclose()


async def test_a_task_that_waits_goes_first(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    taker = Taker(server)
    server.when_readable(taker)
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await server.receive_some() == b"awaited"

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await client.send_all(b"awaited")
    assert taker.taken == []
    await client.send_all(b"told of")
    assert await taker.wait() == b"told of"
    await client.aclose()
    await server.aclose()


async def test_nobody_is_called_while_a_task_waits_when_it_is_named(
    pair: tuple[trio.SocketStream, ReactorStream],
) -> None:
    client, server = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.receive_some)
        await wait_all_tasks_blocked()
        taker = Taker(server)
        server._readable = True  # an edge that is not used up yet
        server.when_readable(taker)
        await client.send_all(b"x")
    assert taker.taken == []
    await client.aclose()
    await server.aclose()


@pytest.mark.parametrize("reset", [False, True])
async def test_the_end_is_told_of_too(pair: tuple[trio.SocketStream, ReactorStream], reset: bool) -> None:
    client, server = pair
    told: list[str] = []
    listener = Listener()

    def take() -> None:
        try:
            while (data := server.receive_nowait(65536)) is not None:
                told.append(repr(data))
                if not data:
                    return
        except trio.BrokenResourceError:
            told.append("broken")

    server.watch(listener)
    server.when_readable(take)
    await wait_all_tasks_blocked(0.01)
    if reset:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        await client.send_all(b"last")
    await client.aclose()
    await listener.changed.wait()
    assert told[0] == ("broken" if reset else "b'last'")
    assert told[-1] == ("broken" if reset else "b''")
    await server.aclose()


async def test_who_closes_in_the_call_is_not_called_again(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    calls: list[str] = []

    def close() -> None:
        calls.append("called")
        server.close_nowait()

    await wait_all_tasks_blocked(0.01)
    server._readable = False
    server.when_readable(close)
    await client.send_all(b"x")
    await client.aclose()
    await wait_all_tasks_blocked(0.01)
    assert calls == ["called"]


async def test_nobody_is_told_any_more(pair: tuple[trio.SocketStream, ReactorStream]) -> None:
    client, server = pair
    taker = Taker(server)
    server.when_readable(taker)
    server.when_readable(None)
    await client.send_all(b"kept")
    await wait_all_tasks_blocked(0.01)
    assert taker.taken == []
    assert await server.receive_some() == b"kept"
    await client.aclose()
    await server.aclose()

"""Lingering: the peer reads our last answer, however much of its own is still on the way."""

from __future__ import annotations

import pytest
import trio
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    check_half_closeable_stream,
    check_two_way_stream,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trioframe.server.linger import LingeringStream, linger

Pair = tuple[
    trio.StapledStream[MemorySendStream, MemoryReceiveStream], trio.StapledStream[MemorySendStream, MemoryReceiveStream]
]


@pytest.fixture
def pair() -> Pair:
    """Our side, and the peer's."""
    return memory_stream_pair()


async def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Real TCP: the kernel's reset is what lingering is about."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.testing.open_stream_to_socket_listener(listener)
        return await listener.accept(), client


async def test_the_peer_sees_our_end_at_once_and_we_wait_for_its(pair, autojump_clock, nursery):
    ours, peer = pair

    async def answer_late() -> None:
        assert await peer.receive_some() == b""
        await trio.sleep(3)
        await peer.send_all(b"still sending")
        await peer.send_eof()

    nursery.start_soon(answer_late)
    await linger(ours, timeout=5, max_bytes=1000)
    assert trio.current_time() == 3


async def test_a_peer_that_never_ends_is_given_the_timeout_and_no_more(pair, autojump_clock, nursery):
    ours, peer = pair

    async def trickle() -> None:
        while True:
            await peer.send_all(b".")
            await trio.sleep(1)

    nursery.start_soon(trickle)
    await linger(ours, timeout=5, max_bytes=1000)
    assert trio.current_time() == 5
    nursery.cancel_scope.cancel()


async def test_a_peer_that_pours_is_read_up_to_the_limit(pair, autojump_clock):
    ours, peer = pair
    await peer.send_all(b"x" * 300_000)
    await linger(ours, timeout=5, max_bytes=100_000)
    assert trio.current_time() == 0
    assert len(await ours.receive_some()) == 300_000 - 2 * 65_536


async def test_no_bytes_at_all_may_be_read(pair, autojump_clock):
    ours, peer = pair
    await peer.send_all(b"x")
    await linger(ours, timeout=5, max_bytes=0)
    assert await peer.receive_some() == b""
    assert await ours.receive_some() == b"x"


async def test_a_peer_that_has_reset_is_no_error(autojump_clock):
    ours, peer = lockstep_stream_pair()
    await trio.aclose_forcefully(peer)
    await linger(ours, timeout=5, max_bytes=1000)
    assert trio.current_time() == 0


async def test_a_closed_stream_is_no_error(pair):
    ours, _ = pair
    await ours.aclose()
    await linger(ours, timeout=5, max_bytes=1000)


class WithoutHalfClose(trio.abc.Stream):
    """A stream without half-close that takes its time to close."""

    closed_at: float | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise NotImplementedError

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        try:
            await trio.sleep(2)
        finally:
            self.closed_at = trio.current_time()


@pytest.mark.parametrize(("timeout", "closed_at"), [(5, 2), (1, 1)])
async def test_a_stream_without_half_close_closes_in_its_own_way(autojump_clock, timeout, closed_at):
    stream = WithoutHalfClose()
    await linger(stream, timeout=timeout, max_bytes=1000)
    assert stream.closed_at == closed_at


async def test_an_answer_survives_a_peer_that_still_sends():
    ours, peer = await socket_pair()
    async with peer:
        async with trio.open_nursery() as nursery:

            async def answer_and_close() -> None:
                await ours.send_all(b"413 enough")
                await LingeringStream(ours, timeout=5, max_bytes=10_000_000).aclose()

            nursery.start_soon(answer_and_close)
            await peer.send_all(b"x" * 1_000_000)
            await peer.send_eof()
        assert await peer.receive_some() == b"413 enough"
        assert await peer.receive_some() == b""


# --- LingeringStream --------------------------------------------------------------------------------------------------


def lingering(stream: trio.abc.HalfCloseableStream) -> LingeringStream:
    return LingeringStream(stream, timeout=5, max_bytes=1000)


async def test_it_is_a_half_closeable_stream(autojump_clock):
    async def make() -> tuple[LingeringStream, LingeringStream]:
        one, other = memory_stream_pair()
        return lingering(one), lingering(other)

    async def make_clogged() -> tuple[LingeringStream, LingeringStream]:
        one, other = lockstep_stream_pair()
        return lingering(one), lingering(other)

    await check_half_closeable_stream(make, None)
    # Trio's stapled streams, clogged, do not raise BusyResourceError from send_eof.
    await check_two_way_stream(make, make_clogged)


async def test_closing_lingers_then_closes_what_is_beneath(pair, autojump_clock):
    ours, peer = pair
    await lingering(ours).aclose()
    assert trio.current_time() == 5
    assert await peer.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await peer.send_all(b"too late")


async def test_closing_by_force_does_not_linger(pair, autojump_clock):
    ours, peer = pair
    await trio.aclose_forcefully(lingering(ours))
    assert trio.current_time() == 0
    with pytest.raises(trio.BrokenResourceError):
        await peer.send_all(b"too late")


async def test_a_cancelled_close_closes_at_once(pair, autojump_clock):
    ours, peer = pair
    with trio.move_on_after(1) as scope:
        await lingering(ours).aclose()
    assert scope.cancelled_caught
    assert trio.current_time() == 1
    with pytest.raises(trio.BrokenResourceError):
        await peer.send_all(b"too late")


async def test_a_second_close_by_force_ends_the_lingering_of_the_first(pair, autojump_clock, nursery):
    ours, _ = pair
    stream = lingering(ours)
    nursery.start_soon(stream.aclose)
    await wait_all_tasks_blocked()
    await trio.aclose_forcefully(stream)
    nursery.cancel_scope.deadline = trio.current_time() + 1
    await wait_all_tasks_blocked()
    assert trio.current_time() == 0
    assert not nursery.child_tasks

"""A stream with a watch on its peer: the end is seen while nobody reads, and nothing read ahead is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, assert_checkpoints, memory_stream_pair

from trioframe.server.watched_stream import WatchedStream

READ_AHEAD = 1000

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def peer_half_closed(self) -> None:
        self.heard.append("half closed")

    def peer_reset(self) -> None:
        self.heard.append("reset")


class Pair:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.client, server = memory_stream_pair()
        self.stream = WatchedStream(server, nursery.start_soon, READ_AHEAD)
        self.listener = Listener()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with trio.open_nursery() as nursery:
        yield Pair(nursery)
        nursery.cancel_scope.cancel()


async def test_nothing_runs_before_the_first_watch(nursery: trio.Nursery) -> None:
    spawned: list[object] = []
    client, server = memory_stream_pair()
    stream = WatchedStream(server, spawned.append)
    await client.send_all(b"direct")
    assert await stream.receive_some() == b"direct"
    assert spawned == []
    stream.watch(None)
    assert spawned == []
    stream.watch(Listener())
    stream.watch(Listener())
    assert len(spawned) == 1


async def test_what_was_read_ahead_is_received_in_order(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"abcdef")
    await trio.testing.wait_all_tasks_blocked()
    with assert_checkpoints():
        assert await pair.stream.receive_some(4) == b"abcd"
    await pair.client.send_all(b"gh")
    await trio.testing.wait_all_tasks_blocked()
    assert await pair.stream.receive_some() == b"efgh"


async def test_receiving_waits_for_the_reader(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.send_all, b"late")
        assert await pair.stream.receive_some() == b"late"


async def test_a_cancelled_receive_loses_nothing(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"x")
    await trio.testing.wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await pair.stream.receive_some()
    assert await pair.stream.receive_some() == b"x"


async def test_the_end_is_told_behind_waiting_bytes_and_to_later_listeners(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"pipelined")
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    assert pair.listener.heard == ["half closed"]
    later = Listener()
    pair.stream.watch(later)
    assert later.heard == ["half closed"]
    assert await pair.stream.receive_some() == b"pipelined"
    assert await pair.stream.receive_some() == b""
    assert await pair.stream.receive_some() == b""


async def test_the_end_is_told_to_nobody_if_nobody_listens(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    pair.stream.watch(None)
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    assert pair.listener.heard == []


async def test_a_reset_is_told_and_raised(pair: Pair) -> None:
    async def broken(max_bytes: int | None = None) -> bytes:
        raise trio.BrokenResourceError("reset")

    pair.stream.stream.receive_some = broken  # type: ignore[method-assign]
    pair.stream.watch(pair.listener)
    await trio.testing.wait_all_tasks_blocked()
    assert pair.listener.heard == ["reset"]
    with pytest.raises(trio.BrokenResourceError):
        await pair.stream.receive_some()


async def test_a_send_that_breaks_tells_too(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await pair.stream.send_all(b"x")
    assert "reset" in pair.listener.heard
    pair.stream.watch(None)
    with pytest.raises(trio.BrokenResourceError):
        await pair.stream.send_all(b"x")


async def test_at_most_so_much_is_read_ahead(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"x" * (READ_AHEAD + 10))
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    assert pair.listener.heard == []
    assert len(await pair.stream.receive_some()) == READ_AHEAD
    await trio.testing.wait_all_tasks_blocked()
    assert pair.listener.heard == ["half closed"]
    assert await pair.stream.receive_some() == b"x" * 10


@pytest.mark.parametrize("watched", [False, True])
async def test_lingering_says_the_end_and_reads_on(pair: Pair, watched: bool) -> None:
    if watched:
        pair.stream.watch(pair.listener)
        await trio.testing.wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.stream.linger)
        assert await pair.client.receive_some() == b""
        await pair.client.send_all(b"still sending")
        await trio.testing.wait_all_tasks_blocked()
        await pair.client.send_eof()


async def test_who_waits_for_bytes_while_it_lingers_gets_the_end(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await pair.stream.receive_some() == b""
            await pair.client.aclose()

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(pair.stream.linger)


async def test_no_lingering_behind_the_end(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(1):
        await pair.stream.linger()


async def test_the_rest_is_the_stream_s_own(pair: Pair) -> None:
    await pair.stream.wait_send_all_might_not_block()
    await pair.stream.send_all(b"x")
    assert await pair.client.receive_some() == b"x"
    pair.stream.abort()
    await pair.stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await pair.stream.stream.receive_some()


# --- for whoever reads while nobody waits -----------------------------------------------------------------------------


class Taker:
    """Takes what is there, whenever it is called; an end only once."""

    def __init__(self, stream: WatchedStream) -> None:
        self.taken: list[bytes | str] = []
        self._stream = stream

    def __call__(self) -> None:
        try:
            while (data := self._stream.receive_nowait(4)) is not None:
                self.taken.append(data)
                if not data:
                    return
        except trio.BrokenResourceError:
            self.taken.append("broken")


async def test_bytes_that_come_are_told_of(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    taker = Taker(pair.stream)
    pair.stream.when_readable(taker)
    assert taker.taken == []
    await pair.client.send_all(b"abcdefgh")
    await trio.testing.wait_all_tasks_blocked()
    assert taker.taken == [b"abcd", b"efgh"]
    await pair.client.send_all(b"ij")
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    assert taker.taken[2:] == [b"ij", b""]


async def test_what_came_before_is_told_of_at_once(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"abc")
    await trio.testing.wait_all_tasks_blocked()
    taker = Taker(pair.stream)
    with trio.testing.assert_no_checkpoints():
        pair.stream.when_readable(taker)
    assert taker.taken == [b"abc"]
    assert pair.stream.receive_nowait(4) is None


async def test_also_if_it_was_the_end(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    taker = Taker(pair.stream)
    pair.stream.when_readable(taker)
    assert taker.taken == [b""]


async def test_a_reset_is_told_of_behind_what_came(pair: Pair) -> None:
    pieces = [b"abc"]

    async def receive_some(max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if not pieces:
            raise trio.BrokenResourceError("reset")
        return pieces.pop()

    pair.stream.stream.receive_some = receive_some  # type: ignore[method-assign]
    taker = Taker(pair.stream)
    pair.stream.when_readable(taker)
    pair.stream.watch(pair.listener)
    await trio.testing.wait_all_tasks_blocked()
    assert taker.taken == [b"abc", "broken"]


async def test_a_task_that_waits_goes_first(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    taker = Taker(pair.stream)
    pair.stream.when_readable(taker)
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await pair.stream.receive_some() == b"awaited"

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await pair.client.send_all(b"awaited")
    assert taker.taken == []
    await pair.client.send_all(b"told")
    await trio.testing.wait_all_tasks_blocked()
    assert taker.taken == [b"told"]


async def test_who_takes_makes_room(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    await pair.client.send_all(b"x" * (READ_AHEAD + 10))
    await trio.testing.wait_all_tasks_blocked()
    assert pair.stream.receive_nowait(10 * READ_AHEAD) == b"x" * READ_AHEAD
    await trio.testing.wait_all_tasks_blocked()
    assert pair.stream.receive_nowait(10 * READ_AHEAD) == b"x" * 10


async def test_nothing_is_received_without_waiting_before_the_first_watch(pair: Pair) -> None:
    await pair.client.send_all(b"direct")
    await trio.testing.wait_all_tasks_blocked()
    assert pair.stream.receive_nowait(4) is None
    assert await pair.stream.receive_some() == b"direct"


async def test_nobody_is_told_any_more(pair: Pair) -> None:
    pair.stream.watch(pair.listener)
    taker = Taker(pair.stream)
    pair.stream.when_readable(taker)
    pair.stream.when_readable(None)
    await pair.client.send_all(b"kept")
    await trio.testing.wait_all_tasks_blocked()
    assert taker.taken == []
    assert await pair.stream.receive_some() == b"kept"

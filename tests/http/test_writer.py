"""Writing in time, one at a time, and never behind a failure."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from wire import Recorded

from trioframe.errors import RequestCancelled
from trioframe.http.lifetime import Lifetime
from trioframe.http.writer import SEND_SIZE, Writer
from trioframe.server.watched_stream import WatchedStream


class Setup:
    def __init__(self, nursery: trio.Nursery, timeout: float) -> None:
        self.client, far_end = memory_stream_pair()
        self.recorded = Recorded(far_end)
        self.writer = Writer(WatchedStream(self.recorded, nursery.start_soon), timeout)

    def stop_reading(self) -> trio.Event:
        event = trio.Event()
        self.recorded.send_stream.send_all_hook = event.wait
        return event


@pytest.fixture
async def setup(nursery: trio.Nursery) -> Setup:
    return Setup(nursery, 60)


async def test_little_is_one_write_and_much_is_cut(setup: Setup) -> None:
    await setup.writer.write(b"x" * SEND_SIZE)
    await setup.writer.write(b"y" * (SEND_SIZE + 1))
    assert [len(data) for data in setup.recorded.writes] == [SEND_SIZE, SEND_SIZE, 1]
    assert not setup.writer.broken


async def test_a_stall_breaks(setup: Setup, autojump_clock: MockClock) -> None:
    setup.stop_reading()
    with pytest.raises(RequestCancelled) as caught:
        await setup.writer.write(b"x")
    assert caught.value.reason == "timeout"
    assert trio.current_time() == 60
    assert setup.writer.broken
    with pytest.raises(RequestCancelled) as caught:
        await setup.writer.write(b"x")
    assert caught.value.reason == "disconnect"


async def test_a_slow_reader_of_much_is_no_stall(setup: Setup, autojump_clock: MockClock) -> None:
    async def slow() -> None:
        await trio.sleep(50)

    setup.recorded.send_stream.send_all_hook = slow
    await setup.writer.write(b"x" * 4 * SEND_SIZE)
    assert trio.current_time() == 200


async def test_a_cancelled_write_breaks(setup: Setup, autojump_clock: MockClock) -> None:
    setup.stop_reading()
    with trio.move_on_after(1):
        await setup.writer.write(b"x")
    assert setup.writer.broken


async def test_one_at_a_time(setup: Setup, nursery: trio.Nursery) -> None:
    go_on = setup.stop_reading()
    nursery.start_soon(setup.writer.write, b"one")
    await wait_all_tasks_blocked()
    with pytest.raises(trio.BusyResourceError):
        await setup.writer.write(b"two")
    go_on.set()
    await wait_all_tasks_blocked()
    await setup.writer.write(b"three")
    assert setup.recorded.writes == [b"one", b"three"]


async def test_a_gone_peer_is_a_disconnect_of_its_request(setup: Setup, nursery: trio.Nursery) -> None:
    lifetime = Lifetime(nursery.start_soon)
    await setup.client.aclose()
    with pytest.raises(RequestCancelled) as caught:
        await setup.writer.write(b"x", lifetime)
    assert caught.value.reason == "disconnect"
    assert lifetime.lost
    with pytest.raises(RequestCancelled):
        await setup.writer.write(b"x")


async def test_nothing_is_written_for_a_request_whose_peer_is_lost(setup: Setup, nursery: trio.Nursery) -> None:
    lifetime = Lifetime(nursery.start_soon)
    lifetime.peer_reset()
    with pytest.raises(RequestCancelled):
        await setup.writer.write(b"x", lifetime)
    assert setup.recorded.writes == []


async def test_a_half_closed_peer_is_given_time_while_it_reads(
    setup: Setup, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lifetime = Lifetime(nursery.start_soon)

    async def slow() -> None:
        await trio.sleep(30)

    async def handler() -> str:
        lifetime.peer_half_closed()
        await setup.writer.write(b"x", lifetime)
        return "answered"

    setup.recorded.send_stream.send_all_hook = slow
    assert await lifetime.run(handler) == "answered"
    assert lifetime.deadline == math.inf


async def test_a_stall_in_the_middle_of_much(setup: Setup, autojump_clock: MockClock) -> None:
    async def third_never() -> None:
        if len(setup.recorded.writes) == 3:
            await trio.sleep_forever()

    setup.recorded.send_stream.send_all_hook = third_never
    with pytest.raises(RequestCancelled):
        await setup.writer.write(b"x" * 4 * SEND_SIZE)
    assert len(setup.recorded.writes) == 3


async def test_a_gone_peer_without_a_request(setup: Setup) -> None:
    await setup.client.aclose()
    with pytest.raises(RequestCancelled):
        await setup.writer.write(b"x")


# --- without waiting --------------------------------------------------------------------------------------------------


class Prompt(WatchedStream):
    """Has room for some bytes; a peer that has gone is found out by sending."""

    room = 4
    gone = False

    def send_nowait(self, data: bytes | memoryview, more: bool = False) -> int:
        if self.gone:
            raise trio.BrokenResourceError("gone")
        self.sent = bytes(data[: self.room]), more
        return len(self.sent[0])


@pytest.fixture
async def prompt(nursery: trio.Nursery) -> Prompt:
    _, far_end = memory_stream_pair()
    return Prompt(far_end, nursery.start_soon)


async def test_as_much_is_written_as_there_is_room_for(prompt: Prompt) -> None:
    writer = Writer(prompt, 60)
    with trio.testing.assert_no_checkpoints():
        assert writer.write_nowait(b"abc") == 3
        assert writer.write_nowait(memoryview(b"abcdef"), more=True) == 4
    assert prompt.sent == (b"abcd", True)
    assert not writer.broken


async def test_a_transport_that_only_knows_how_to_wait_takes_nothing(setup: Setup) -> None:
    assert setup.writer.write_nowait(b"abc") == 0
    assert setup.recorded.writes == []


@pytest.mark.parametrize("with_lifetime", [True, False])
async def test_a_peer_that_has_gone_breaks_it(prompt: Prompt, nursery: trio.Nursery, with_lifetime: bool) -> None:
    writer, lifetime = Writer(prompt, 60), Lifetime(nursery.start_soon)
    prompt.gone = True
    with pytest.raises(RequestCancelled) as caught:
        writer.write_nowait(b"abc", lifetime if with_lifetime else None)
    assert caught.value.reason == "disconnect"
    assert writer.broken
    assert lifetime.lost is with_lifetime


async def test_a_write_without_a_request_leaves_none_disturbed(
    setup: Setup, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A stall of what nobody's request has sent cancels nobody."""
    lifetime = Lifetime(nursery.start_soon)
    setup.stop_reading()
    with pytest.raises(RequestCancelled):
        await setup.writer.write(b"x")
    assert (lifetime.lost, lifetime.reason) == (False, None)

"""A stream that misbehaves at will: what the other end meets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import check_half_closeable_stream, open_stream_to_socket_listener, wait_all_tasks_blocked

from trioframe.testing.faults import FaultyStream
from trioframe.testing.memory import MemoryStream, memory_pair


async def make_pair() -> tuple[FaultyStream, FaultyStream]:
    left, right = memory_pair(2000)
    return FaultyStream(left), FaultyStream(right)


async def make_clogged_pair() -> tuple[FaultyStream, FaultyStream]:
    left, right = await make_pair()
    await left.send_all(bytes(2000))
    await right.send_all(bytes(2000))
    return left, right


def faulty() -> tuple[FaultyStream, MemoryStream]:
    left, right = memory_pair()
    return FaultyStream(left), right


async def test_without_faults_it_is_what_trio_asks_of_a_stream():
    await check_half_closeable_stream(make_pair, make_clogged_pair)


async def test_faults_that_were_switched_off_leave_no_trace():
    async def make_reformed_pair() -> tuple[FaultyStream, FaultyStream]:
        left, right = await make_pair()
        for stream in (left, right):
            stream.dribble(1, 10)
            stream.sip(1, 10)
            stream.stop_reading()
            stream.behave()
        return left, right

    await check_half_closeable_stream(make_reformed_pair, None)


# --- sending ----------------------------------------------------------------------------------------------------------


async def test_dribbling_sends_a_little_at_a_time(autojump_clock, nursery):
    stream, other = faulty()
    stream.dribble(2, 10)
    nursery.start_soon(stream.send_all, b"12345")
    began = trio.current_time()
    arrived = []
    for _ in range(3):
        piece = await other.receive_some()
        arrived.append((trio.current_time() - began, piece))
    assert arrived == [(10, b"12"), (20, b"34"), (30, b"5")]


async def test_dribbling_can_be_switched_off_on_the_way(autojump_clock, nursery):
    stream, other = faulty()
    stream.dribble(1, 10)
    nursery.start_soon(stream.send_all, b"12345")
    assert await other.receive_some() == b"1"
    stream.behave()
    assert await other.receive_some() == b"2345"


async def test_dribbling_without_delay():
    stream, other = faulty()
    stream.dribble(1)
    await stream.send_all(b"12")
    assert await other.receive_some() == b"12"


# --- receiving --------------------------------------------------------------------------------------------------------


async def test_sipping_takes_a_little_at_a_time(autojump_clock):
    stream, other = faulty()
    await other.send_all(b"12345")
    stream.sip(2, 10)
    began = trio.current_time()
    assert await stream.receive_some() == b"12"
    assert await stream.receive_some(100) == b"34"
    assert trio.current_time() - began == 20
    stream.sip(2)
    assert await stream.receive_some(1) == b"5"
    assert trio.current_time() - began == 20


@pytest.mark.parametrize("fault", ["dribble", "sip"])
def test_nothing_cannot_be_moved_at_a_time(fault):
    stream, _ = faulty()
    with pytest.raises(ValueError, match="at least 1"):
        getattr(stream, fault)(0)


async def test_who_stopped_reading_holds_up_the_sender(nursery):
    stream, other = faulty()
    received = []

    async def receive():
        received.append(await stream.receive_some())

    nursery.start_soon(receive)
    await wait_all_tasks_blocked()
    stream.stop_reading()
    stream.stop_reading()
    nursery.start_soon(other.send_all, b"x")
    await wait_all_tasks_blocked()
    assert not received
    assert stream.stopped
    with pytest.raises(trio.BusyResourceError):
        await other.send_all(b"y")
    stream.resume_reading()
    await wait_all_tasks_blocked()
    assert received == [b"x"]
    assert not stream.stopped


async def test_closing_wakes_who_stopped_reading(nursery):
    stream, _ = faulty()
    stream.stop_reading()

    async def receive():
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()

    nursery.start_soon(receive)
    await wait_all_tasks_blocked()
    await stream.aclose()


# --- vanishing --------------------------------------------------------------------------------------------------------


async def test_a_reset_of_a_memory_stream():
    stream, other = faulty()
    await stream.send_all(b"x")
    stream.reset()
    with pytest.raises(trio.BrokenResourceError):
        await other.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_on_a_socket_faults_are_the_real_ones():
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        socket_stream = await open_stream_to_socket_listener(listener)
        async with await listener.accept() as other:
            stream = FaultyStream(socket_stream)
            stream.stop_reading()
            stream.resume_reading()
            await other.send_all(b"x")
            assert await stream.receive_some() == b"x"
            stream.reset()
            with pytest.raises(trio.BrokenResourceError):
                await other.receive_some()
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()


async def test_what_has_no_reset_says_so():
    left, right = trio.testing.memory_stream_pair()
    async with left, right:
        with pytest.raises(TypeError, match="cannot be reset"):
            FaultyStream(left).reset()

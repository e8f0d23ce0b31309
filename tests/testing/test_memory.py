"""Memory streams: Trio's own checks of a stream, and what they have beyond it: narrowness, resets, a closed window."""

from __future__ import annotations

import pytest
import trio
from trio.testing import check_half_closeable_stream, wait_all_tasks_blocked

from trioframe.testing.memory import MemoryStream, memory_pair


async def make_pair() -> tuple[MemoryStream, MemoryStream]:
    return memory_pair(2000)


async def make_clogged_pair() -> tuple[MemoryStream, MemoryStream]:
    left, right = memory_pair(2000)
    await left.send_all(bytes(2000))
    await right.send_all(bytes(2000))
    return left, right


async def test_they_are_what_trio_asks_of_a_stream():
    await check_half_closeable_stream(make_pair, make_clogged_pair)


def test_there_must_be_some_room():
    with pytest.raises(ValueError, match="at least 1"):
        memory_pair(0)


async def test_a_sender_is_held_up_when_the_buffer_is_full(nursery):
    left, right = memory_pair(4)
    sent = trio.Event()

    async def send():
        await left.send_all(b"0123456789")
        sent.set()

    nursery.start_soon(send)
    await wait_all_tasks_blocked()
    assert await right.receive_some() == b"0123"
    await wait_all_tasks_blocked()
    assert not sent.is_set()
    assert await right.receive_some(3) == b"456"
    await sent.wait()
    assert await right.receive_some() == b"789"


async def test_waiting_for_room_goes_on_while_there_is_none(nursery):
    left, right = memory_pair(1)
    await left.send_all(b"1")
    right.stop_reading()
    waited = trio.Event()

    async def wait():
        await left.wait_send_all_might_not_block()
        waited.set()

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    await right.receive_some()
    await wait_all_tasks_blocked()
    assert not waited.is_set()
    right.resume_reading()
    await waited.wait()


async def test_a_closed_window_holds_up_a_sender_at_once(nursery):
    left, right = memory_pair()
    await left.send_all(b"before")
    right.stop_reading()
    nursery.start_soon(left.send_all, b" and after")
    await wait_all_tasks_blocked()
    assert await right.receive_some() == b"before"
    right.resume_reading()
    assert await right.receive_some() == b" and after"


async def test_readable_when_receiving_would_not_wait():
    left, right = memory_pair()
    assert not right.readable
    await left.send_all(b"x")
    assert right.readable
    await right.receive_some()
    assert not right.readable
    await left.send_eof()
    assert right.readable


async def test_a_reset_loses_what_was_on_its_way():
    left, right = memory_pair()
    await left.send_all(b"x")
    left.reset()
    assert right.readable
    with pytest.raises(trio.BrokenResourceError):
        await right.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await right.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await left.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await left.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await left.send_eof()


@pytest.mark.parametrize("operation", ["receive_some", "send_all"])
async def test_a_reset_is_told_to_whoever_waits(operation, nursery):
    left, right = memory_pair(1)

    async def operate():
        with pytest.raises(trio.BrokenResourceError):
            await (right.receive_some() if operation == "receive_some" else right.send_all(b"12"))

    nursery.start_soon(operate)
    await wait_all_tasks_blocked()
    left.reset()


async def test_cancelled_receiving_loses_nothing():
    left, right = memory_pair()
    await left.send_all(b"x")
    with trio.move_on_after(0):
        await right.receive_some()
    assert await right.receive_some() == b"x"

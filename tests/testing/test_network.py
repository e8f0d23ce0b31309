"""Connections in memory, and the nursery that owns them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe.testing.network import open_network


async def echo(stream: trio.abc.Stream) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def test_what_connects_is_served():
    async with open_network(echo, leave_timeout=1) as network:
        one, two = network.connect(), network.connect()
        assert network.connections == [one, two]
        await one.send_all(b"1")
        await two.send_all(b"2")
        assert await one.receive_some() == b"1"
        assert await two.receive_some() == b"2"


async def test_buffers_have_a_size():
    async def fill(stream: trio.abc.Stream) -> None:
        await stream.send_all(bytes(10))
        with trio.move_on_after(0):
            await stream.send_all(bytes(10))

    async with open_network(fill, leave_timeout=0, buffer_size=10) as network:
        stream = network.connect()
        assert await stream.receive_some() == bytes(10)


async def test_leaving_disconnects_and_waits(autojump_clock):
    ended = []

    async def take_time(stream: trio.abc.Stream) -> None:
        assert await stream.receive_some() == b""
        await trio.sleep(5)
        ended.append(trio.current_time())

    began = trio.current_time()
    async with open_network(take_time, leave_timeout=10) as network:
        network.connect()
    assert ended == [began + 5]


async def test_leaving_does_not_wait_for_ever(autojump_clock):
    async def sleep(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    began = trio.current_time()
    async with open_network(sleep, leave_timeout=10) as network:
        network.connect()
    assert trio.current_time() == began + 10


async def test_what_the_test_raises_is_not_put_into_a_group():
    error = AssertionError("of the test")
    with pytest.raises(AssertionError) as caught:
        async with open_network(echo, leave_timeout=10) as network:
            network.connect()
            raise error
    assert caught.value is error


async def test_nor_is_a_group_that_it_raises():
    group = ExceptionGroup("of the test", [ValueError()])
    with pytest.RaisesGroup(ValueError) as caught:
        async with open_network(echo, leave_timeout=10) as network:
            network.connect()
            raise group
    assert caught.value is group


async def test_what_the_server_raises_meanwhile_is_not_lost():
    async def crash_at_the_end(stream: trio.abc.Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    with pytest.RaisesGroup(AssertionError, ZeroDivisionError):
        async with open_network(crash_at_the_end, leave_timeout=10) as network:
            network.connect()
            await wait_all_tasks_blocked()
            raise AssertionError("of the test")


async def test_what_the_server_raises_is():
    async def crash(stream: trio.abc.Stream) -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with open_network(crash, leave_timeout=10) as network:
            network.connect()
            await trio.sleep_forever()


async def test_a_cancelled_test_leaves_nothing_behind(autojump_clock):
    ended = []

    async def sleep(stream: trio.abc.Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(True)

    with trio.move_on_after(1) as scope:
        async with open_network(sleep, leave_timeout=10) as network:
            network.connect()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert ended == [True]

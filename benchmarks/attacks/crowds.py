"""Clients that are too many: for the memory, for the configuration, for the operating system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from .attack import Bounds, Figure, at_least, at_most, attack, equal
from .connection import GET, Connection, connected
from .polling import until
from .target import Target, started_server

__all__: list[str] = []


@attack()
async def nobody(target: Target) -> list[Figure]:
    """Nobody attacks: what the others have to wait for by themselves."""
    await trio.sleep(1 if target.quick else 10)
    return []


@attack(Bounds(memory=100, others=250))  # when 1,000 leave in the same instant
async def idle_crowd(target: Target) -> list[Figure]:
    """1,000 connections that have had an answer and stay."""
    count = 200 if target.quick else 1000
    before = target.memory()
    async with crowd(target, count) as connections:
        for connection in connections:
            await connection.send(GET % b"/ping")
            await connection.next_answer()
        grown = target.memory() - before
        cpu = target.cpu()
        await trio.sleep(1)
        cpu = target.cpu() - cpu
    return [
        at_most("memory for each", grown * 1024 / count, 64.0, "KiB"),
        at_most("CPU of a second", cpu, 0.1, "s"),
    ]


@asynccontextmanager
async def crowd(target: Target, count: int) -> AsyncIterator[list[Connection]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(target)) for _ in range(count)]


@attack(Bounds(fresh=False, log=5))
async def descriptors_exhausted(target: Target) -> list[Figure]:
    """200 connections to a server that may have 64 file descriptors."""
    seconds = 0.5 if target.quick else 3.0
    target.limit_descriptors(64)
    async with crowd(target, 200) as connections:
        for connection in connections:
            await connection.send(GET % b"/ping")
        answered = await count_answered(connections)
        used = target.descriptors()
        cpu = target.cpu()
        await trio.sleep(seconds)
        cpu = target.cpu() - cpu
        # One leaves: the next in the queue must be answered, and all the others when the rest has left.
        waiting = connections[answered:]
        first = await seconds_until_answered(connections[:1], waiting[:1])
        one_by_one = max(
            [await seconds_until_answered([connections[n]], [waiting[n]]) for n in range(1, answered // 2)]
        )
        rest = await seconds_until_answered(connections[answered // 2 : answered], waiting[answered // 2 : answered])
    return [
        at_most("file descriptors", used, 64),
        at_least("answered", answered, 40),
        at_most(f"CPU of {seconds:g} s without any left", cpu, 0.5 * seconds / 3, "s"),
        at_most("the next answered after one has left", first * 1000, 250.0, "ms"),
        at_most("the next answered, while one after the other leaves", one_by_one * 1000, 250.0, "ms"),
        at_most("the next answered after the others have left", rest * 1000, 250.0, "ms"),
    ]


async def count_answered(connections: list[Connection]) -> int:
    answered = 0

    async def listen(connection: Connection) -> None:
        nonlocal answered
        await connection.receive()
        answered += 1

    with trio.move_on_after(0.3):
        async with trio.open_nursery() as nursery:
            for connection in connections:
                nursery.start_soon(listen, connection)
    return answered


async def seconds_until_answered(leaving: list[Connection], waiting: list[Connection]) -> float:
    began = trio.current_time()
    for connection in leaving:
        connection.close()
    with trio.move_on_after(5):
        for connection in waiting:
            await connection.receive()
    return trio.current_time() - began


@attack(Bounds(fresh=False, log=5), options={"MAX_CONNECTIONS": 100})
async def connection_flood(target: Target) -> list[Figure]:
    """500 connections to a server that takes 100."""
    seconds = 0.5 if target.quick else 3.0
    before = target.descriptors()
    async with crowd(target, 500) as connections:
        for connection in connections:
            await connection.send(GET % b"/ping")
        answered = await count_answered(connections)
        used = target.descriptors() - before
        cpu = target.cpu()
        await trio.sleep(seconds)
        cpu = target.cpu() - cpu
        waiting = connections[answered:]
        first = await seconds_until_answered(connections[:1], waiting[:1])
        rest = await seconds_until_answered(connections[1:answered], waiting[1:answered])
    return [
        at_most("file descriptors more than before", used, 100),
        equal("answered at once, beside the bystander", answered, 99),
        at_most(f"CPU of {seconds:g} s while full", cpu, 0.5 * seconds / 3, "s"),
        at_most("the next answered after one has left", first * 1000, 250.0, "ms"),
        at_most("the next 98 answered after 98 have left", rest * 1000, 500.0, "ms"),
    ]


@attack(Bounds(memory=4, log=5, fresh=False))
async def connection_churn(target: Target) -> list[Figure]:
    """3,000 connections that are reset as soon as they are there, some at the limit of file descriptors."""
    count = 500 if target.quick else 3000
    before = target.descriptors()
    await churn(target, count)
    target.limit_descriptors(64)
    async with crowd(target, 100):
        await churn(target, count)
    await trio.sleep(0.5)
    return [at_most("file descriptors more than before", target.descriptors() - before, 0)]


async def churn(target: Target, count: int) -> None:
    for _ in range(count):
        async with connected(target) as connection:
            await connection.send(b"GET")
            connection.reset()


@attack(Bounds(fresh=False))
async def stay_while_it_stops(target: Target) -> list[Figure]:
    """150 connections hold another server that is told to stop: no reading, no head, no end of a body, no answer."""
    options = {"GRACEFUL_SHUTDOWN_TIMEOUT": 0.5, "CANCEL_GRACE": 0.5}
    held = [
        GET % b"/stream",
        GET % b"/big/1000000" * 100,
        GET % b"/sleep",
        b"GET / HTTP/1.1\r\nHost: attacker\r\nX: ",
        b"POST /upload HTTP/1.1\r\nHost: attacker\r\nContent-Length: 1000000\r\n\r\nx",
        b"nonsense\r\n\r\n",
    ]
    with started_server(options, quick=target.quick) as victim:
        async with crowd(victim, 25 * len(held)) as connections:
            for number, connection in enumerate(connections):
                await connection.send(held[number % len(held)])
            await trio.sleep(0.3)
            victim.terminate()
            seconds = await until(lambda: not victim.running(), 10)
        log = victim.log()
    return [
        at_most("ended after", seconds, 2.0, "s"),
        equal("the last line of its log says stopped", log[-1].endswith("stopped"), True),
        equal("tracebacks in its log", sum(line.startswith("Traceback") for line in log), 0),
    ]

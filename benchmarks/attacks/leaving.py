"""Clients that leave, again and again, at the worst moments.  Nothing of them may stay."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Awaitable, Callable

import trio

from .attack import Bounds, Figure, at_most, attack, fact
from .connection import GET, ask, connected
from .target import Target

__all__: list[str] = []

AT_ONCE = 50
SETTLED = 7.0  # seconds until everything must be as before; lingering takes up to 5 of them


async def in_crowd(count: int, one: Callable[[int], Awaitable[None]]) -> None:
    """`one(number)` for each number below `count`, not too many at once."""
    room = trio.CapacityLimiter(AT_ONCE)

    async def enter(number: int) -> None:
        async with room:
            # A connection that the other side ends first is what this is about.
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, ConnectionError):
                await one(number)

    async with trio.open_nursery() as crowd:
        for number in range(count):
            crowd.start_soon(enter, number)


@attack(Bounds(memory=24, log=5))
async def resets(target: Target) -> list[Figure]:
    """200 connections reset in mid-response: whole, streamed, and not begun."""
    before = await state(target)

    async def one(number: int) -> None:
        path = (b"/big/262144", b"/stream", b"/sleep", b"/big/1000")[number % 4]
        async with connected(target) as connection:
            await connection.send(GET % path)
            if path == b"/sleep":
                await trio.sleep(0.01)
            else:
                await connection.receive(1000)
            connection.reset()

    await in_crowd(200, one)
    return await as_before(target, before)


@attack(Bounds(memory=16, log=5), options={"RESPONSE_TIMEOUT": 6})
async def resets_behind_a_flood(target: Target) -> list[Figure]:
    """50 connections ask, send a megabyte more than the server reads ahead, and reset while the handler waits."""
    before = await state(target)

    async def one(number: int) -> None:
        async with connected(target) as connection:
            await connection.send(GET % b"/sleep")
            with trio.move_on_after(0.5):
                await connection.send(GET % b"/ping" * 100_000)
            connection.reset()

    await in_crowd(50, one)
    return await as_before(target, before, within=3.0)


@attack(Bounds(memory=24, log=1500))
async def random_leaving(target: Target) -> list[Figure]:
    """1,000 connections, in rounds: send some of a request, read some of an answer, leave with FIN or RST."""
    rounds, count = (2, 300) if target.quick else (5, 1000)

    async def leave(number: int) -> None:
        await leave_at_random(target, count, seed=number)

    return await in_rounds(target, rounds, count, leave)


async def in_rounds(target: Target, rounds: int, count: int, go: Callable[[int], Awaitable[None]]) -> list[Figure]:
    """`go(number)` for each round of `count` connections: each leaves everything as before, and no object stays.

    Resident memory also tells who happened to be there at once, and what Trio has not swept yet, so it is only told.
    """
    before = await state(target)
    objects, memory = [await held(target)], [target.memory()]
    figures: list[Figure] = []
    for number in range(rounds):
        await go(number)
        figures = await as_before(target, before)
        objects.append(await held(target))
        memory.append(target.memory())
        if not all(figure.ok for figure in figures):
            break
    half, last = len(memory) // 2, len(memory) - 1
    return [
        *figures,
        at_most("objects kept by each connection", (objects[-1] - objects[0]) / (last * count), 0.25),
        fact(f"memory, round {half} to {last}", memory[last] - memory[half], "MiB"),
    ]


async def held(target: Target) -> int:
    return int((await ask(target, b"/held")).body)


async def leave_at_random(target: Target, count: int, seed: int) -> None:
    chance = random.Random(seed)
    lives = [
        (chance.choice(CONVERSATIONS), chance.random(), int(chance.expovariate(1 / 20_000)), chance.random())
        for _ in range(count)
    ]

    async def one(number: int) -> None:
        conversation, share, appetite, fate = lives[number]
        async with connected(target) as connection:
            # Most send all of it: what is cut short everywhere never reaches a handler.
            await connection.send(conversation if share > 0.6 else conversation[: int(len(conversation) * share / 0.6)])
            with trio.move_on_after(0.05):
                while appetite > 0 and (data := await connection.receive(min(appetite, 4096))):
                    appetite -= len(data)
            if fate < 0.3:
                connection.reset()
            elif fate < 0.5:
                await connection.finish()
                with trio.move_on_after(0.05):
                    await connection.receive_to_end()

    await in_crowd(count, one)


def post(path: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: attacker\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)


def post_chunked(path: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: attacker\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    return head + b"%x\r\n%b\r\n" % (len(body), body) * 3 + b"0\r\nX-Trailer: x\r\n\r\n"


CONVERSATIONS = [
    GET % b"/ping",
    GET % b"/ping" * 20,
    GET % b"/big/200000",
    GET % b"/big/50000" * 5,
    GET % b"/stream",
    GET % b"/sleep",
    GET % b"/sleep" + GET % b"/ping",
    post(b"/body", bytes(100_000)),
    post(b"/upload", bytes(300_000)),
    post(b"/unread", bytes(300_000)),
    post_chunked(b"/body", bytes(10_000)) * 2,
    post_chunked(b"/upload", bytes(50_000)),
    b"nonsense\r\n\r\n" + bytes(1000),
]


async def state(target: Target) -> dict[str, int]:
    """What the server counts, and its file descriptors."""
    counted: dict[str, int] = json.loads((await ask(target, b"/state")).body)
    return {**counted, "descriptors": target.descriptors()}


async def as_before(target: Target, before: dict[str, int], within: float = SETTLED) -> list[Figure]:
    """Everything is as before, after a while; or less, as the bystander comes and goes."""
    began = trio.current_time()
    now = await state(target)
    while any(now[key] > before[key] for key in before) and trio.current_time() - began < within:
        await trio.sleep(0.05)
        now = await state(target)
    return [
        *(at_most(f"{key} beyond those before", now[key] - before[key], 0) for key in before),
        at_most("settled after", trio.current_time() - began, within, "s"),
    ]

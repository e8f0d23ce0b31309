"""Clients that take their time: with a head, with a body, with an answer, or with everything."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Awaitable, Callable, Iterable

import trio

from .attack import Bounds, Figure, at_most, attack, equal
from .connection import GET, Connection, Verdict, ask, connected, end_of
from .target import Target

__all__: list[str] = []

CROWD = 200
HEAD_BEGUN = b"GET /ping HTTP/1.1\r\nHost: attacker\r\nX-Slow: "

Behaviour = Callable[[Connection], Awaitable[None]]


async def endings(
    target: Target, count: int, behave: Behaviour, *, patience: float = math.inf, receive_buffer: int | None = None
) -> list[Verdict]:
    """How `count` connections end that all behave like that; the time runs from when each is connected."""
    verdicts: list[Verdict] = []

    async def one() -> None:
        async with connected(target, receive_buffer=receive_buffer) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(behave, connection)
            verdicts.append(await end_of(connection, patience))
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as crowd:
        for _ in range(count):
            crowd.start_soon(one)
    return verdicts


def gone(what: str, verdicts: list[Verdict], within: float) -> list[Figure]:
    """All of them gone in time, and how the slowest and the fastest fared."""
    still_here = sum(not verdict.ending for verdict in verdicts)
    slowest = max(verdict.seconds for verdict in verdicts)
    return [equal(f"{what}: not ended", still_here, 0), at_most(f"{what}: ended after", slowest, within, "s")]


def answered(what: str, verdicts: list[Verdict], status: int) -> Figure:
    return equal(f"{what}: answered {status}", sum(verdict.status == status for verdict in verdicts), len(verdicts))


async def silence(connection: Connection) -> None:
    """Neither send nor receive."""


def drip(*pieces: bytes, then: bytes = b"", interval: float = 0.0) -> Behaviour:
    """Send `pieces` at once, and then `then` again and again."""

    async def behave(connection: Connection) -> None:
        await connection.send_patiently(pieces, 0)
        if then:
            await connection.send_patiently(itertools.repeat(then), interval)

    return behave


async def together(*attacks: Awaitable[list[Figure]]) -> list[Figure]:
    """The figures of attacks that run at once, in this order."""
    found: dict[int, list[Figure]] = {}

    async def one(place: int, attack: Awaitable[list[Figure]]) -> None:
        found[place] = await attack

    async with trio.open_nursery() as nursery:
        for place, attack_ in enumerate(attacks):
            nursery.start_soon(one, place, attack_)
    return [figure for place in sorted(found) for figure in found[place]]


# A head that does not end, or does not begin.


@attack(Bounds(memory=10), quick={"REQUEST_TIMEOUT": 0.7})
async def slowloris(target: Target) -> list[Figure]:
    """200 connections send a head, one byte per second."""
    within = 3 if target.quick else 30
    slow = drip(HEAD_BEGUN, then=b"x", interval=0.2 if target.quick else 1.0)
    verdicts = await endings(target, CROWD, slow, patience=within + 5)
    return [*gone("slowloris", verdicts, within), answered("slowloris", verdicts, 408)]


@attack(Bounds(memory=15), quick={"REQUEST_TIMEOUT": 1, "KEEP_ALIVE_TIMEOUT": 2})
async def idle(target: Target) -> list[Figure]:
    """300 connections: silent, idle after an answer, and idle but for empty lines."""
    first, later = (3, 4) if target.quick else (30, 75.5)

    async def ask_once(connection: Connection) -> None:
        await connection.send(GET % b"/ping")

    async def ask_then_empty_lines(connection: Connection) -> None:
        await connection.send(GET % b"/ping")
        await trio.sleep(0.5)
        await connection.send_patiently(itertools.repeat(b"\r\n"), later / 3)

    async def case(what: str, behave: Behaviour, within: float) -> list[Figure]:
        return gone(what, await endings(target, CROWD // 2, behave, patience=within + 5), within)

    return await together(
        case("no byte at all", silence, first),
        case("idle after an answer", ask_once, later),
        case("empty lines after an answer", ask_then_empty_lines, later),
    )


# A body that does not end.

LENGTH = b"POST %b HTTP/1.1\r\nHost: attacker\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: attacker\r\nTransfer-Encoding: chunked\r\n\r\n"


@attack(Bounds(memory=10), quick={"BODY_MIN_RATE_GRACE": 0.7})
async def body_trickle(target: Target) -> list[Figure]:
    """200 bodies of 10 bytes per second: with a length and in chunks, read by the server and by the handler."""
    within = 3 if target.quick else 60

    async def case(what: str, head: bytes, piece: bytes, status: int) -> list[Figure]:
        slow = drip(head, then=piece, interval=0.2 if target.quick else 1.0)
        verdicts = await endings(target, CROWD // 4, slow, patience=within + 5)
        return [*gone(what, verdicts, within), answered(what, verdicts, status)]

    ten = b"x" * 10
    return await together(
        case("with a length", LENGTH % (b"/body", 100_000), ten, 408),
        case("in chunks", CHUNKED % b"/body", b"a\r\n" + ten + b"\r\n", 408),
        case("with a length, streamed", LENGTH % (b"/upload", 10**9), ten, 408),
        case("in chunks, streamed", CHUNKED % b"/upload", b"a\r\n" + ten + b"\r\n", 408),
    )


@attack(Bounds(memory=40), quick={"BODY_TIMEOUT": 1, "BODY_MIN_RATE_GRACE": 0.5})
async def body_stall(target: Target) -> list[Figure]:
    """80 bodies stop: at once, after 200 KiB, in a chunk."""
    within = 3 if target.quick else 60.5
    much = bytes(200 * 1024)

    async def case(what: str, *pieces: bytes) -> list[Figure]:
        verdicts = await endings(target, 20, drip(*pieces), patience=within + 5)
        return [*gone(what, verdicts, within), answered(what, verdicts, 408)]

    return await together(
        case("stalled at once", LENGTH % (b"/body", 100_000)),
        case("stalled after 200 KiB", LENGTH % (b"/body", 400_000), much),
        case("stalled after 200 KiB, streamed", LENGTH % (b"/upload", 400_000), much),
        case("stalled in a chunk", CHUNKED % b"/upload", b"ffff\r\n", b"x"),
    )


@attack(Bounds(memory=50), quick={"BODY_TIMEOUT": 1, "BODY_MIN_RATE_GRACE": 0.5})
async def body_burst_then_trickle(target: Target) -> list[Figure]:
    """20 bodies of 1 MiB come at once but for their last kilobyte, which trickles."""
    within = 3 if target.quick else 65
    size = 1024 * 1024
    slow = drip(LENGTH % (b"/body", size), bytes(size - 1024), then=b"x", interval=0.2)
    verdicts = await endings(target, 20, slow, patience=within + 5)
    return gone("trickling behind a burst", verdicts, within)


# An answer that is not read.


@attack(Bounds(memory=24, fresh=False), quick={"SEND_TIMEOUT": 0.7})
async def never_read(target: Target) -> list[Figure]:
    """64 connections ask for 400 answers of 64 KiB each, and read none."""
    within = 4 if target.quick else 65
    requests = (GET % b"/big/65536") * 400
    return await unread(target, 64, [requests], within)


@attack(Bounds(memory=8, fresh=False), options={"MAX_REQUESTS_PER_CONNECTION": "inf"}, quick={"SEND_TIMEOUT": 0.7})
async def pipeline_unread(target: Target) -> list[Figure]:
    """16 connections ask for small answers without end, and read none."""
    within = 10 if target.quick else 70
    return await unread(target, 16, itertools.repeat((GET % b"/ping") * 500), within)


@attack(Bounds(memory=16, fresh=False), options={"RESPONSE_TIMEOUT": 3})
async def send_ahead(target: Target) -> list[Figure]:
    """100 connections send on and on while the handler of their first request sleeps."""
    before = target.memory()
    requests = GET % b"/sleep" + (GET % b"/ping") * 100_000
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(endings, target, 1, drip(requests))
        await trio.sleep(1)
        grown = target.peak_memory() - before
        nursery.cancel_scope.cancel()
    return [at_most("memory for each", grown * 1024 / 100, 160.0, "KiB")]


@attack(Bounds(memory=24, fresh=False), quick={"SEND_TIMEOUT": 0.7})
async def read_slowly(target: Target) -> list[Figure]:
    """64 connections ask for an answer without end, and read 100 bytes per second."""
    within = 10 if target.quick else 70

    async def read_a_little(connection: Connection) -> None:
        while await connection.receive(100):  # noqa: ASYNC110 - this is the attack
            await trio.sleep(1)

    return await unread(target, 64, [GET % b"/stream"], within, read_a_little)


async def unread(
    target: Target, count: int, pieces: Iterable[bytes], within: float, behave: Behaviour = silence
) -> list[Figure]:
    """Send, and then read nothing or little.

    Who does not read does not see an end either, so it is the server that tells when they are gone.
    """

    async def one() -> None:
        async with connected(target, receive_buffer=4096) as connection:
            await connection.send_patiently(pieces, 0)
            with contextlib.suppress(trio.BrokenResourceError):
                await behave(connection)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
        figures = await left_alone(target, within)
        nursery.cancel_scope.cancel()
    return figures


async def left_alone(target: Target, within: float) -> list[Figure]:
    """When the server has let go of all attackers, who are connecting."""
    began = trio.current_time()
    await trio.sleep(0.5)
    left = await strangers(target)
    while left and trio.current_time() - began < within + 5:
        await trio.sleep(0.1)
        left = await strangers(target)
    return [equal("not ended", left, 0), at_most("ended after", trio.current_time() - began, within, "s")]


async def strangers(target: Target) -> int:
    """How many connections the server has, beside this question and the bystander's."""
    connections: int = json.loads((await ask(target, b"/state")).body)["connections"]
    return connections - 2

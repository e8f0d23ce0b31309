"""Clients that send too much: heads, lines, framing, or promises.

Each refusal must be *readable*: a client that looks for an answer only when it has sent everything finds it, and no
reset in its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import trio

from .attack import MIB, Bounds, Figure, at_most, attack, equal, fact
from .connection import Connection, Verdict, connected, flood
from .polling import until
from .target import Target

__all__: list[str] = []

REQUEST_LINE = b"GET /ping HTTP/1.1\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: attacker\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST %b HTTP/1.1\r\nHost: attacker\r\nContent-Length: %d\r\n\r\n"
BLOCK = 64 * 1024

Pieces = Iterable[bytes]


def blocks(data: bytes) -> list[bytes]:
    return [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]


def refused(what: str, verdict: Verdict, status: int) -> list[Figure]:
    """The refusal was read, and nothing was processed behind it."""
    return [
        equal(f"{what}: answers read", [answer.status for answer in verdict.answers], [status]),
        fact(f"{what}: ended with {verdict.ending or 'nothing'} after", verdict.seconds, "s"),
    ]


async def too_much(
    target: Target, what: str, begin: bytes, unit: bytes, *, megabytes: int, status: int
) -> list[Figure]:
    """As one who sends all of it before reading, and as one who sends without end but reads."""
    bounded = blocks(begin + unit * (megabytes * MIB // len(unit)))
    deaf = await flood(target, bounded, deaf=True)
    endless = await flood(target, itertools.chain([begin], itertools.repeat(unit * (BLOCK // len(unit)))), deaf=False)
    return [
        *refused(f"{what}, {megabytes} MiB", deaf, status),
        equal(f"{what}, {megabytes} MiB: ending", deaf.ending, "FIN"),
        *refused(f"{what}, endless", endless, status),
    ]


@attack(Bounds(memory=2, log=20))
async def header_flood(target: Target) -> list[Figure]:
    """100,000 header lines; header lines without end."""
    lines = b"".join(b"X-Header-%06d: some value\r\n" % number for number in range(100_000))
    head = REQUEST_LINE + b"Host: attacker\r\n"
    verdict = await flood(target, blocks(head + lines + b"\r\n"), deaf=True)
    return [
        *refused("100,000 lines", verdict, 431),
        equal("100,000 lines: ending", verdict.ending, "FIN"),
        *await too_much(target, "one line", head + b"X-Long: ", b"x", megabytes=4, status=431),
        *await too_much(target, "short lines", head, b"a:b\r\n", megabytes=4, status=431),
    ]


@attack(Bounds(memory=2, log=20))
async def url_flood(target: Target) -> list[Figure]:
    """A request target of megabytes; one without end."""
    return await too_much(target, "target", b"GET /", b"x", megabytes=8, status=414)


@attack(Bounds(memory=2, log=20))
async def crlf_flood(target: Target) -> list[Figure]:
    """Nothing but empty lines."""
    return await too_much(target, "empty lines", b"", b"\r\n", megabytes=4, status=400)


@attack(Bounds(memory=2, log=20))
async def trailer_flood(target: Target) -> list[Figure]:
    """Trailers without end, behind a small body."""
    begun = CHUNKED % b"/body" + b"1\r\nx\r\n0\r\n"
    return [
        *await too_much(target, "lines", begun, b"X-Trailer: value\r\n", megabytes=4, status=431),
        *await too_much(target, "one line", begun + b"X-Trailer: ", b"x", megabytes=4, status=431),
        *await refused_after(target, "trailers", begun, b"X-Trailer: value\r\n" * 57, 17),
    ]


@attack(Bounds(memory=2, log=20))
async def chunk_extensions(target: Target) -> list[Figure]:
    """Chunk extensions: long ones, and many behind tiny chunks (CVE-2023-39326)."""
    head = CHUNKED % b"/upload"
    return [
        *await too_much(target, "one extension", head + b"1;x=", b"x", megabytes=4, status=400),
        *await too_much(target, "extended chunks", head, b"1;x=" + b"y" * 200 + b"\r\nx\r\n", megabytes=4, status=400),
        *await refused_after(target, "one extension", head + b"1;x=", b"x" * 1024, 17),
        *await refused_after(target, "long ones", head, b"1;x=" + b"y" * 1014 + b"\r\nx\r\n", 17),
        # Framing of 16 bytes, and twice what it frames, is every chunk's fair share: 12 of 33 bytes are beyond.
        *await refused_after(target, "short ones", head, (b"1;x=" + b"y" * 24 + b"\r\nx\r\n") * 31, 17 * 33 // 12),
    ]


async def refused_after(target: Target, what: str, begin: bytes, kilobyte: bytes, most: int) -> list[Figure]:
    """How many KiB are taken before the refusal comes, sent one after the other."""

    async def listen() -> None:
        await connection.receive()
        answered.set()

    answered = trio.Event()
    sent = 0
    async with connected(target) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await connection.send(begin)
        while not answered.is_set() and sent < 4 * most:
            await connection.send(kilobyte)
            sent += 1
            with trio.move_on_after(0.005):
                await answered.wait()
        nursery.cancel_scope.cancel()
    return [at_most(f"{what}: taken before the refusal", sent, most, "KiB")]


@attack(Bounds(memory=8))
async def floods_at_once(target: Target) -> list[Figure]:
    """50 connections flood the server, each in one of these ways, and begin anew when they are refused."""
    seconds = 1.0 if target.quick else 5.0
    refusals = 0
    unread = 0
    ways = [
        (REQUEST_LINE + b"Host: attacker\r\n", b"a:b\r\n"),
        (b"GET /", b"x"),
        (b"", b"\r\n"),
        (CHUNKED % b"/body" + b"1\r\nx\r\n0\r\n", b"X-Trailer: value\r\n"),
        (CHUNKED % b"/upload", b"1;x=" + b"y" * 200 + b"\r\nx\r\n"),
    ]

    async def again_and_again(begin: bytes, unit: bytes) -> None:
        nonlocal refusals, unread
        block = unit * (BLOCK // len(unit))
        while True:
            verdict = await flood(target, itertools.chain([begin], itertools.repeat(block)), deaf=False)
            refusals += 1
            unread += verdict.status < 400 or verdict.status >= 500

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(again_and_again, *ways[number % len(ways)])
    return [fact("refusals", round(refusals / seconds), "/s"), equal("of them not readable", unread, 0)]


@attack(Bounds(memory=4))
async def tiny_chunks(target: Target) -> list[Figure]:
    """100,000 chunks of one byte (CVE-2025-69229), for the server and for a handler to read."""
    return [
        *await chunks(target, b"/body"),
        *await chunks(target, b"/upload"),
    ]


async def chunks(target: Target, path: bytes) -> list[Figure]:
    before = target.cpu()
    async with connected(target) as connection:
        await connection.send(CHUNKED % path + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        answer = await connection.next_answer()
    cpu = target.cpu() - before
    return [
        equal(f"{path.decode()}: answer", answer and answer.body, b"100000"),
        at_most(f"{path.decode()}: CPU", cpu, 0.5, "s"),
    ]


@attack(Bounds(memory=2, log=40))
async def huge_promises(target: Target) -> list[Figure]:
    """A Content-Length of 10^15, a chunk of ffffffffffffffff, and numbers that are none."""
    chunk = b"ffffffffffffffff\r\n"
    expecting = LENGTH[:-2] % (b"/body", 10**15) + b"Expect: 100-continue\r\n\r\n"
    digits = (LENGTH % (b"/upload", 7)).replace(b"7", b"7" * 5000)
    figures = [
        *await promised(target, "length 10^15", LENGTH % (b"/body", 10**15), 413),
        *await promised(target, "length 10^15 with Expect", expecting, 413),
        *await promised(target, "length 10^15 with some of it", LENGTH % (b"/body", 10**15) + bytes(100_000), 413),
        *await promised(target, "chunk 2^64", CHUNKED % b"/body" + chunk, 413),
        *await promised(target, "chunk 2^64 with some of it", CHUNKED % b"/body" + chunk + bytes(100_000), 413),
        *await promised(target, "chunk 2^68", CHUNKED % b"/body" + b"f" + chunk, 400),
        *await promised(target, "length 10^40, streamed", LENGTH % (b"/upload", 10**40), 400),
        *await promised(target, "length of 5,000 digits", digits, 400),
    ]
    for path, wanted in ((b"/upload", 0), (b"/unread", 200)):
        for what, begin in (("length 10^15", LENGTH % (path, 10**15)), ("chunk 2^64", CHUNKED % path + chunk)):
            async with connected(target) as connection:
                await connection.send(begin + bytes(1000))
                status = await status_within(connection, 0.1)
            figures.append(equal(f"{what} for {path.decode()}: answer", status, wanted))
    return figures


async def promised(target: Target, what: str, data: bytes, status: int) -> list[Figure]:
    """The refusal comes although the body does not."""
    async with connected(target) as connection:
        began = trio.current_time()
        await connection.send(data)
        found = await status_within(connection, 5)
        seconds = trio.current_time() - began
    return [equal(f"{what}: answer", found, status), at_most(f"{what}: answered after", seconds, 0.25, "s")]


async def status_within(connection: Connection, seconds: float) -> int:
    """The status of the next answer, 0 if there is none in time."""
    with trio.move_on_after(seconds):
        answer = await connection.next_answer()
        return answer.status if answer else 0
    return 0


@attack(Bounds(memory=2), quick={"LINGER_TIMEOUT": 1})
async def refused_and_staying(target: Target) -> list[Figure]:
    """50 refused clients stay: 25 without a byte, 25 send on."""
    within = 2.0 if target.quick else 6.0

    async def stay(send_on: bool) -> None:
        async with connected(target) as connection:
            await connection.send(b"nonsense\r\n\r\n")
            answer = await connection.next_answer()
            if answer is None or answer.status != 400:
                raise RuntimeError(f"the refusal could not be read: {answer}")
            await connection.send_patiently(itertools.repeat(bytes(1000) if send_on else b""), 0.05)
            await trio.sleep_forever()

    before = target.descriptors()
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(stay, bool(number % 2))
        await trio.sleep(0.2)
        # Their FIN comes with the refusal, so it is the server that tells when it has let go of them.
        seconds = 0.2 + await until(lambda: target.descriptors() <= before + 2, within + 5)
        nursery.cancel_scope.cancel()
    return [at_most("connections gone after", seconds, within, "s")]

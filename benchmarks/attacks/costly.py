"""Clients that stay within every limit, and choose what costs the server most."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Awaitable, Callable

import trio

from .attack import Bounds, Figure, at_most, attack, equal, fact
from .connection import GET, connected
from .target import Target

__all__: list[str] = []

SIZE = 15_000  # bytes of a head that just fits
TARGET_SIZE = 8_000

FIELDS = {
    "Cookie of quotes": [b'Cookie: a="' + b'\\"' * (SIZE // 2)],
    "Cookie of semicolons": [b"Cookie: " + b"a=b;" * (SIZE // 4)],
    "Cookie without names": [b"Cookie: " + b"=;" * (SIZE // 2)],
    "Cookie of equal names": [b"Cookie: " + b"a;" * (SIZE // 2)],
    "Cookie lines": [b"Cookie: " + b"a=b;" * 25] * 120,
    "Accept of commas": [b"Accept: " + b"," * SIZE],
    "Accept of ranges": [b"Accept: " + b"a/b," * (SIZE // 4)],
    "Accept of parameters": [b"Accept: a/b" + b";c=d" * (SIZE // 4)],
    "Accept of spaces": [b"Accept: a/b" + b" " * SIZE + b";q=1"],
    "Accept of quotes": [b'Accept: a/b;c="' + b"\\" * SIZE],
    "Content-Type of parameters": [b"Content-Type: a/b" + b';c="d"' * (SIZE // 6)],
    "Content-Type of backslashes": [b'Content-Type: a/b; c="' + b"\\" * SIZE],
    "Content-Type of spaces": [b"Content-Type: a/b" + b" " * SIZE + b"x"],
    "Authorization": [b"Authorization: Basic " + b"=" * SIZE],
    "Forwarded of commas": [b"Forwarded: " + b"," * SIZE],
    "Forwarded of elements": [b"Forwarded: " + b"for=a;by=b," * (SIZE // 11)],
    "Forwarded of quotes": [b'Forwarded: for="' + b"\\" * SIZE],
    "X-Forwarded-For": [b"X-Forwarded-For: " + b"1.2.3.4," * (SIZE // 8)],
    "Connection of commas": [b"Connection: " + b"a," * (SIZE // 2)],
    "Host of colons": [b"Host: " + b":" * SIZE],
    "Host of brackets": [b"Host: [" + b":" * SIZE],
    "equal names": [b"X: " + b"y" * 100] * 120,
    "spaces": [b"X:" + b" " * SIZE],
    "X-Request-ID": [b"X-Request-ID: " + b"a" * SIZE],
}

TARGETS = {
    "slashes": b"/" * TARGET_SIZE,
    "dots": b"/." * (TARGET_SIZE // 2),
    "percents": b"/parse/" + b"%2f" * (TARGET_SIZE // 3),
    "digits": b"/number/" + b"1" * (TARGET_SIZE - 10),
    "ampersands": b"/parse?" + b"&" * (TARGET_SIZE - 10),
    "fields": b"/parse?" + b"a=b&" * (TARGET_SIZE // 4 - 4),
    "escapes": b"/parse?" + b"%" * (TARGET_SIZE - 10),
    "authority": b"http://" + b"a." * (TARGET_SIZE // 2 - 10) + b"/",
}


@attack(Bounds(memory=4))
async def costly_heads(target: Target) -> list[Figure]:
    """Heads of the full size, in every shape that is known to be expensive to somebody."""
    figures: list[Figure] = []
    costs: dict[str, float] = {}
    requests = {f"field: {what}": head(b"/parse", *lines) for what, lines in FIELDS.items()}
    requests |= {f"fields of an error page: {what}": head(b"/nowhere", *lines) for what, lines in FIELDS.items()}
    requests |= {f"target: {what}": head(path) for what, path in TARGETS.items()}
    repeats = 5 if target.quick else 20
    for what, request in requests.items():
        began = target.cpu_precisely()
        for _ in range(repeats):
            async with connected(target) as connection:
                await connection.send(request)
                answer = await connection.next_answer()
            if answer is None or answer.status >= 500:
                figures.append(equal(f"{what}: answer", answer and answer.status, "below 500"))
                break
        costs[what] = (target.cpu_precisely() - began) / repeats * 1000
    worst = sorted(costs, key=lambda what: costs[what])[-3:]
    return [*figures, *(at_most(f"CPU, {what}", costs[what], 25.0, "ms") for what in reversed(worst))]


def head(target: bytes, *lines: bytes) -> bytes:
    host = [] if any(line.startswith(b"Host:") for line in lines) else [b"Host: attacker"]
    return b"\r\n".join([b"GET %b HTTP/1.1" % target, *host, *lines, b"", b""])


@attack(Bounds(memory=2))
async def byte_by_byte(target: Target) -> list[Figure]:
    """A head, trailers and a chunk line of the full size, and a body as large, each sent byte by byte."""
    size = 3000 if target.quick else 15_000
    chunked = b"POST /upload HTTP/1.1\r\nHost: attacker\r\nTransfer-Encoding: chunked\r\n"
    dribbles = {
        "body": (b"POST /upload HTTP/1.1\r\nHost: attacker\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size),
        "one field": (b"", head(b"/ping", b"X: " + b"y" * size)),
        "fields": (b"", head(b"/ping", *[b"X: " + b"y" * (size // 120)] * 120)),
        "trailers": (chunked + b"\r\n0\r\n", b"X: " + b"y" * size + b"\r\n\r\n"),
        "chunk line": (chunked + b"\r\n", b"1;x=" + b"y" * size + b"\r\nx\r\n0\r\n\r\n"),
        "chunks": (chunked + b"\r\n", b"1\r\nx\r\n" * (size // 6) + b"0\r\n\r\n"),
    }
    figures: list[Figure] = []
    plain = 0.0
    for what, (begin, rest) in dribbles.items():
        cost = await microseconds_per_byte(target, begin, rest)
        plain = plain or cost
        figures.append(at_most(f"{what}: CPU for a byte", cost, 3 * plain, "us"))
    return figures


async def microseconds_per_byte(target: Target, begin: bytes, rest: bytes) -> float:
    async with connected(target) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await connection.send(begin)
        before = target.cpu_precisely()
        for place in range(len(rest)):
            await connection.send(rest[place : place + 1])
        answer = await connection.next_answer()
        cost = target.cpu_precisely() - before
    if answer is None or answer.status != 200:
        raise RuntimeError(f"not answered as expected: {answer}")
    return cost / len(rest) * 1e6


@attack(Bounds(memory=8))
async def full_speed(target: Target) -> list[Figure]:
    """8 connections upload, and then 8 download, as fast as the server can."""
    seconds = 1.0 if target.quick else 5.0
    return [
        await transferred(target, "uploaded", upload, seconds),
        await transferred(target, "uploaded in chunks", upload_chunks, seconds),
        await transferred(target, "downloaded", download, seconds),
    ]


@attack(Bounds(memory=8))
async def tiny_chunks_at_full_speed(target: Target) -> list[Figure]:
    """8 connections upload chunks of one byte, as fast as the server can."""
    return [await transferred(target, "uploaded", upload_tiny_chunks, 1.0 if target.quick else 5.0)]


Transfer = Callable[[Target, list[int]], Awaitable[None]]


async def transferred(target: Target, what: str, transfer: Transfer, seconds: float) -> Figure:
    count = [0]
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(transfer, target, count)
    return fact(what, count[0] / seconds / 1e6, "MB/s")


async def upload(target: Target, count: list[int]) -> None:
    await send_on(target, b"Content-Length: 1000000000000", bytes(65536), count)


async def upload_chunks(target: Target, count: list[int]) -> None:
    await send_on(target, b"Transfer-Encoding: chunked", b"400\r\n" + bytes(1024) + b"\r\n", count)


async def upload_tiny_chunks(target: Target, count: list[int]) -> None:
    await send_on(target, b"Transfer-Encoding: chunked", b"1\r\nx\r\n", count)


async def send_on(target: Target, framing: bytes, piece: bytes, count: list[int]) -> None:
    async with connected(target) as connection:
        await connection.send(b"POST /upload HTTP/1.1\r\nHost: attacker\r\n" + framing + b"\r\n\r\n")
        block = piece * (262144 // len(piece))
        for _ in itertools.count():
            await connection.send(block)
            count[0] += len(block)


async def download(target: Target, count: list[int]) -> None:
    async with connected(target) as connection:
        await connection.send(GET % b"/stream")
        while data := await connection.receive(262144):
            count[0] += len(data)
            connection.received.clear()

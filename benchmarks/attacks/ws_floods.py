"""WebSocket clients that send too much: frames by the million, messages that grow, promises."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Sequence

import trio

from .attack import MIB, Bounds, Figure, at_most, attack, equal, fact
from .connection import Connection
from .slow import left_alone
from .target import Target
from .websocket import (
    BINARY,
    CONTINUATION,
    DEFLATE,
    LARGEST,
    NOTICED,
    PING,
    PONG,
    TEXT,
    Seen,
    close,
    closed_with,
    frame,
    head,
    listen,
    websocket,
)

__all__: list[str] = []

AT_ONCE = 8
BLOCK = 64 * 1024
FRAGMENTS = 1024  # of a message, by default
PATHS = (b"/ws/echo", b"/ws/pieces", b"/ws/sleep")


def block(unit: bytes) -> bytes:
    return unit * max(1, BLOCK // len(unit))


class Crowd:
    """Connections that send on and on for a while, and read what the server says.

    Attributes:
      sent: bytes.
      received: bytes, of all of them.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.sent = 0
        self.received = 0

    async def flood(self, path: bytes, unit: bytes, *fields: bytes) -> None:
        """One connection: `unit` without end."""
        async with websocket(self.target, path, *fields) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(self._read, connection)
            while True:
                await connection.send(unit)
                self.sent += len(unit)

    async def _read(self, connection: Connection) -> None:
        while data := await connection.receive():
            self.received += len(data)
            connection.received.clear()

    async def for_seconds(self, seconds: float, floods: Sequence[tuple[bytes, ...]]) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for number in range(AT_ONCE):
                    path, unit, *fields = floods[number % len(floods)]
                    nursery.start_soon(self.flood, path, block(unit), *fields)


async def still_served(target: Target, path: bytes, flood: bytes) -> Figure:
    """Behind a flood that is over, on the same connection, a ping is answered, and the close."""
    async with websocket(target, path) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(connection.send, flood + frame(PING, b"last") + close())
        seen = await listen(connection, 10)
    return equal(
        f"behind {len(flood)} bytes to {path.decode()}: pongs and code", (seen.count[PONG] > 0, seen.code), (True, 1000)
    )


# Control frames.


@attack(Bounds(memory=8))
async def ws_pings(target: Target) -> list[Figure]:
    """8 WebSockets send pings without end and read the pongs: empty and full, to handlers that receive or sleep."""
    seconds = 1.0 if target.quick else 2.5
    figures: list[Figure] = []
    for size in (0, 125):
        ping = frame(PING, bytes(size))
        for path in (b"/ws/echo", b"/ws/sleep"):
            crowd = Crowd(target)
            await crowd.for_seconds(seconds, [(path, ping)])
            answered = crowd.received / (2 + size) / seconds
            figures.append(fact(f"of {size} bytes to {path.decode()}: answered", round(answered), "/s"))
        figures.append(await still_served(target, b"/ws/sleep", ping * 5000))
    return figures


@attack(Bounds(memory=8), options={"SEND_TIMEOUT": 5}, quick={"SEND_TIMEOUT": 0.7})
async def ws_pings_unread(target: Target) -> list[Figure]:
    """8 WebSockets send pings without end and never read a pong."""

    async def one(path: bytes, size: int) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async with websocket(target, path, receive_buffer=4096) as connection:
                await connection.send_patiently(itertools.repeat(block(frame(PING, bytes(size)))), 0)
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(AT_ONCE):
            nursery.start_soon(one, PATHS[number % 3], 125 * (number % 2))
        figures = await left_alone(target, 4.0 if target.quick else 8.0)
        nursery.cancel_scope.cancel()
    return figures


@attack(Bounds(memory=4))
async def ws_pongs(target: Target) -> list[Figure]:
    """8 WebSockets send pongs without end that nobody asked for: empty and full."""
    seconds = 1.0 if target.quick else 2.5
    figures: list[Figure] = []
    for size in (0, 125):
        pong = frame(PONG, bytes(size))
        crowd = Crowd(target)
        await crowd.for_seconds(seconds, [(path, pong) for path in PATHS])
        figures += [
            fact(f"of {size} bytes: taken", round(crowd.sent / len(pong) / seconds), "/s"),
            equal(f"of {size} bytes: answered", crowd.received, 0),
            await still_served(target, b"/ws/echo", pong * 5000),
        ]
    return figures


# Messages.


@attack(Bounds(memory=4), options=NOTICED)
async def ws_fragments(target: Target) -> list[Figure]:
    """A message in fragments of a byte, or of none, without end; and messages in as many as there may be."""
    figures: list[Figure] = []
    for path, size in itertools.product(PATHS, (0, 1)):
        fragments = frame(TEXT, b"x" * size, fin=False) + frame(CONTINUATION, b"x" * size, fin=False) * 100_000
        figures += closed_with(f"{size} byte to {path.decode()}", [await told(target, path, fragments)], 1008, 1.0)
    seconds = 1.0 if target.quick else 5.0
    whole = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * (FRAGMENTS - 2) + frame(CONTINUATION)
    for path in (b"/ws/count", b"/ws/pieces", b"/ws/sleep"):
        crowd = Crowd(target)
        await crowd.for_seconds(seconds, [(path, whole)])
        if path != b"/ws/sleep":
            rate = crowd.received / len(b"..1023") * FRAGMENTS / seconds
            figures.append(fact(f"{FRAGMENTS} in each message to {path.decode()}: fragments", round(rate), "/s"))
    return figures


async def told(target: Target, path: bytes, data: bytes, *fields: bytes, patience: float = 10.0) -> Seen:
    """How the server ends a WebSocket on which `data` is sent, by one that sends all of it if he can, and reads."""
    async with websocket(target, path, *fields) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(connection.send_patiently, [data], 0)
        seen = await listen(connection, patience, answer=False, until_close=True)
        nursery.cancel_scope.cancel()
    seen.ending = seen.ending or ("closed" if seen.code else "")
    return seen


@attack(Bounds(memory=24), options=NOTICED)
async def ws_unreceived(target: Target) -> list[Figure]:
    """50 WebSockets send messages of a byte, and 10 large ones, to handlers that receive none."""
    before = target.memory()
    figures: list[Figure] = []
    for what, count, size, most in (("of a byte", 50, 1, 160.0), ("of 256 KiB", 10, MIB // 4, 2.5 * 1024)):
        target.reset_peak()
        before = target.memory()
        message = block(frame(BINARY, bytes(size)))
        taken = [0] * count

        async def one(number: int, message: bytes = message, taken: list[int] = taken) -> None:
            async with websocket(target, b"/ws/sleep") as connection:
                while True:
                    await connection.send(message)
                    taken[number] += len(message)

        with trio.move_on_after(1.5):
            async with trio.open_nursery() as nursery:
                for number in range(count):
                    nursery.start_soon(one, number)
        grown = target.peak_memory() - before
        figures += [
            at_most(f"{what}: memory for each", grown * 1024 / count, most, "KiB"),
            fact(f"{what}: taken of each, most of it by the kernels", max(taken) / 1024, "KiB"),
        ]
    return figures


@attack(Bounds(memory=2))
async def ws_huge_promises(target: Target) -> list[Figure]:
    """Frames of 2^63-1 bytes, of a byte more than there may be, and of lengths that are none."""
    wide = (1 << 63).to_bytes(8)
    cases = {
        "2^63-1": (head(BINARY, (1 << 63) - 1), 1009),
        "a byte more": (head(TEXT, LARGEST + 1), 1009),
        "a byte more, in fragments": (frame(TEXT, bytes(9), fin=False) + head(CONTINUATION, LARGEST - 8), 1009),
        "2^63": (bytes([0x82, 0xFF]) + wide, 1002),
        "not as short as it can be": (bytes([0x82, 0xFE, 0, 5]), 1002),
        "a ping of 126": (bytes([0x89, 0xFE, 0, 126]), 1002),
    }
    figures: list[Figure] = []
    for path in PATHS:
        for what, (data, code) in cases.items():
            figures += closed_with(f"{what} to {path.decode()}", [await told(target, path, data)], code, 0.25)[::2]
    return figures


@attack(Bounds(memory=6, others=150))
async def ws_text(target: Target) -> list[Figure]:
    """Text that goes wrong in its last byte: of a mebibyte in a frame, in 1,000 fragments, and of 16 KiB."""
    figures: list[Figure] = []
    good = "aé€".encode() * (LARGEST // 6 - 1)
    parts = [good[start : start + 1002] for start in range(0, len(good), 1002)]
    cases = {
        "in a frame": frame(TEXT, good + b"\xff"),
        "in a frame, cut": frame(TEXT, good + b"\xe2\x82"),
        "in fragments": b"".join(
            frame(CONTINUATION if place else TEXT, part, fin=False) for place, part in enumerate(parts[:1000])
        )
        + frame(CONTINUATION, b"\xff"),
        "in 16 KiB": frame(TEXT, good[:16_000] + b"\xff"),
    }
    for path in PATHS:
        for what, data in cases.items():
            figures += closed_with(f"{what} to {path.decode()}", [await told(target, path, data)], 1007, 0.25)[::2]
    return figures


# Compression.


def deflated(data: bytes, level: int = 9) -> bytes:
    squeeze = zlib.compressobj(level, wbits=-15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


@attack(Bounds(memory=8, others=150))
async def ws_deflate_bomb(target: Target) -> list[Figure]:
    """64 KiB that would inflate to 64 MiB: in a frame, in fragments, and a hundred times."""
    bomb = deflated(bytes(64 * MIB))
    figures = [fact("size of the bomb", len(bomb) / 1024, "KiB")]
    pieces = [bomb[start : start + 1024] for start in range(0, len(bomb), 1024)]
    cases = {
        "in a frame": frame(BINARY, bomb, deflated=True),
        "as text": frame(TEXT, bomb, deflated=True),
        "in fragments": b"".join(
            frame(CONTINUATION if place else BINARY, piece, deflated=not place, fin=False)
            for place, piece in enumerate(pieces)
        ),
    }
    for path in (b"/ws/count/deflated", b"/ws/sleep/deflated"):
        for what, data in cases.items():
            before = target.memory()
            target.reset_peak()
            seen = await told(target, path, data, DEFLATE)
            grown = target.peak_memory() - before
            figures += closed_with(f"{what} to {path.decode()}", [seen], 1009, 0.25)[::2]
            figures.append(at_most(f"{what} to {path.decode()}: memory growth", max(0.0, grown), 2.1, "MiB"))
    for _ in range(100):
        figures += [
            figure
            for figure in closed_with(
                "again", [await told(target, b"/ws/count/deflated", cases["in a frame"], DEFLATE)], 1009, 1.0
            )
            if not figure.ok
        ]
    return figures


@attack(Bounds(memory=48, others=250), options=NOTICED)
async def ws_deflated(target: Target) -> list[Figure]:
    """8 WebSockets send compressed messages without end: small ones, and such that inflate to almost a mebibyte."""
    seconds = 1.0 if target.quick else 2.5
    figures: list[Figure] = []
    for what, message in (("10 bytes", b"0123456789"), ("almost a mebibyte", bytes(LARGEST - 100))):
        data = frame(BINARY, deflated(message), deflated=True)
        for path in (b"/ws/count/deflated", b"/ws/sleep/deflated"):
            crowd = Crowd(target)
            await crowd.for_seconds(seconds, [(path, data, DEFLATE)])
            if path == b"/ws/count/deflated":
                rate = crowd.received / len(b"..%d" % len(message)) / seconds
                figures.append(fact(f"{what} to {path.decode()}: answered", round(rate), "/s"))
    return figures

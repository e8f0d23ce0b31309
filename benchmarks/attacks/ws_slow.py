"""WebSocket clients that hold on: by saying nothing, by reading nothing, by never coming to an end; or that leave."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from .attack import Bounds, Figure, at_most, attack, equal, fact
from .connection import Connection, connected
from .leaving import as_before, in_crowd, in_rounds, state
from .polling import until
from .slow import answered, drip, endings, gone, left_alone, silence, together
from .target import Target, started_server
from .websocket import (
    BINARY,
    CONTINUATION,
    HANDSHAKE,
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
    upgrade,
    websocket,
)

__all__: list[str] = []

CROWD = 100
ALL_AT_ONCE = 250.0  # milliseconds that others may wait when a crowd comes or goes in the same instant
PATHS = (b"/ws/echo", b"/ws/pieces", b"/ws/sleep")

Behaviour = Callable[[Connection], Awaitable[None]]


async def ends(
    target: Target, count: int, path: bytes, behave: Behaviour, patience: float, **options: bool
) -> list[Seen]:
    """How `count` WebSockets end that all behave like that."""
    seen: list[Seen] = []

    async def one() -> None:
        async with websocket(target, path) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(behave, connection)
            seen.append(await listen(connection, patience, **options))
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as crowd:
        for _ in range(count):
            crowd.start_soon(one)
    return seen


SHORT = {
    "WEBSOCKET_PING_INTERVAL": 0.7,
    "WEBSOCKET_PING_TIMEOUT": 0.7,
    "WEBSOCKET_CLOSE_TIMEOUT": 0.7,
    "SEND_TIMEOUT": 0.7,
}


@attack(Bounds(memory=10, others=ALL_AT_ONCE), quick={"REQUEST_TIMEOUT": 0.7, "BODY_TIMEOUT": 0.7})
async def ws_handshakes(target: Target) -> list[Figure]:
    """200 handshakes that do not end: a byte a second, stopped, or with a body that never comes."""
    within = 4.0 if target.quick else 60.5
    shake = HANDSHAKE % (b"/ws/echo", b"X-Slow: ")
    body = HANDSHAKE % (b"/ws/echo", b"Content-Length: 1000\r\n")

    async def case(what: str, count: int, *pieces: bytes, then: bytes = b"") -> list[Figure]:
        slow = drip(*pieces, then=then, interval=0.2 if target.quick else 1.0)
        verdicts = await endings(target, count, slow, patience=within + 5)
        return [*gone(what, verdicts, within), answered(what, verdicts, 408)]

    return await together(
        case("a byte a second", 100, shake[:-4], then=b"x"),
        case("stopped", 50, shake[:-4]),
        case("with a body that never comes", 50, body),
    )


@attack(Bounds(memory=30, others=ALL_AT_ONCE), quick=SHORT)
async def ws_half_frames(target: Target) -> list[Figure]:
    """180 WebSockets send half a frame, and then nothing, not even a pong: of a header, of a mebibyte, of 64 KiB."""
    within = 3.0 if target.quick else 41.0

    async def case(what: str, path: bytes, data: bytes) -> list[Figure]:
        seen = await ends(target, CROWD // 5, path, drip(data), within + 5)
        return closed_with(f"{what} to {path.decode()}", seen, 1011, within)

    async def measured(what: str, data: bytes, most: float) -> list[Figure]:
        before = target.memory()
        async with trio.open_nursery() as crowd:

            async def one() -> None:
                async with websocket(target, b"/ws/echo") as connection:
                    await connection.send(data)
                    await trio.sleep_forever()

            for _ in range(CROWD):
                crowd.start_soon(one)
            await trio.sleep(0.5)
            grown = target.memory() - before
            crowd.cancel_scope.cancel()
        return [at_most(f"{what}: memory for each", max(0.0, grown * 1024 / CROWD), most, "KiB")]

    half = head(BINARY, 65536) + bytes(32768)
    figures = [
        *await measured("of a mebibyte that was only declared", head(BINARY, LARGEST), 32.0),
        *await measured("32 KiB of 64", half, 96.0),
    ]
    halves = {
        "half a header": bytes([0x82, 0xFE, 1]),
        "a mebibyte, declared": head(BINARY, LARGEST),
        "32 KiB of 64": half,
    }
    cases = itertools.product(halves.items(), PATHS)
    return figures + await together(*(case(what, path, data) for (what, data), path in cases))


@attack(Bounds(memory=20, others=ALL_AT_ONCE), quick=SHORT)
async def ws_silence(target: Target) -> list[Figure]:
    """300 WebSockets say nothing and answer no ping."""
    within = 3.0 if target.quick else 41.0

    async def case(path: bytes) -> list[Figure]:
        return closed_with(path.decode(), await ends(target, CROWD, path, silence, within + 5), 1011, within)

    return await together(*(case(path) for path in PATHS))


@attack(Bounds(memory=20, others=ALL_AT_ONCE), quick=SHORT)
async def ws_unanswered_close(target: Target) -> list[Figure]:
    """200 WebSockets do not answer a close: some say nothing, some send on and on."""
    within = 3.0 if target.quick else 6.0
    message = frame(BINARY, bytes(1000)) * 10

    async def send_on(connection: Connection) -> None:
        await connection.send_patiently(itertools.repeat(message), 0.01)

    async def case(what: str, behave: Behaviour) -> list[Figure]:
        return closed_with(
            what, await ends(target, CROWD, b"/ws/leave", behave, within + 5, answer=False), 1000, within
        )

    return await together(case("silent", silence), case("sending on", send_on))


@attack(Bounds(memory=24, fresh=False), quick=SHORT)
async def ws_unread(target: Target) -> list[Figure]:
    """64 WebSockets read nothing of messages without end, 32 of echoes of what they send."""
    within = 4.0 if target.quick else 62.0

    async def one(number: int) -> None:
        path = (b"/ws/stream", b"/ws/stream", b"/ws/echo")[number % 3]
        async with websocket(target, path, receive_buffer=4096) as connection:
            if path == b"/ws/echo":
                await connection.send_patiently(itertools.repeat(frame(BINARY, bytes(16_000))), 0)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(96):
            nursery.start_soon(one, number)
        figures = await left_alone(target, within)
        nursery.cancel_scope.cancel()
    return figures


@attack(Bounds(memory=4))
async def ws_byte_by_byte(target: Target) -> list[Figure]:
    """A message, its fragments, and pings, each sent byte by byte as fast as it goes; what a byte costs."""
    figures: list[Figure] = []
    # What waits for a handler that sleeps has to find room.
    for path, size in ((b"/ws/count", 3000 if target.quick else 15_000), (b"/ws/sleep", 1500)):
        fragments = [frame(CONTINUATION if place else TEXT, bytes(100), fin=False) for place in range(size // 100)]
        dribbles = {
            "a message": frame(TEXT, bytes(size)),
            "fragments": b"".join(fragments) + frame(CONTINUATION),
            "messages": frame(TEXT, bytes(100)) * (size // 100),
            "pings": frame(PING, bytes(100)) * (size // 100),
        }
        for what, data in dribbles.items():
            cost = await microseconds_per_byte(target, path, data)
            figures.append(at_most(f"{what} to {path.decode()}: CPU for a byte", cost, 60.0, "us"))
    return figures


async def microseconds_per_byte(target: Target, path: bytes, data: bytes) -> float:
    async with websocket(target, path) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = target.cpu_precisely()
        for place in range(len(data)):
            await connection.send(data[place : place + 1])
        await connection.send(close())
        seen = await listen(connection, 10)
        cost = target.cpu_precisely() - before
    if seen.code != 1000:
        raise RuntimeError(f"not closed as expected: {seen}")
    return cost / len(data) * 1e6


@attack(Bounds(memory=16, log=5, others=ALL_AT_ONCE), options=NOTICED)
async def ws_churn(target: Target) -> list[Figure]:
    """3,000 WebSockets that are closed as soon as they are open: with a close, with FIN, with RST, or two of these."""
    before = await state(target)

    async def one(number: int) -> None:
        async with websocket(target, PATHS[number % 3]) as connection:
            if number % 2:
                await connection.send(frame(TEXT, b"hello") + close())
            match number % 5:
                case 0:
                    await connection.finish()
                case 1:
                    connection.reset()
                case 2:
                    connection.close()
                case _:
                    await connection.send(close())
                    await listen(connection, 5)

    began = trio.current_time()
    await in_crowd(500 if target.quick else 3000, one)
    seconds = trio.current_time() - began
    return [fact("took", seconds, "s"), *await as_before(target, before)]


@attack(Bounds(memory=24, log=5, others=ALL_AT_ONCE), options=NOTICED)
async def ws_random(target: Target) -> list[Figure]:
    """3,200 WebSockets, in rounds, that do anything: frames of all kinds, cut anywhere, closes, stalls, FIN and RST."""
    rounds, count = (2, 200) if target.quick else (8, 400)

    async def go(number: int) -> None:
        chance = random.Random(number % 4)  # so that what is allocated once has been, half way through
        await live_at_random(target, [life(chance) for _ in range(count)])

    return await in_rounds(target, rounds, count, go)


async def live_at_random(target: Target, lives: Sequence[Life]) -> None:
    async def one(number: int) -> None:
        await live(target, lives[number])

    await in_crowd(len(lives), one)


ALL_PATHS = (*PATHS, b"/ws/count", b"/ws/stream", b"/ws/leave")


@dataclass(frozen=True, slots=True)
class Life:
    """Of one connection.

    Attributes:
      pipelined: sent with the handshake.
      frames: sent behind it.
      fate: how it ends.
    """

    path: bytes
    pipelined: bytes
    frames: bytes
    fate: float
    reads: bool


def life(chance: random.Random) -> Life:
    frames = b"".join(some_frame(chance) for _ in range(int(chance.expovariate(1 / 8))))
    if chance.random() < 0.3:
        frames = frames[: chance.randrange(len(frames) + 1)]
    cut = chance.randrange(len(frames) + 1) if chance.random() < 0.3 else 0
    return Life(chance.choice(ALL_PATHS), frames[:cut], frames[cut:], chance.random(), chance.random() < 0.7)


def some_frame(chance: random.Random) -> bytes:
    luck = chance.random()
    if luck < 0.02:
        return chance.randbytes(20)
    if luck < 0.05:
        return close()
    opcode = chance.choice([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG])
    size = int(chance.expovariate(1 / 50)) % 126
    if opcode in (TEXT, BINARY) and chance.random() < 0.1:
        size = int(chance.expovariate(1 / 100_000))
    return frame(opcode, bytes(size), fin=opcode in (PING, PONG) or chance.random() < 0.8)


async def live(target: Target, life: Life) -> None:
    async with connected(target) as connection:
        await upgrade(connection, life.path, behind=life.pipelined)
        with trio.move_on_after(0.5):
            await connection.send(life.frames)
            if life.reads:
                await listen(connection, 0.2, answer=life.fate < 0.5)
        if life.fate < 0.3:
            connection.reset()
        elif life.fate < 0.5:
            await connection.finish()
            with trio.move_on_after(0.1):
                await connection.receive_to_end()


@attack(Bounds(fresh=False))
async def ws_stay_while_it_stops(target: Target) -> list[Figure]:
    """150 WebSockets hold another server that is told to stop: no answer to its close, no reading, half a message."""
    options = {"GRACEFUL_SHUTDOWN_TIMEOUT": 0.5, "CANCEL_GRACE": 0.5}
    half = head(BINARY, 1000)
    held = [
        (path, data)
        for path in (*PATHS, b"/ws/stream", b"/ws/leave")
        for data in (b"", half, frame(BINARY, b"x") * 1000)
    ]
    with started_server(options, quick=target.quick) as victim:
        async with trio.open_nursery() as nursery:

            async def one(number: int) -> None:
                path, data = held[number % len(held)]
                async with websocket(victim, path, receive_buffer=4096) as connection:
                    await connection.send_patiently([data], 0)
                    await trio.sleep_forever()

            for number in range(10 * len(held)):
                nursery.start_soon(one, number)
            await trio.sleep(0.7)
            victim.terminate()
            seconds = await until(lambda: not victim.running(), 10)
            nursery.cancel_scope.cancel()
        log = victim.log()
    return [
        at_most("ended after", seconds, 2.5, "s"),
        equal("the last line of its log says stopped", log[-1].endswith("stopped"), True),
        equal("tracebacks in its log", sum("Traceback" in line for line in log), 0),
    ]

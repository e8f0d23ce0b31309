"""The client's side of a WebSocket with nothing between it and the attacker: any frame, whole, torn or wrong.

What the server sends is parsed just far enough to be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from .attack import Figure, at_most, equal
from .connection import Connection, connected
from .target import Target

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEFLATE",
    "HANDSHAKE",
    "LARGEST",
    "NOTICED",
    "PING",
    "PONG",
    "TEXT",
    "Seen",
    "close",
    "closed_with",
    "frame",
    "head",
    "listen",
    "take_frames",
    "upgrade",
    "websocket",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LARGEST = 1 << 20  # octets of a message, by default

# An option of the server: who leaves behind more than it reads of him is noticed when he is pinged.
NOTICED = {"WEBSOCKET_PING_INTERVAL": 2}

HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: attacker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%b\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"

# A mask that changes nothing costs the server as much as any other.
MASK = bytes(4)


def head(opcode: int, size: int, *, fin: bool = True, deflated: bool = False) -> bytes:
    """Of a frame of `size` octets, which need not follow."""
    first = fin << 7 | deflated << 6 | opcode
    if size < 126:
        return bytes([first, 0x80 | size]) + MASK
    if size < 1 << 16:
        return bytes([first, 0x80 | 126]) + size.to_bytes(2) + MASK
    return bytes([first, 0x80 | 127]) + size.to_bytes(8) + MASK


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, deflated: bool = False) -> bytes:
    return head(opcode, len(payload), fin=fin, deflated=deflated) + payload


def close(code: int = 1000) -> bytes:
    return frame(CLOSE, code.to_bytes(2))


def take_frames(received: bytearray) -> list[tuple[int, bytes]]:
    """Opcode and payload of each frame that is here whole."""
    frames = []
    start = 0
    while (begin := start + 2) <= len(received):
        size = received[start + 1] & 0x7F
        if size >= 126:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(received[begin : begin + wide])
            begin += wide
        if begin + size > len(received):
            break
        frames.append((received[start] & 0x0F, bytes(received[begin : begin + size])))
        start = begin + size
    del received[:start]
    return frames


@dataclass(slots=True)
class Seen:
    """What a client has seen of a WebSocket.

    Attributes:
      count: frames, by their opcode.
      code: of the server's close; 0 if there was none.
      ending: as for `connection.Verdict`.
      seconds: until then.
    """

    count: Counter[int] = field(default_factory=Counter)
    code: int = 0
    ending: str = ""
    seconds: float = 0.0

    def add(self, frames: Iterable[tuple[int, bytes]]) -> bool:
        """Whether a close is among them."""
        for opcode, payload in frames:
            self.count[opcode] += 1
            if opcode == CLOSE:
                self.code = int.from_bytes(payload[:2])
        return bool(self.count[CLOSE])


async def upgrade(connection: Connection, path: bytes, *fields: bytes, behind: bytes = b"") -> None:
    """Open a WebSocket; `behind` is sent in the same write."""
    await connection.send(HANDSHAKE % (path, b"".join(fields)) + behind)
    answer = await connection.next_answer()
    if answer is None or answer.status != 101:
        raise RuntimeError(f"no WebSocket at {path.decode()}: {answer}")


@asynccontextmanager
async def websocket(
    target: Target, path: bytes, *fields: bytes, receive_buffer: int | None = None
) -> AsyncIterator[Connection]:
    async with connected(target, receive_buffer=receive_buffer) as connection:
        await upgrade(connection, path, *fields)
        yield connection


async def listen(connection: Connection, patience: float, *, answer: bool = True, until_close: bool = False) -> Seen:
    """Read until the connection ends, or until the server's close.

    Parameters:
      answer: whether the server's close is answered.
    """
    seen = Seen()
    began = trio.current_time()
    with trio.move_on_after(patience):
        try:
            while True:
                if seen.add(take_frames(connection.received)):
                    if until_close:
                        break
                    if answer:
                        answer = False
                        await connection.send(close())
                if not await connection.receive():
                    seen.ending = "FIN"
                    break
        except trio.BrokenResourceError:
            seen.ending = "RST"
    seen.seconds = trio.current_time() - began
    return seen


def closed_with(what: str, seen: Iterable[Seen], code: int, within: float) -> list[Figure]:
    """All of them closed with `code`, and their connections ended in time."""
    crowd = list(seen)
    return [
        equal(f"{what}: closed with {code}", sum(one.code == code for one in crowd), len(crowd)),
        equal(f"{what}: connections not ended", sum(not one.ending for one in crowd), 0),
        at_most(f"{what}: ended after", max(one.seconds for one in crowd), within, "s"),
    ]

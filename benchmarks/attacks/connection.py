"""A client's connection with nothing between it and the attacker: bytes out, bytes in, FIN or RST.

What the server answers is parsed just far enough to be counted.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import trio

from .target import Target

__all__ = ["GET", "Answer", "Connection", "Verdict", "ask", "connected", "end_of", "flood"]

GET = b"GET %b HTTP/1.1\r\nHost: attacker\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a connection ended.

    Attributes:
      answers: those that could be read.
      ending: "FIN", "RST", or "" if the server was still there when patience ended.
      seconds: from the first byte sent to the ending.
      sent: bytes.
    """

    answers: list[Answer]
    ending: str
    seconds: float
    sent: int = 0

    @property
    def status(self) -> int:
        return self.answers[-1].status if self.answers else 0


class Connection:
    """One TCP connection."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self.socket = sock
        self.stream = trio.SocketStream(sock)
        self.received = bytearray()

    @classmethod
    async def open(cls, target: Target, *, receive_buffer: int | None = None) -> Self:
        """Connect; `receive_buffer` bounds what the kernel takes for a client that does not read."""
        sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await sock.connect((target.host, target.port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_patiently(self, pieces: Iterable[bytes], interval: float) -> int:
        """Send a piece every `interval` seconds until there are no more or nobody takes them; how many bytes it was."""
        sent = 0
        try:
            for piece in pieces:
                await self.send(piece)
                sent += len(piece)
                await trio.sleep(interval)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # that the server has gone, the reading side tells with more precision
        return sent

    async def receive(self, size: int = 65536) -> bytes:
        data = await self.stream.receive_some(size)
        self.received += data
        return bytes(data)

    async def next_answer(self) -> Answer | None:
        """The next answer; None if the connection ends before it is whole."""
        while (answer := self.take_answer()) is None:
            if not await self.receive():
                return None
        return answer

    def take_answer(self) -> Answer | None:
        """The next answer, if it is here."""
        end = self.received.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head = bytes(self.received[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        if len(self.received) < end + length:
            return None
        answer = Answer(int(head[9:12]), head, bytes(self.received[end : end + length]))
        del self.received[: end + length]
        return answer

    def take_answers(self) -> list[Answer]:
        return list(iter(self.take_answer, None))

    async def receive_to_end(self) -> str:
        """Read until the server ends the connection; "FIN" or "RST"."""
        try:
            while await self.receive():
                pass
        except trio.BrokenResourceError:
            return "RST"
        return "FIN"

    async def finish(self) -> None:
        """Send FIN."""
        await self.stream.send_eof()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@asynccontextmanager
async def connected(target: Target, *, receive_buffer: int | None = None) -> AsyncIterator[Connection]:
    connection = await Connection.open(target, receive_buffer=receive_buffer)
    try:
        yield connection
    finally:
        connection.close()


async def end_of(connection: Connection, patience: float) -> Verdict:
    """Read until the connection ends, for `patience` seconds at most."""
    began = trio.current_time()
    ending = ""
    with trio.move_on_after(patience):
        ending = await connection.receive_to_end()
    return Verdict(connection.take_answers(), ending, trio.current_time() - began)


async def flood(target: Target, pieces: Iterable[bytes], *, deaf: bool, patience: float = 30.0) -> Verdict:
    """Send as fast as the server takes it, then read until the end.

    A `deaf` client, as most are, looks for an answer only when it has sent everything, or cannot; others read
    meanwhile, and stop sending when the connection has ended.
    """
    began = trio.current_time()
    sent = 0

    async def send() -> None:
        nonlocal sent
        try:
            for piece in pieces:
                await connection.send(piece)
                sent += len(piece)
        except trio.BrokenResourceError:
            pass  # read what there is to read

    async with connected(target) as connection, trio.open_nursery() as nursery:
        if deaf:
            with trio.move_on_after(patience):
                await send()
        else:
            nursery.start_soon(send)
        verdict = await end_of(connection, patience)
        nursery.cancel_scope.cancel()
    return Verdict(verdict.answers, verdict.ending, trio.current_time() - began, sent)


async def ask(target: Target, path: bytes) -> Answer:
    """One request on a connection of its own."""
    async with connected(target) as connection:
        await connection.send(GET % path)
        answer = await connection.next_answer()
    if answer is None:
        raise RuntimeError(f"no answer to GET {path.decode()}")
    return answer

"""A client that sends the bytes it is told to and leaves as it is told to; h11 reads what it is answered."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

import h11
import trio


class CutShortError(Exception):
    """The connection ended, in whatever way, where there should have been an answer."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    http_version: str = "1.1"
    interim: list[int] = field(default_factory=list)


class RawClient(trio.abc.AsyncResource):
    """The client's end of a connection."""

    def __init__(self, stream: trio.SocketStream, sock: trio.socket.SocketType) -> None:
        self.stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        self.sock = sock
        self._received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def get(self, path: str = "/", headers: str = "") -> Answer:
        await self.send(request_for(path, headers))
        return await self.answer()

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer; what follows it is kept.

        Raises:
          CutShortError: there is none, or not all of it.
        """
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "-")]))
        parser.send(h11.EndOfMessage())
        if self._received:  # to h11 no bytes are the end
            parser.receive_data(self._received)
        answer = Answer(0, {}, b"")
        ended = False
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as exc:
                if ended:
                    raise CutShortError from exc
                raise
            if event is h11.NEED_DATA:
                ended = not await self._feed(parser)
            elif isinstance(event, h11.InformationalResponse):
                answer.interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                answer.http_version = event.http_version.decode()
            elif isinstance(event, h11.Data):
                answer.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._received = parser.trailing_data[0]
                return answer
            else:
                raise AssertionError(f"h11 has nothing else for a client, but it has {event!r}")

    async def _feed(self, parser: h11.Connection) -> bool:
        """Give `parser` what comes next; False at the end."""
        try:
            data = bytes(await self.stream.receive_some())
        except trio.BrokenResourceError as exc:
            raise CutShortError from exc
        parser.receive_data(data)
        return data != b""

    async def rest(self) -> bytes:
        """Everything until the server ends its stream; a reset is an error."""
        rest, self._received = self._received, b""
        async for piece in self.stream:
            rest += piece
        return rest

    async def is_closed(self) -> bool:
        """Whether the server ends the connection without another word, be it gently or not."""
        try:
            return await self.rest() == b""
        except trio.BrokenResourceError:
            return True

    # --- ways to leave -----------------------------------------------------------------------------------------------

    async def half_close(self) -> None:
        """FIN, and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)
        await trio.lowlevel.checkpoint()

    def leave(self) -> None:
        """FIN, without a word of TLS."""
        self.sock.close()

    def reset(self) -> None:
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def say_goodbye(self) -> None:
        """Politely: with TLS, close_notify before FIN."""
        await self.stream.aclose()

    async def aclose(self) -> None:
        self.sock.close()
        await trio.lowlevel.checkpoint()


def request_for(path: str, headers: str = "", method: str = "GET") -> bytes:
    """A request without a body; `headers` are whole lines."""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()

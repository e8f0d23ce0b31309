"""What is sent comes back byte for byte, in its order and to whom it belongs, however it is cut up on its way.

Many connections at once send bodies of all sizes in pieces of all sizes, over small kernel buffers, so that every read
and every write of the server has to wait somewhere.  What they do is random from a fixed seed.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio
from integration.live_server import Certificates, Live, listening_socket, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request

CONNECTIONS = 12
REQUESTS = 12  # on each
SIZES = (0, 1, 100, 4096, 65535, 65536, 65537, 200_000)
PIECES = (1000, 1448, 16384, 65536, 300_000)
SMALL = 8192  # bytes of a kernel buffer


@pytest.fixture
def app() -> App:
    app = App("echo", {"MAX_REQUESTS_PER_CONNECTION": REQUESTS}, env_prefix=None)

    @app.post("/stream", stream=True)
    async def stream(request: Request) -> None:
        async with await request.respond() as response:
            async for piece in request.stream:
                await response.send(piece)

    @app.post("/whole")
    async def whole(request: Request) -> bytes:
        return request.body

    @app.post("/pieces", stream=True)
    async def pieces(request: Request) -> None:
        async with await request.respond() as response:
            while piece := await request.stream.receive_some(10_777):
                await response.send(piece)

    return app


class Talker:
    """One connection's requests."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    async def talk(self, client: RawClient) -> None:
        bodies = [self.random.randbytes(self.random.choice(SIZES)) for _ in range(REQUESTS)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.send_all, client, bodies)
            for body in bodies:
                answer = await client.answer("POST")
                assert (answer.status, len(answer.body)) == (200, len(body))
                assert answer.body == body

    async def send_all(self, client: RawClient, bodies: list[bytes]) -> None:
        """Pipelined: the next request is sent while the answer to the last one travels."""
        for body in bodies:
            path = f"/{self.random.choice(['stream', 'whole', 'pieces'])}"
            if self.random.random() < 0.5:
                await client.send(request_for(path, f"Content-Length: {len(body)}\r\n", "POST"))
                for piece in self.cut(body):
                    await client.send(piece)
            else:
                await client.send(request_for(path, "Transfer-Encoding: chunked\r\n", "POST"))
                for piece in self.cut(body):
                    await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                await client.send(b"0\r\n\r\n")

    def cut(self, body: bytes) -> list[bytes]:
        pieces = []
        while body:
            size = self.random.choice(PIECES)
            pieces.append(body[:size])
            body = body[size:]
        return pieces


@pytest.mark.parametrize("road", ["TCP", "TLS", "unix"])
async def test_everybody_gets_back_what_he_sent(road, app: App, certificates: Certificates, tmp_path: Path):
    tls = certificates if road == "TLS" else None
    path = tmp_path / "socket"

    async def talk(live: Live, number: int) -> None:
        if road == "unix":
            stream = await trio.open_unix_socket(path)
            client = RawClient(stream, stream.socket)
        else:
            client = await live.connect(receive_buffer=SMALL)
        async with client:
            await Talker(number).talk(client)
            assert await client.is_closed()

    where = (
        {"unix": str(path)}
        if road == "unix"
        else {"fd": listening_socket(send_buffer=SMALL, receive_buffer=SMALL).detach()}
    )
    async with serving(app, tls=tls, **where) as live, trio.open_nursery() as nursery:
        for number in range(CONNECTIONS):
            nursery.start_soon(talk, live, number)

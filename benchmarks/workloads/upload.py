"""A streamed upload: 100 MiB that the handler counts piece by piece.

The load is a plain blocking socket, one connection after the other, so that the client costs next to nothing.
"""

from __future__ import annotations

import socket
import time

from side_by_side.workload import BenchmarkError, Figures, Goal, Line, Probe, Round, Server, Workload

PIECE = b"x" * (256 * 1024)
PIECES = 400  # 100 MiB
SIZE = PIECES * len(PIECE)
TIMEOUT = 10.0  # seconds that one operation may stand still

HEAD = (
    b"POST /upload HTTP/1.1\r\n"
    b"Host: localhost\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: close\r\n"
    b"\r\n"
) % SIZE


def measure(server: Server, round: Round) -> Figures:
    uploads = 0
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < round.effort.seconds:
        upload(server.port)
        uploads += 1
    return {"rate": uploads * SIZE / seconds}


def upload(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock, sock.makefile("rb") as answer:
        sock.sendall(HEAD)
        for _ in range(PIECES):
            sock.sendall(PIECE)
        received = answer.read()
    if not received.startswith(b"HTTP/1.1 200 ") or not received.endswith(b"\r\n\r\n%d" % SIZE):
        raise BenchmarkError(f"an upload was answered {received[:300]!r}")


WORKLOAD = Workload(
    "upload",
    "100 MiB with a Content-Length, streamed to the handler, one connection after the other",
    peers=("sanic", "uvicorn"),
    probe=Probe(b"1000", "/upload", "POST", body=b"x" * 1000),
    lines=(Line("rate", "MB/s", scale=1e6, goals=(Goal("uvicorn", 1.3, 1.0),)),),
    measure=measure,
)

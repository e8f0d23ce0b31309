"""How much memory an echo takes: uploads far more than fits, through one handler that streams it straight back.

    python benchmarks/echo_memory.py                 2 GiB
    python benchmarks/echo_memory.py --mib 64        what the tests do

The server is a process of its own, so that its memory is its own.  Its peak is looked at after a short echo, when all
code has run once and all buffers have been there, and again after the long one; the difference is printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import trio

from trioframe import App, Request

MIB = 1024 * 1024
PIECE = bytes(range(256)) * 1024  # 256 KiB; what is sent, over and over
WARM_UP = 8 * MIB
TIMEOUT = 30.0  # seconds one operation on a socket may stand still


# --- the server -------------------------------------------------------------------------------------------------------

app = App("echo", env_prefix=None)


@app.post("/echo", stream=True)
async def echo(request: Request) -> None:
    async with await request.respond() as response:
        async for piece in request.stream:
            await response.send(piece)


@app.get("/peak")
async def peak(request: Request) -> dict[str, int]:
    return {"bytes": peak_memory()}


def peak_memory() -> int:
    """The most memory this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux a program inherits that from the process which started it.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].removesuffix("kB")) * 1024
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum if sys.platform == "darwin" else maximum * 1024


def serve(fd: int) -> None:
    async def until_nobody_is_left() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(app.serve, fd=fd))
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()

    trio.run(until_nobody_is_left)


# --- the client -------------------------------------------------------------------------------------------------------


def measure(size: int) -> dict[str, float]:
    """Echo `size` bytes; what it took."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, fd = listening.getsockname(), listening.fileno()
        command = [sys.executable, __file__, "--serve", str(fd)]
        server = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.PIPE)
    try:
        send_echo(address, WARM_UP)
        before = ask_peak(address)
        began = time.perf_counter()
        send_echo(address, size)
        seconds = time.perf_counter() - began
        after = ask_peak(address)
    finally:
        server.kill()
        server.communicate()
    return {
        "echoed_mib": round(size / MIB, 1),
        "peak_before_mib": round(before / MIB, 2),
        "growth_mib": round((after - before) / MIB, 2),
        "mib_per_second": round(size / MIB / seconds, 1),
    }


def send_echo(address: tuple[str, int], size: int) -> None:
    """Upload `size` bytes while reading them back; raises if what comes back is not what was sent."""
    with socket.create_connection(address, TIMEOUT) as sock, sock.makefile("rb") as answer:
        sender = threading.Thread(target=upload, args=(sock, size))
        sender.start()
        for _ in iter(answer.readline, b"\r\n"):
            pass
        received = 0
        while length := int(answer.readline(), 16):
            piece = answer.read(length)
            offset = received % len(PIECE)
            if piece != (PIECE * (length // len(PIECE) + 2))[offset : offset + length]:
                raise ValueError(f"what came back after {received} bytes is not what was sent")
            received += length
            answer.readline()
        sender.join()
    if received != size:
        raise ValueError(f"{size} bytes were sent and {received} came back")


def upload(sock: socket.socket, size: int) -> None:
    sock.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
    while size > 0:
        sock.sendall(PIECE[:size])
        size -= len(PIECE)


def ask_peak(address: tuple[str, int]) -> int:
    with socket.create_connection(address, TIMEOUT) as sock, sock.makefile("rb") as answer:
        sock.sendall(b"GET /peak HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return int(json.loads(answer.read().partition(b"\r\n\r\n")[2])["bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description="How much memory an echo takes.")
    parser.add_argument("--mib", type=int, default=2048, help="how much is echoed (2048)")
    parser.add_argument("--serve", type=int, metavar="FD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
    else:
        sys.stdout.write(json.dumps(measure(options.mib * MIB)) + "\n")


if __name__ == "__main__":
    main()

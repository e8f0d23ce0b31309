"""How much longer others wait while one connection takes all it can get.

    python benchmarks/fairness.py                       all floods; a minute
    python benchmarks/fairness.py --rounds 15 requests  longer, and only this one

50 bystanders, each on a connection of its own, ask ten times a second; the 99th percentile of their latency is taken
without a flood and beside it, in turn, and the medians of the rounds are printed as JSON.  A flood is one connection
that pipelines requests without end, uploads to a handler that reads as fast as it can, or downloads from one that sends
as fast as it can.

Server, bystanders and flood are processes of their own.  Where the system allows it, the server has a processor for
itself, and the flood yields to the bystanders on the others: what is measured is the server, not the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

import trio

from trioframe import App, Request

BYSTANDERS = 50
INTERVAL = 0.1  # seconds between two requests of one bystander
SECONDS = 2.0  # that one percentile is taken over
SETTLING = 0.5  # seconds a flood has to rise before anything is measured
TIMEOUT = 30.0  # seconds one operation on a socket may stand still
PIECE = b"x" * 16 * 1024

Address = tuple[str, int]


# --- the server -------------------------------------------------------------------------------------------------------

app = App("fairness", {"MAX_REQUESTS_PER_CONNECTION": math.inf}, env_prefix=None)


@app.get("/ping")
async def ping(request: Request) -> str:
    return "pong"


@app.post("/read", stream=True)
async def read(request: Request) -> str:
    async for _ in request.stream:
        pass
    return "read"


@app.get("/send")
async def send(request: Request) -> None:
    response = await request.respond()
    while True:
        await response.send(PIECE)


def serve(fd: int) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        trio.run(partial(app.serve, fd=fd))


# --- the bystanders ---------------------------------------------------------------------------------------------------

PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


def stand_by(address: Address) -> list[float]:
    """Ask in turn, evenly spread over the time; the latencies in seconds."""
    clients = [socket.create_connection(address, TIMEOUT) for _ in range(BYSTANDERS)]
    asked: dict[Any, float] = {}  # when each client that waits for an answer has asked
    latencies: list[float] = []
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client, selectors.EVENT_READ)
    began = due = time.perf_counter()
    for number in range(round(SECONDS / INTERVAL * BYSTANDERS)):
        due = began + number * INTERVAL / BYSTANDERS
        while (wait := due - time.perf_counter()) > 0:
            latencies += take_answers(selector, asked, wait)
        client = clients[number % BYSTANDERS]
        late = client in asked  # its former answer has not come: it waits since it was to ask
        while client in asked:
            latencies += take_answers(selector, asked, TIMEOUT)
        asked[client] = due if late else time.perf_counter()
        client.sendall(PING)
    while asked:
        latencies += take_answers(selector, asked, TIMEOUT)
    return latencies


def take_answers(selector: selectors.BaseSelector, asked: dict[Any, float], wait: float) -> Iterator[float]:
    for key, _ in selector.select(wait):
        client: Any = key.fileobj
        if not client.recv(65536).endswith(b"pong"):  # so small an answer comes in one piece
            raise ConnectionError("a bystander has not got its answer")
        yield time.perf_counter() - asked.pop(client)


# --- the floods -------------------------------------------------------------------------------------------------------

FLOODS = {
    "requests": (b"", PING * 500),
    "upload": (b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % 10**15, PIECE * 16),
    "download": (b"GET /send HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
}


def flood(address: Address, name: str) -> None:
    """Take all there is to be had, until somebody ends this process."""
    os.nice(19)
    first, more = FLOODS[name]
    with socket.create_connection(address, TIMEOUT) as sock:
        sock.settimeout(None)
        sock.sendall(first)
        if more:
            threading.Thread(target=send_for_ever, args=(sock, more), daemon=True).start()
        while sock.recv(64 * 1024):
            pass


def send_for_ever(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


# --- all together -----------------------------------------------------------------------------------------------------


def measure(names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, fd = listening.getsockname(), listening.fileno()
        with running("--serve", str(fd), fds=[fd], processors=SERVER):
            percentile(address)  # all of its code has run once
            return {name: compare(address, name, rounds) for name in names}


def compare(address: Address, name: str, rounds: int) -> dict[str, float]:
    without, beside = [], []
    for _ in range(rounds):
        without.append(percentile(address))
        with running("--flood", name, "--port", str(address[1])) as flood:
            time.sleep(SETTLING)
            beside.append(percentile(address))
            if flood.poll() is not None:
                raise RuntimeError(f"the flood of {name} has ended by itself")
    return {
        "p99_without_ms": round(median(without) * 1000, 3),
        "p99_beside_ms": round(median(beside) * 1000, 3),
        "ratio": round(median(beside) / median(without), 2),
    }


def percentile(address: Address) -> float:
    """What 99 of 100 requests of the bystanders do not exceed, in seconds."""
    with running("--stand-by", "--port", str(address[1])) as process:
        output, _ = process.communicate()
    latencies = sorted(json.loads(output))
    return float(latencies[len(latencies) * 99 // 100])


SERVER, CLIENTS = slice(0, 1), slice(1, None)  # whose are which processors


@contextlib.contextmanager
def running(*arguments: str, fds: Sequence[int] = (), processors: slice = CLIENTS) -> Iterator[subprocess.Popen[bytes]]:
    """This program in another role, on some of the processors; it ends with the block."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, pass_fds=fds, stdout=subprocess.PIPE) as process:
        try:
            if hasattr(os, "sched_setaffinity") and len(mine := sorted(os.sched_getaffinity(0))) > 1:
                os.sched_setaffinity(process.pid, mine[processors])
            yield process
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description="How much longer others wait beside a flood.")
    parser.add_argument("names", nargs="*", metavar="FLOOD", help=f"{', '.join(FLOODS)}; all of them by default")
    parser.add_argument("--rounds", type=int, default=5, help="how many, of 4.5 seconds for each flood (5)")
    for role in ("--serve", "--port"):
        parser.add_argument(role, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--flood", help=argparse.SUPPRESS)
    parser.add_argument("--stand-by", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in FLOODS]:
        parser.error(f"no such flood: {', '.join(unknown)}; there are {', '.join(FLOODS)}")
    if options.serve is not None:
        serve(options.serve)
    elif options.flood is not None:
        flood(("127.0.0.1", options.port), options.flood)
    elif options.stand_by:
        json.dump(stand_by(("127.0.0.1", options.port)), sys.stdout)
    else:
        sys.stdout.write(json.dumps(measure(options.names or list(FLOODS), options.rounds)) + "\n")


if __name__ == "__main__":
    main()

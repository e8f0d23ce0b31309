"""Where the time of a plain request goes, stage by stage, in microseconds.

    python benchmarks/stages.py               as a table
    python benchmarks/stages.py --repeats 20  more patience on a noisy machine

Each stage is run alone, over and over, in this process, and the fastest of several repetitions counts: so the figures
are those of warm caches.  The whole request is measured too, over a transport that has always just received the same
request and takes every answer: what the sum of the stages misses is the loop of the connection.  The kernel and Trio's
scheduler are not in it; what they take, the limits of `bench.py` show.

It measures the pieces as they are and must not keep copies of them.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

import trio

from trioframe import App, Request, Response, text
from trioframe.app.dispatch import Dispatcher
from trioframe.http.events import RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.h1_exchange import H1Exchange
from trioframe.http.head import recognise
from trioframe.http.limits import H1Limits
from trioframe.http.response_plain import plain_response
from trioframe.http.strict import parse_head
from trioframe.http.transport import PeerListener, Transport
from trioframe.server.access_log import RejectionLog
from trioframe.server.serve import Server

LIMITS = H1Limits()
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:41999\r\n\r\n"
BROWSER = (
    b"GET /path/to/page?with=a&query=1 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nAccept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef; theme=dark\r\n\r\n"
)
REQUESTS = 1000  # of one connection, in one repetition
CALLS = 20_000

app = App("stages", {"MAX_REQUESTS_PER_CONNECTION": math.inf}, env_prefix=None)


@app.get("/")
async def hello(request: Request) -> Response:
    return text("Hello, world!")


class Treadmill(Transport):
    """Has always just received the same request, and takes every answer."""

    def __init__(self, requests: int) -> None:
        self._left = requests

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._left -= 1
        return HEAD if self._left >= 0 else b""

    def send_nowait(self, data: bytes | memoryview, more: bool = False) -> int:
        return len(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def wait_send_all_might_not_block(self) -> None: ...
    async def aclose(self) -> None: ...
    def watch(self, listener: PeerListener | None) -> None: ...
    async def linger(self) -> None: ...
    def abort(self) -> None: ...


def whole(repeats: int) -> float:
    """Microseconds for a whole request."""

    async def main() -> float:
        best = math.inf
        for _ in range(repeats):
            server = Server(Dispatcher(app, app.compile()).handle, app.config, RejectionLog())
            began = time.process_time()
            await server.serve_stream(Treadmill(REQUESTS))
            best = min(best, (time.process_time() - began) / REQUESTS)
        return best * 1e6

    return trio.run(main)


class Connection:
    """As much of a connection as an exchange looks at when it is made."""

    conn = spawn = terms = None
    now = staticmethod(time.perf_counter)


def stages() -> dict[str, Callable[[], object]]:
    head = recognise(HEAD, LIMITS)
    assert head is not None
    wire = H1Connection(LIMITS)
    exchange = H1Exchange(Connection(), head)  # type: ignore[arg-type]
    answer = text("Hello, world!")
    status, headers, body = answer.parts()
    fixed = Dispatcher(app, app.compile())._fixed

    def cycle(head: RequestHead = head) -> None:
        wire.receive_head(HEAD)
        wire.send_response(200, headers, b"Hello, world!")
        wire.start_next_cycle()

    return {
        "parse: a head of wrk's, recognised": lambda: recognise(HEAD, LIMITS),
        "parse: the same by h11 and our strictness": lambda: parse_head(HEAD, LIMITS),
        "parse: a browser's, recognised": lambda: recognise(BROWSER, LIMITS),
        "parse: a browser's by h11 and our strictness": lambda: parse_head(BROWSER, LIMITS),
        "render: a plain response": lambda: plain_response(status, headers, body, head, time.time),  # type: ignore[arg-type]
        "wire: all it does for a request, parse and render included": cycle,
        "exchange and lifetime": lambda: H1Exchange(Connection(), head),  # type: ignore[arg-type]
        "request object": lambda: Request(app, exchange),
        "route": lambda: fixed.get((head.method, head.raw_path)),
        "handler and its response": lambda: run(hello(None)),  # type: ignore[arg-type]
    }


def run(coroutine: Any) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return


def measure(stage: Callable[[], object], repeats: int) -> float:
    """Microseconds, less those of an empty function."""
    empty = min(timeit.repeat(lambda: None, number=CALLS, repeat=repeats))
    return (min(timeit.repeat(stage, number=CALLS, repeat=repeats)) - empty) / CALLS * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the time of a plain request goes.")
    parser.add_argument("--repeats", type=int, default=7, help="how often each is measured (7)")
    repeats = parser.parse_args().repeats
    rows = {"a whole request, without kernel and scheduler": whole(repeats * 10)}
    rows |= {name: measure(stage, repeats) for name, stage in stages().items()}
    sys.stdout.write("| stage | µs |\n|---|---|\n")
    sys.stdout.writelines(f"| {name} | {microseconds:.2f} |\n" for name, microseconds in rows.items())


if __name__ == "__main__":
    main()

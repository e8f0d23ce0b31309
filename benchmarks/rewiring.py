"""A server under load while receivers come and go: 10,000 of them are connected, and leave again.

    python benchmarks/rewiring.py    some ten seconds

In one program with the server a task connects a receiver, sync or async, to one of the signals of a request, and lets
the oldest of those that it has connected go: it disconnects it, or drops it, so that it dies at once or in the hands of
the garbage collector.  So requests come and go on the short way and on the long one, and the hooks change under them.

What must hold is looked at in the end: every request was answered, none got lost between the client and the handler, a
receiver that was connected all the time has heard each of them once, and nothing of the others is left behind.  The
exit status is 1 if anything is not as it should be.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import outcome
import trio
from side_by_side.workload import BenchmarkError, Effort, Server
from side_by_side.wrk import Rates, check_wrk, wrk

from trioframe import App, Request, Response, text
from trioframe.app.signals import Signal

RECEIVERS = 10_000
STANDING = 5  # receivers that are connected at a time
SECONDS = 10  # of load
SHARE = 0.8  # of them in which receivers come and go
CONNECTIONS = 64
SIGNALS = ("http.handler.before", "http.lifecycle.request", "http.handler.after", "http.lifecycle.complete")

app = App("rewiring", {"MAX_REQUESTS_PER_CONNECTION": math.inf}, env_prefix=None)
counts: Counter[str] = Counter()
changes: list[float] = []  # seconds that it took to let one come, and another one go


@app.get("/")
async def hello(request: Request) -> Response:
    counts["handled"] += 1
    counts["heard once by who stays"] += getattr(request.ctx, "heard", 0) == 1
    return text("Hello, world!")


@app.signal("http.handler.before")
def stay(request: Request) -> None:
    request.ctx.heard = getattr(request.ctx, "heard", 0) + 1


# --- receivers, and how they leave ------------------------------------------------------------------------------------

Leave = Callable[[], object]


class Listener:
    """Hears as blinker's receivers do."""

    def hear(self, sender: object, **context: object) -> None:
        counts["heard by those who come and go"] += 1

    async def hear_slowly(self, sender: object, **context: object) -> None:
        counts["heard by those who come and go"] += 1
        await trio.lowlevel.checkpoint()


def subscribed(signal: Signal) -> Leave:
    async def hear(request: Request) -> None:
        counts["heard by those who come and go"] += 1

    return partial(signal.disconnect, signal.subscribe(hear))


def held(signal: Signal) -> Leave:
    return partial(signal.disconnect, signal.connect(Listener().hear_slowly, weak=False))


def held_weakly(signal: Signal) -> Leave:
    listener = Listener()
    return partial(signal.disconnect, signal.connect(listener.hear_slowly))


def dying(signal: Signal) -> Leave:
    owned = [Listener()]
    signal.connect(owned[0].hear)
    return owned.clear


def dying_as_garbage(signal: Signal) -> Leave:
    listener = Listener()
    vars(listener)["myself"] = listener
    owned = [listener]
    signal.connect(listener.hear_slowly)
    return owned.clear


KINDS = (subscribed, held, held_weakly, dying, dying_as_garbage)


# --- all together -----------------------------------------------------------------------------------------------------


async def come_and_go() -> None:
    """Connect all receivers, one after the other, and let them go."""
    standing: deque[Leave] = deque()
    began = trio.current_time()
    for number in range(RECEIVERS):
        kind, name = KINDS[number % len(KINDS)], SIGNALS[number % len(SIGNALS)]  # five and four: each meets each
        before = time.perf_counter()
        standing.append(kind(app.signals[name]))
        if len(standing) > STANDING:
            standing.popleft()()
        changes.append(time.perf_counter() - before)
        await trio.sleep_until(began + number * SECONDS * SHARE / RECEIVERS)
    for leave in standing:
        leave()


def load(port: int) -> Rates:
    effort = Effort(rounds=1, seconds=SECONDS, warm_up=0, crowd=0)
    return wrk(Server("trioframe", port, os.getpid(), 0.0, {}), "/", effort, connections=CONNECTIONS)


async def run() -> tuple[Rates, int]:
    """What wrk says, and how many receivers came and went meanwhile."""
    gc.freeze()  # with little to look at, the collector comes often, and at any moment
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(app.serve, port=0))
        nursery.start_soon(come_and_go)
        port = listener.socket.getsockname()[1]
        loaded = await outcome.acapture(trio.to_thread.run_sync, load, port)
        meanwhile = len(changes)
        app.shutdown()
    return loaded.unwrap(), meanwhile


def complaints(answers: int, meanwhile: int) -> Iterator[str]:
    """What is not as it should be."""
    if meanwhile < RECEIVERS:
        yield f"when the load ended only {meanwhile:,} receivers had come and gone: is this machine busy?"
    handled = counts["handled"]
    # Each connection may have asked for one more when the time was over.
    if not answers <= handled <= answers + CONNECTIONS:
        yield f"{handled:,} requests were handled and {answers:,} answers came"
    if (heard := counts["heard once by who stays"]) != handled:
        yield f"who stays has heard {heard:,} of {handled:,} requests once, and the others not, or more often"
    if not counts["heard by those who come and go"]:
        yield "those who come and go have heard nothing"
    gc.collect()
    left = {name: len(app.signals[name].receivers) for name in SIGNALS}
    if left != {**dict.fromkeys(SIGNALS, 0), "http.handler.before": 1}:
        yield f"receivers are left behind: {left}"


def main() -> int:
    try:
        check_wrk()
        rates, meanwhile = trio.run(run)
    except BenchmarkError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    sys.stdout.write(f"{rates.answers:,} answers, {rates.requests:,.0f} a second, none of them an error\n")
    sys.stdout.write(f"{RECEIVERS:,} receivers came and went, in {median(changes) * 1e6:.0f} µs each, both ways\n")
    sys.stdout.writelines(f"{number:,} {what}\n" for what, number in counts.items())
    found = list(complaints(rates.answers, meanwhile))
    sys.stdout.writelines(f"WRONG: {complaint}\n" for complaint in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

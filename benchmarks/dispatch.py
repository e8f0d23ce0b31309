"""What it costs to send a signal of the user's own, beside blinker: 100,000 times, to three async receivers.

    python benchmarks/dispatch.py

Blinker and trioframe take turns, in short rounds, so that what else happens on the machine happens to both; a ratio is
the median of those of the rounds.  Counted is processor time.  The goal: `App.dispatch` takes at most 1.2 times as long
as `blinker.Signal.send_async`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

import blinker
import trio

from trioframe import App

DISPATCHES = 100_000  # in all rounds together
ROUNDS = 50
RECEIVERS = 3
EVENT = "order.item.sold"
CONTEXT = {"order": 7, "item": "tea"}
GOAL = 1.2
YARDSTICK = "blinker.Signal.send_async"

Send = Callable[[], Awaitable[object]]


# Each receiver is one of its own: a signal may know who has been connected before.


def of_blinker() -> Callable[..., Awaitable[None]]:
    async def receive(sender: object, *, order: int, item: str) -> None: ...

    return receive


def of_all_keywords() -> Callable[..., Awaitable[None]]:
    async def receive(order: int, item: str) -> None: ...

    return receive


def of_one_keyword() -> Callable[..., Awaitable[None]]:
    async def receive(order: int) -> None: ...

    return receive


def blinkers_own() -> Send:
    signal = blinker.Signal()
    for _ in range(RECEIVERS):
        signal.connect(of_blinker(), weak=False)
    return lambda: signal.send_async(None, **CONTEXT)


def dispatched(receiver: Callable[[], Callable[..., Awaitable[None]]], event: str = EVENT) -> Send:
    app = App("dispatch", env_prefix=None)
    for _ in range(RECEIVERS):
        app.add_signal(receiver(), event)
    return lambda: app.dispatch(EVENT, CONTEXT)


def sent_as_blinker_does() -> Send:
    signal = App("dispatch", env_prefix=None).signals[EVENT]
    for _ in range(RECEIVERS):
        signal.connect(of_blinker(), weak=False)
    return lambda: signal.send_async(None, **CONTEXT)


def ways() -> Mapping[str, Send]:
    return {
        YARDSTICK: blinkers_own(),
        "App.dispatch": dispatched(of_all_keywords),
        "App.dispatch, receivers take one keyword of two": dispatched(of_one_keyword),
        "App.dispatch, heard by a pattern": dispatched(of_all_keywords, "order.<what>.sold"),
        "Signal.send_async, receivers of blinker's kind": sent_as_blinker_does(),
    }


async def measure(senders: Mapping[str, Send]) -> Mapping[str, list[float]]:
    """Seconds for a dispatch, round by round."""
    found: dict[str, list[float]] = {name: [] for name in senders}
    number = DISPATCHES // ROUNDS
    for _ in range(ROUNDS):
        for name, send in senders.items():
            began = time.process_time()
            for _ in range(number):
                await send()
            found[name].append((time.process_time() - began) / number)
    return found


def main() -> None:
    found = trio.run(measure, ways())
    sys.stdout.write("| way | µs | : blinker | middle half of the rounds |\n|---|---|---|---|\n")
    for name, times in found.items():
        ratios = sorted(our / their for our, their in zip(times, found[YARDSTICK], strict=True))
        middle = f"{ratios[ROUNDS // 4]:.2f} to {ratios[ROUNDS * 3 // 4]:.2f}"
        sys.stdout.write(f"| {name} | {median(times) * 1e6:.2f} | **{median(ratios):.2f}** | {middle} |\n")
    sys.stdout.write(f"\nThe goal for App.dispatch is at most {GOAL}.\n")


if __name__ == "__main__":
    main()

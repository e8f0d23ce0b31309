"""What a plain request costs, in things that can be counted: they are the same on every machine and every run.

Over real TCP, on a connection that has served a request before.  The client is in the same Trio run; what it does is
told from what the server does by whose task it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import Certificates, serving
from integration.profiling import Profiler, is_below, profiling
from integration.raw_client import request_for

from trioframe import App, Request, Response, text

REQUESTS = 10


class Meter(Profiler):  # type: ignore[misc]  # found by pytest, not by mypy
    """Counts what the tasks below `root` do; a call of a function of C is one too."""

    CALLS: Mapping[str, str] = {"NurseryManager.__aenter__": "nurseries", "CancelScope.__enter__": "cancel scopes"}
    SYSTEM_CALLS = ("send", "recv")

    def __init__(self, root: trio.lowlevel.Task) -> None:
        self.counts: Counter[str] = Counter()
        self._root = root
        self._at_work = False
        self._frames: list[FrameType] = []  # a coroutine "calls" its frame at each step; it is one call all the same

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.counts["tasks"] += is_below(task, self._root)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._at_work = is_below(task, self._root)
        self.counts["steps"] += self._at_work

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._at_work = False

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if not self._at_work:
            return
        if event == "call":
            name = self.CALLS.get(frame.f_code.co_qualname)
            if name is not None and not any(frame is seen for seen in self._frames):
                self._frames.append(frame)
                self.counts[name] += 1
        elif event == "c_call" and argument.__name__ in self.SYSTEM_CALLS:
            self.counts[argument.__name__] += 1

    def per_request(self) -> dict[str, float]:
        return {what: count / REQUESTS for what, count in self.counts.items()}


@pytest.fixture
def app() -> App:
    app = App("counted", env_prefix=None)

    @app.get("/")
    async def index(request: Request) -> Response:
        return text("Hello, world!\n")

    @app.get("/nursery")
    async def with_nursery(request: Request) -> Response:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
        return text("Hello, world!\n")

    @app.post("/body")
    async def body(request: Request) -> Response:
        return text(str(len(request.body)))

    return app


async def count(app: App, request: bytes, tls: Certificates | None = None) -> dict[str, float]:
    """What `request` costs, when it is not the first of its connection."""
    async with serving(app, tls=tls) as live, await live.connect() as client:
        for _ in range(2):
            await client.send(request)
            assert (await client.answer()).status == 200
        await trio.testing.wait_all_tasks_blocked()
        with profiling(Meter(live.task)) as meter:
            for _ in range(REQUESTS):
                await client.send(request)
                assert (await client.answer()).status == 200
                await trio.testing.wait_all_tasks_blocked()
    return meter.per_request()


# What a plain GET costs on each transport, beside its one send.
#
# 1. Whoever watches the socket - the reactor, or a reader - is woken by it, and wakes the connection.
# 2. The connection reads the head, runs the handler, sends, and waits for the next head.
# 3. Where a stream of Trio's sends, it has to be given a deadline, and it lets others run behind that; the reactor's
#    does only if it has to wait.  And it finds out by trying that there is nothing to be read.
COSTS = {
    "reactor": {"steps": 2, "recv": 1, "cancel scopes": 0},
    "streams": {"steps": 3, "recv": 2, "cancel scopes": 1},
}


async def test_a_plain_get_spawns_no_task_opens_no_nursery_and_sends_once(app: App, transport: str):
    costs = await count(app, request_for("/"))
    assert costs.get("tasks", 0) == 0
    assert costs.get("nurseries", 0) == 0
    assert costs["send"] == 1
    assert {what: costs.get(what, 0) for what in COSTS[transport]} == COSTS[transport]


async def test_a_small_body_that_comes_with_its_head_costs_no_more(app: App, transport: str):
    costs = await count(app, request_for("/body", "Content-Length: 4\r\n", "POST") + b"body")
    assert costs["send"] == 1
    assert {what: costs.get(what, 0) for what in COSTS[transport]} == COSTS[transport]


async def test_tls_costs_no_tasks_either(
    app: App, certificates: Certificates, transport: str, figure: Callable[[str, float], None]
):
    costs = await count(app, request_for("/"), certificates)
    assert costs.get("tasks", 0) == 0
    assert costs.get("nurseries", 0) == 0
    assert costs["send"] == 1
    figure(f"steps for a plain GET with TLS ({transport})", costs["steps"])


async def test_pipelined_requests_are_read_at_once(app: App):
    """Each is answered by itself, and only the first has to wait for bytes."""
    costs = await count_pipelined(app, 10)
    assert costs["send"] == 10
    assert costs["recv"] <= 2
    assert costs["tasks"] == 0


async def count_pipelined(app: App, number: int) -> Counter[str]:
    async with serving(app) as live, await live.connect() as client:
        await client.get()
        await trio.testing.wait_all_tasks_blocked()
        with profiling(Meter(live.task)) as meter:
            await client.send(request_for("/") * number)
            for _ in range(number):
                await client.answer()
            await trio.testing.wait_all_tasks_blocked()
    return meter.counts


async def test_what_is_counted_is_counted(app: App):
    """A handler that opens a nursery with one child is seen to do so: zeros elsewhere mean something."""
    plain, costs = await count(app, request_for("/")), await count(app, request_for("/nursery"))
    assert costs["nurseries"] == 1
    assert costs["tasks"] == 1
    assert costs["steps"] > plain["steps"]

"""The road of a plain request, call by call: what a request costs is what it calls, and that can be counted.

CPython takes a tenth of a microsecond for a call, so this list is most of what a request costs beside the kernel and
Trio's scheduler.  Whoever adds a call to it makes every request of everybody slower, and has to say here what for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import serving
from integration.profiling import Profiler, is_below, profiling
from integration.raw_client import request_for

import trioframe
from trioframe import App, Request, Response, json, text

OURS = str(Path(trioframe.__file__).parent)
THIS = __file__


class Road(Profiler):  # type: ignore[misc]  # found by pytest, not by mypy
    """Hears which functions of ours the tasks below `root` call; to resume a coroutine is a call too.

    Attributes:
      calls: of ours.
      theirs: of the app, whose functions are those of this file.
    """

    def __init__(self, root: trio.lowlevel.Task) -> None:
        self.calls: list[str] = []
        self.theirs: list[str] = []
        self._root = root
        self._at_work = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._at_work = is_below(task, self._root)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._at_work = False

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if self._at_work and event == "call":
            code = frame.f_code
            if code.co_filename.startswith(OURS):
                self.calls.append(code.co_qualname)
            elif code.co_filename == THIS and code.co_qualname == code.co_name:
                self.theirs.append(code.co_qualname)


app = App("road", env_prefix=None)


@app.get("/")
async def hello(request: Request) -> Response:
    return text("Hello, world!")


@app.post("/order/<id:int>")
async def order(request: Request, id: int) -> Response:
    return json({"id": id, "lines": len(request.json), "page": request.args["page"], "for": request.headers["x-for"]})


async def road_of(request: bytes, app: App = app) -> Road:
    """The calls that `request` takes, when it is not the first of its connection."""
    async with serving(app) as live, await live.connect() as client:
        for _ in range(3):  # what is kept for all requests is made for the first
            await client.send(request)
            assert (await client.answer()).status == 200
        await trio.testing.wait_all_tasks_blocked()
        with profiling(Road(live.task)) as road:
            await client.send(request)
            assert (await client.answer()).status == 200
            await trio.testing.wait_all_tasks_blocked()
    return road


HELLO = [
    # The kernel tells that there is something to read; whose it is, is told by its descriptor.
    "Reactor.run",
    "ReactorStream._tell",
    # The connection goes on where it waited.
    "Server._serve_connection",
    "H1Driver.run",
    "H1Driver._serve_requests",
    "H1Driver._serve_in_turn",
    "ReactorStream.receive_some",
    "_TryAgain.unwrap",
    "ReactorStream.receive_nowait",
    # What has come is a plain head.
    "H1Connection.receive_head",
    "recognise",
    "_PlainHead.__init__",
    "H1Connection._begin_request",
    # It becomes an exchange, with a lifetime, and the app's request.
    "H1Exchange.__init__",
    "Lifetime.__init__",
    "Dispatcher.handle",
    "Request.__init__",
    # The handler is run within that lifetime, for as long as it may take to answer.
    "Lifetime.run_in_turn",
    "Alarm.deadline",
    "Dispatcher._handle",
    "text",
    "Response.__init__",
    "Response.parts",
    # Its answer is plain, and leaves in one write.
    "H1Exchange.start_response",
    "H1Connection.send_response",
    "plain_response",
    "Writer.write_nowait",
    "ReactorStream.send_nowait",
    # The request is over, and the next one is awaited, for as long as a connection may be idle.
    "H1Driver._end",
    "H1Connection.start_next_cycle",
    "H1Driver._begin_to_wait",
    "Alarm.deadline",
    "ReactorStream.receive_some",
]


@pytest.mark.only_on("reactor")
async def test_a_plain_get() -> None:
    road = await road_of(request_for("/"))
    assert road.calls == HELLO
    assert road.theirs == ["hello"]


def listened(*receivers: Callable[..., object]) -> App:
    """The same handler, with these receivers of `http.handler.before`."""
    listened = App("listened", env_prefix=None)
    listened.get("/")(hello)
    for receiver in receivers:
        listened.add_signal(receiver, "http.handler.before")
    return listened


def receiver(request: Request) -> None: ...


async def async_receiver(request: Request) -> None: ...


@pytest.mark.only_on("reactor")
async def test_nobody_pays_for_signals_that_nobody_hears() -> None:
    nobody = listened()
    assert nobody.compile().routes[0].endpoint is hello
    assert (await road_of(request_for("/"), nobody)).calls == HELLO


@pytest.mark.only_on("reactor")
async def test_a_receiver_costs_its_call() -> None:
    road = await road_of(request_for("/"), listened(receiver))
    assert road.calls == HELLO
    assert road.theirs == ["receiver", "hello"]


@pytest.mark.only_on("reactor")
async def test_an_async_receiver_costs_the_wait_for_it() -> None:
    """Which is bounded in time."""
    road = await road_of(request_for("/"), listened(async_receiver))
    at = HELLO.index("Lifetime.run_in_turn")
    guard = ["Lifetime.guard", "Alarm.deadline", "Lifetime.heed_guard"]
    assert road.calls == [*HELLO[:at], "Dispatcher._wait_for", *guard, *HELLO[at:]]
    assert road.theirs == ["async_receiver", "hello"]


@pytest.mark.only_on("reactor")
async def test_a_small_post_takes_little_more() -> None:
    """A body that came with its head is taken as it is; a parameter, JSON, a query and a field are looked up."""
    body = b"[1,2,3]"
    request = request_for("/order/7?page=2", f"Content-Length: {len(body)}\r\nX-For: me\r\n", "POST") + body
    extra = (await road_of(request)).calls
    for name in HELLO:
        if name in extra:
            extra.remove(name)
    assert len(extra) <= MORE_FOR_A_POST, extra


# Taking the body 5, finding the route and its parameter 6, looking things up 18.
MORE_FOR_A_POST = 40

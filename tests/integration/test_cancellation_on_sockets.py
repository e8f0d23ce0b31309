"""A client that leaves ends its request at once: the handler, its children, and nothing else.

On real sockets, as the kernel and TLS tell of it; the semantics in all their corners are tested in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import Certificates, Live, listening_socket, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request, RequestCancelled, Response, text

# Seconds from the client's leaving to the end of the last task.  The promise is 0.05, and the figures show how it is
# kept; what fails the test leaves room for a machine with other things to do.
LIMIT = 0.5

Figure = Callable[[str, float], None]


class Witness:
    """An app whose handlers wait, each with two children, and what became of them."""

    def __init__(self) -> None:
        self.app = App("witness", {"ACCESS_LOG": True}, env_prefix=None)
        self.entered = 0
        self.all_wait = trio.Event()
        self.ended: dict[str, float] = {}
        self.reasons: list[str] = []
        self.over = trio.Event()  # the exception handler has seen RequestCancelled
        self.app.add_route(self.in_request_nursery, "/request-nursery", ["GET", "POST"], stream=True)
        self.app.add_route(self.in_own_nursery, "/own-nursery", ["GET", "POST"], stream=True)
        self.app.add_route(self.never, "/never")
        self.app.exception(RequestCancelled)(self.see)

    async def in_request_nursery(self, request: Request) -> None:
        request.nursery.start_soon(self.wait, "first child")
        request.nursery.start_soon(self.wait, "second child")
        await self.wait("handler")

    async def in_own_nursery(self, request: Request) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.wait, "first child")
            nursery.start_soon(self.wait, "second child")
            await self.wait("handler")

    async def wait(self, who: str) -> None:
        self.entered += 1
        if self.entered == 3:
            self.all_wait.set()
        try:
            await trio.sleep_forever()
        finally:
            self.ended[who] = trio.current_time()

    async def never(self, request: Request) -> Response:
        raise AssertionError("the client had left before this request")

    async def see(self, request: Request, exception: RequestCancelled) -> None:
        self.reasons.append(exception.reason)
        self.over.set()


Leave = Callable[[RawClient], None]

# TLS has two ways to end without a reset: with close_notify, and without, as a process does that is killed.
LEAVING = {"FIN": RawClient.leave, "RST": RawClient.reset}


@pytest.mark.parametrize("pipelined", [False, True], ids=["alone", "pipelined"])
@pytest.mark.parametrize("where", ["request-nursery", "own-nursery"])
@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_a_client_that_leaves_cancels_the_handler_and_its_children(
    tls, *, leave: Leave, where, pipelined, access_records, figure: Figure
):
    witness = Witness()
    async with going_on(witness, tls) as (live, client):
        await client.send(request_for(f"/{where}") + (request_for("/never") if pipelined else b""))
        await witness.all_wait.wait()
        left = trio.current_time()
        leave(client)
        await witness.over.wait()
        record = await access_records.next()
        assert live.is_running()
    check(witness, left, record, figure, "TLS" if tls else "TCP")
    assert record.target == f"/{where}"


async def test_close_notify_alone_is_a_disconnect(certificates: Certificates, access_records, figure: Figure):
    witness = Witness()
    async with going_on(witness, certificates) as (_, client):
        await client.send(request_for("/request-nursery"))
        await witness.all_wait.wait()
        left = trio.current_time()
        await client.say_goodbye()
        await witness.over.wait()
        record = await access_records.next()
    check(witness, left, record, figure, "TLS with close_notify")


# 250,000 bytes are more than the server reads ahead, and less than that and what its kernel keeps for it: the FIN
# behind them has arrived.  1,000,000 are more than both: a FIN would wait behind them at the client, a reset does not.
# Of what lies behind unread bytes only the kernel can tell, where there is a reactor to hear it.
WAITING = [
    *[("FIN", 1000), ("FIN", 60_000), ("RST", 1000), ("RST", 60_000)],
    *[
        pytest.param(leaving, waiting, marks=pytest.mark.only_on("reactor"))
        for leaving, waiting in (("FIN", 250_000), ("RST", 250_000), ("RST", 1_000_000))
    ],
]


@pytest.mark.parametrize(("leaving", "waiting"), WAITING)
async def test_a_client_that_leaves_within_its_upload(tls, *, leaving, waiting, access_records, figure: Figure):
    """`waiting` bytes have been sent which the handler does not read, and more were announced."""
    witness = Witness()
    async with going_on(witness, tls) as (_, client):
        head = request_for("/own-nursery", "Content-Length: 2000000\r\n", "POST")
        with trio.move_on_after(0.1):  # all of it, or as much as the kernel takes
            await client.send(head + b"x" * waiting)
        await witness.all_wait.wait()
        left = trio.current_time()
        LEAVING[leaving](client)
        with trio.move_on_after(LIMIT):
            await witness.over.wait()
        assert witness.reasons, "nobody noticed that the client has left"
        record = await access_records.next()
    check(witness, left, record, figure, "TLS" if tls else "TCP")


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_a_client_that_leaves_while_its_body_is_read(leave: Leave, access_records):
    app = App("upload", {"ACCESS_LOG": True}, env_prefix=None)
    reading = trio.Event()
    met: list[Any] = []

    @app.post("/", stream=True)
    async def upload(request: Request) -> Response:
        assert await request.stream.read() == b"half"
        reading.set()
        try:
            await request.stream.read()
        except RequestCancelled as exc:
            met.append(exc.reason)
            raise
        except trio.Cancelled:
            met.append("disconnect")
            raise
        return text("whole")

    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/", "Content-Length: 10\r\n", "POST") + b"half")
        await reading.wait()
        leave(client)
        record = await access_records.next()
    assert met == ["disconnect"]
    assert record.status == 499


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_a_client_that_leaves_while_its_answer_is_sent(leave: Leave, access_records):
    """The handler is blocked in `send`, as the client has stopped reading long ago."""
    app = App("download", {"ACCESS_LOG": True}, env_prefix=None)

    @app.get("/")
    async def flood(request: Request) -> None:
        response = await request.respond()
        while True:
            await response.send(b"x" * 65536)

    async with serving(app) as live, await live.connect(receive_buffer=8192) as client:
        await client.send(request_for("/"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        leave(client)
        with trio.fail_after(2):
            record = await access_records.next()
    assert record.status == 499


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_a_request_that_ignores_the_disconnect_goes_on(leave: Leave, access_records):
    app = App("stubborn", {"ACCESS_LOG": True}, env_prefix=None)
    begun = trio.Event()

    @app.get("/", on_disconnect="ignore")
    async def stubborn(request: Request) -> Response:
        begun.set()
        await request.wait_disconnected()
        await trio.testing.wait_all_tasks_blocked()
        request.app.ctx.saw = request.disconnected
        return text("done")

    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/"))
        await begun.wait()
        leave(client)
        await access_records.next()
    assert app.ctx.saw is True


async def test_one_that_leaves_ends_nobody_elses_request(access_records):
    witness = Witness()
    async with going_on(witness, None) as (live, client), await live.connect() as other:
        await client.send(request_for("/own-nursery"))
        await witness.all_wait.wait()
        await other.send(request_for("/request-nursery"))
        while witness.entered < 6:
            await trio.testing.wait_all_tasks_blocked()
        client.leave()
        await access_records.next()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert witness.reasons == ["disconnect"]
        other.reset()
        await access_records.next()
        assert witness.reasons == ["disconnect"] * 2


# --- what these tests stand on ----------------------------------------------------------------------------------------


@asynccontextmanager
async def going_on(witness: Witness, tls: Certificates | None) -> AsyncIterator[tuple[Live, RawClient]]:
    """A server for the witness, and a client of it."""
    fd = listening_socket(receive_buffer=200_000).detach()
    async with serving(witness.app, fd=fd, tls=tls) as live, await live.connect() as client:
        yield live, client


def check(witness: Witness, left: float, record: Any, figure: Figure, transport: str) -> None:
    assert witness.ended.keys() == {"handler", "first child", "second child"}
    assert witness.reasons == ["disconnect"]
    assert record.status == 499
    latency = max(witness.ended.values()) - left
    figure(f"ms from a client's leaving to the end of all its tasks ({transport})", round(latency * 1000, 1))
    assert latency < LIMIT

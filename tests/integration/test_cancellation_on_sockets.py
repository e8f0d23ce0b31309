"""A client that leaves ends its request at once: the handler, its children, and nothing else.

On real sockets, as the kernel and TLS tell of it; the semantics in all their corners are tested in memory.
"""

from __future__ import annotations

import contextlib
import time
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
WAITING = [("FIN", 1000), ("FIN", 60_000), ("FIN", 250_000), ("RST", 1000), ("RST", 250_000), ("RST", 1_000_000)]


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


# --- half a close is not the end of everything ------------------------------------------------------------------------


@pytest.fixture
def half_close_app() -> App:
    """None of its handlers waits for anything but its client."""
    app = App("half", env_prefix=None)

    @app.get("/plain")
    async def plain(request: Request) -> Response:
        return text("plain")

    @app.post("/body")
    async def body(request: Request) -> Response:
        return text(request.text)

    @app.post("/echo", stream=True)
    async def echo(request: Request) -> None:
        async with await request.respond() as response:
            async for piece in request.stream:
                await response.send(piece)

    @app.get("/big")
    async def big(request: Request) -> None:
        async with await request.respond() as response:
            for _ in range(64):
                await response.send(b"x" * 65536)

    app.add_route(stream, "/stream")
    app.add_route(compute, "/compute")
    app.add_route(compute_and_stream, "/compute-and-stream")
    return app


async def stream(request: Request) -> Any:
    async def pieces() -> Any:
        for number in range(100):
            yield b"%d\n" % number

    return pieces()


async def compute(request: Request) -> Response:
    work(0.03)
    for _ in range(3):
        await trio.lowlevel.checkpoint()
    return text("computed")


async def compute_and_stream(request: Request) -> None:
    async with await request.respond() as response:
        for number in range(10):
            work(0.004)
            await response.send(b"%d\n" % number)


def work(seconds: float) -> None:
    """Compute, and let nobody else have his turn."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


NUMBERS = b"".join(b"%d\n" % number for number in range(100))
HALF_CLOSED = {
    "plain": (request_for("/plain"), b"plain"),
    "body": (request_for("/body", "Content-Length: 4\r\n", "POST") + b"body", b"body"),
    "large body": (request_for("/body", "Content-Length: 500000\r\n", "POST") + b"b" * 500_000, b"b" * 500_000),
    "echo": (
        request_for("/echo", "Transfer-Encoding: chunked\r\n", "POST") + b"4\r\nbody\r\n4\r\nmore\r\n0\r\n\r\n",
        b"bodymore",
    ),
    "stream": (request_for("/stream"), NUMBERS),
    "compute": (request_for("/compute"), b"computed"),
    "compute and stream": (request_for("/compute-and-stream"), b"".join(b"%d\n" % number for number in range(10))),
    "big": (request_for("/big"), b"x" * 65536 * 64),
}


@pytest.mark.parametrize(("request_", "body"), HALF_CLOSED.values(), ids=HALF_CLOSED)
async def test_a_half_closed_client_is_answered(request_, body, half_close_app: App):
    """As by ``printf ... | nc``."""
    async with serving(half_close_app) as live, await live.connect() as client:
        await client.send(request_)
        await client.half_close()
        assert (await client.answer()).body == body
        assert await client.is_closed()


async def test_all_pipelined_requests_of_a_half_closed_client_are_answered(half_close_app: App):
    async with serving(half_close_app) as live, await live.connect() as client:
        await client.send(request_for("/plain") * 3 + request_for("/stream") + request_for("/plain"))
        await client.half_close()
        bodies = [(await client.answer()).body for _ in range(5)]
        assert bodies == [b"plain"] * 3 + [NUMBERS, b"plain"]
        assert await client.is_closed()


async def test_a_slow_reader_that_half_closed_gets_all_of_it(half_close_app: App):
    """What is sent holds the moment up that a half-closed client is given, however long it takes to leave."""
    async with serving(half_close_app) as live, await live.connect(receive_buffer=16384) as client:
        await client.send(request_for("/big"))
        await client.half_close()
        for _ in range(5):
            await trio.testing.wait_all_tasks_blocked(0.03)  # the server is blocked in `send`
            assert await client.stream.receive_some(100_000)
        assert len(await client.rest()) > 60 * 65536


async def test_many_half_closed_clients_at_once_are_all_answered(half_close_app: App):
    """None of these handlers waits for anything, but each has to wait for its turn."""
    answered: list[bool] = []

    async def ask(live: Live) -> None:
        async with await live.connect() as client:
            await client.send(request_for("/echo", "Content-Length: 100000\r\n", "POST") + b"x" * 100_000)
            await client.half_close()
            with contextlib.suppress(AssertionError, trio.BrokenResourceError):
                answered.append((await client.answer()).body == b"x" * 100_000)

    async with serving(half_close_app) as live, trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(ask, live)
    assert answered.count(True) == 200


async def test_half_close_may_be_allowed():
    app = App("patient", {"HALF_CLOSE": "allow"}, env_prefix=None)

    @app.get("/")
    async def patient(request: Request) -> Response:
        await trio.sleep(0.05)
        return text("still here")

    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/"))
        await client.half_close()
        assert (await client.answer()).body == b"still here"


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

"""Requests of one connection take turns in one scope: whatever ends one of them early, the next begins anew."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wire import Peer, connected

from trioframe import App, RequestCancelled, text
from trioframe.app.dispatch import Dispatcher
from trioframe.http.writer import SEND_SIZE

LARGE = "x" * (3 * SEND_SIZE)


@pytest.fixture
def app() -> App:
    app = App("turns", {"RESPONSE_TIMEOUT": math.inf}, env_prefix=None)

    @app.get("/ok")
    async def ok(request: Any) -> str:
        await trio.lowlevel.checkpoint()
        return "ok"

    return app


@asynccontextmanager
async def talking_to(app: App, **options: Any) -> AsyncIterator[Peer]:
    async with connected(Dispatcher(app, app.compile()).handle, **options) as peer:
        yield peer


async def ask(peer: Peer, path: str) -> tuple[int, bytes]:
    await peer.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await peer.read_response()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def late(request: Any) -> None:
    await trio.sleep_forever()


async def cancelled_by_itself(request: Any) -> None:
    request.cancel()
    await trio.sleep_forever()


async def failing_when_cancelled(request: Any) -> None:
    request.cancel()
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("on the way out")


async def with_a_child_that_fails(request: Any) -> None:
    async def fail() -> None:
        raise ValueError("child")

    request.nursery.start_soon(fail)
    await trio.sleep_forever()


async def finishing_all_the_same(request: Any) -> str:
    request.cancel()
    with trio.CancelScope(shield=True):
        await trio.lowlevel.checkpoint()
    return LARGE


async def cleaning_up(request: Any) -> str:
    try:
        with request.cancellable():
            request.cancel()
            await trio.sleep_forever()
    except RequestCancelled:
        await trio.sleep(1)
    return LARGE


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        (late, (503, None)),
        (failing_when_cancelled, (500, None)),
        (with_a_child_that_fails, (500, None)),
        (finishing_all_the_same, (200, LARGE.encode())),
        (cleaning_up, (200, LARGE.encode())),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_the_next_request_is_served_as_if_nothing_had_been(
    app: App, autojump_clock: MockClock, handler: Callable[..., Any], answer: tuple[int, bytes | None]
) -> None:
    app.add_route(handler, "/early", timeout=5)
    async with talking_to(app) as peer:
        for _ in range(3):
            status, body = await ask(peer, "/early")
            assert status == answer[0]
            assert answer[1] is None or body == answer[1]
            assert await ask(peer, "/ok") == (200, b"ok")
    assert [status for status in peer.journal.statuses if status != 200] == [answer[0]] * 3 * (answer[0] != 200)


async def test_a_request_that_cancelled_itself_is_answered_by_whoever_hears_of_it(
    app: App, autojump_clock: MockClock
) -> None:
    @app.exception(RequestCancelled)
    async def sorry(request: Any, error: RequestCancelled) -> Any:
        await trio.sleep(1)  # outside the scope that was cancelled
        return text(f"{error.reason}: {request.ctx.word}" + LARGE, 418)

    async def handler(request: Any) -> None:
        request.ctx.word = "kept"
        await cancelled_by_itself(request)

    app.add_route(handler, "/early")
    async with talking_to(app) as peer:
        assert await ask(peer, "/early") == (418, b"application: kept" + LARGE.encode())
        assert await ask(peer, "/ok") == (200, b"ok")


async def test_a_deadline_is_that_of_one_request(app: App, autojump_clock: MockClock) -> None:
    async def slow(request: Any) -> str:
        await trio.sleep(100)
        return "slow"

    app.add_route(ok_within_a_second, "/limited", timeout=1)
    app.add_route(slow, "/slow")
    async with talking_to(app) as peer:
        assert await ask(peer, "/limited") == (200, b"in time")
        assert await ask(peer, "/slow") == (200, b"slow")


async def ok_within_a_second(request: Any) -> str:
    return "in time"


async def test_nor_is_a_handler_idle(app: App, autojump_clock: MockClock) -> None:
    """What an idle connection may take is no limit of the request that ends its idleness."""

    async def slow(request: Any) -> str:
        await trio.sleep(100)
        return "slow"

    app.add_route(slow, "/slow")
    async with talking_to(app, KEEP_ALIVE_TIMEOUT=10, REQUEST_TIMEOUT=10) as peer:
        for _ in range(2):
            assert await ask(peer, "/slow") == (200, b"slow")
            await trio.sleep(9)
        assert await ask(peer, "/ok") == (200, b"ok")
        began = trio.current_time()
        assert await peer.read_to_end() == b""
        assert trio.current_time() == began + 10


async def test_a_deadline_of_the_handler_ends_with_it_too(app: App, autojump_clock: MockClock) -> None:
    async def own(request: Any) -> str:
        request.deadline = trio.current_time() + 1
        return "own"

    async def slow(request: Any) -> str:
        await trio.sleep(100)
        return "slow"

    app.add_route(own, "/own")
    app.add_route(slow, "/slow")
    async with talking_to(app) as peer:
        assert await ask(peer, "/own") == (200, b"own")
        assert await ask(peer, "/slow") == (200, b"slow")


@pytest.mark.parametrize("served", [0, 1, 2])
async def test_a_client_that_leaves_is_noticed_in_any_turn(app: App, autojump_clock: MockClock, served: int) -> None:
    left = trio.Event()

    async def waiting(request: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.set()

    app.add_route(waiting, "/waiting")
    async with talking_to(app) as peer:
        for _ in range(served):
            assert await ask(peer, "/ok") == (200, b"ok")
        await peer.send(b"GET /waiting HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_all_tasks_blocked()
        await peer.stream.aclose()
        with trio.fail_after(1):
            await left.wait()
            await peer.done.wait()
    assert peer.journal.statuses == [200] * served + [499]


async def test_the_server_stops_a_request_in_any_turn(app: App, autojump_clock: MockClock) -> None:
    app.add_route(late, "/late")
    async with talking_to(app) as peer:
        assert await ask(peer, "/ok") == (200, b"ok")
        await peer.send(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_all_tasks_blocked()
        peer.driver.cancel()
        response = await peer.read_response()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"Connection: close" in response


async def test_a_request_that_was_kept_reaches_no_later_one(app: App, autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    async def keep(request: Any) -> str:
        kept.append(request)
        return "kept"

    async def slow(request: Any) -> str:
        kept[0].cancel()
        kept[0].deadline = trio.current_time() + 1
        await trio.sleep(10)
        return "slow"

    app.add_route(keep, "/keep")
    app.add_route(slow, "/slow")
    async with talking_to(app) as peer:
        assert await ask(peer, "/keep") == (200, b"kept")
        assert await ask(peer, "/slow") == (200, b"slow")


def arrives_with(peer: Peer, request: bytes, what: Callable[[], object]) -> None:
    """The connection is woken by `request`, and before it has its turn, `what` happens."""
    transport: Any = peer.driver.transport
    transport._buffer += request
    transport._changed.unpark_all()
    what()


SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("what", "status"), [("drain", b"200 OK"), ("_ring", b"200 OK"), ("cancel", b"503 Service Unavailable")]
)
async def test_a_request_that_comes_as_the_wait_for_it_ends_is_served(
    app: App, autojump_clock: MockClock, what: str, status: bytes
) -> None:
    """It has arrived: its handler is neither begun in vain nor forgotten, and only a server past waiting cancels it."""

    async def slow(request: Any) -> str:
        await trio.sleep(1)
        return "slow"

    app.add_route(slow, "/slow")
    async with talking_to(app) as peer:
        assert await ask(peer, "/ok") == (200, b"ok")
        await wait_all_tasks_blocked()
        arrives_with(peer, SLOW, getattr(peer.driver, what))
        response = await peer.read_response()
        assert response.startswith(b"HTTP/1.1 " + status)
        assert (b"Connection: close" in response) is (what != "_ring")
        if what == "_ring":
            assert await ask(peer, "/ok") == (200, b"ok")
        else:
            assert await peer.read_to_end() == b""
    assert len(peer.journal.statuses) == 2 + (what == "_ring")


async def test_a_cancellation_behind_a_complete_answer_leaves_the_next_request_alone(
    app: App, autojump_clock: MockClock
) -> None:
    async def answered(request: Any) -> None:
        async with await request.respond() as response:
            await response.send("answered")
        request.cancel()

    app.add_route(answered, "/answered")
    async with talking_to(app) as peer:
        await peer.send(b"GET /answered HTTP/1.1\r\nHost: x\r\n\r\n" + SLOW.replace(b"slow", b"ok"))
        assert b"answered" in await peer.read_response()
        assert (await peer.read_response()).endswith(b"ok")
        assert await ask(peer, "/ok") == (200, b"ok")
    assert peer.journal.statuses == [200] * 3


async def test_what_waits_behind_a_cancelled_request_has_its_turn(app: App, autojump_clock: MockClock) -> None:
    app.add_route(late, "/late", timeout=1)
    request = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    async with talking_to(app) as peer:
        await peer.send(request % b"late" + request % b"ok" + request % b"late" + request % b"ok")
        statuses = [int((await peer.read_response()).split()[1]) for _ in range(4)]
    assert statuses == [503, 200, 503, 200]

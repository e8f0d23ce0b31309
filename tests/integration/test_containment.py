"""Whatever breaks, wherever it breaks: everybody else goes on being served, and nothing leaves `serve`.

Each layer is broken in turn, while one client is connected already and another one comes afterwards.  The broken layer
is reported once, to the log; who met it has an answer, or at the very least the end of his connection.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest
import trio
from integration.bystanders import Bystanders, end, errors, new_app, outcome
from integration.live_server import serving
from integration.raw_client import request_for

from trioframe import Request, RequestCancelled, Response, text


class Broken(Exception):
    """What is raised everywhere here."""


class Unspeakable(Exception):
    """It cannot even be printed."""

    def __str__(self) -> str:
        raise Broken

    __repr__ = __str__


# --- the user's code --------------------------------------------------------------------------------------------------


async def raises(request: Request) -> Response:
    raise Broken


async def raises_the_unspeakable(request: Request) -> Response:
    raise Unspeakable


def raises_in_a_thread(request: Request) -> Response:
    raise Broken


async def raises_a_group(request: Request) -> Response:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        nursery.start_soon(fail)
        await trio.sleep_forever()
    raise AssertionError


async def raises_the_end_of_an_iteration(request: Request) -> Response:
    raise StopAsyncIteration


async def raises_what_our_own_code_raises(request: Request) -> Response:
    raise trio.BrokenResourceError("of another stream")


async def raises_too_soon(request: Request) -> Response:
    raise trio.TooSlowError


async def recurses(request: Request) -> Response:
    return await recurses(request)


async def returns_nonsense(request: Request) -> Any:
    return object()


async def returns_nothing(request: Request) -> None:
    pass


async def answers_with_a_forbidden_header(request: Request) -> Response:
    return text("x", headers={"x": "a\r\nset-cookie: stolen"})


async def announces_too_much(request: Request) -> Response:
    return Response(b"short", headers={"content-length": "1000"})


async def loses_a_child(request: Request) -> Response:
    request.nursery.start_soon(fail)
    await trio.sleep_forever()
    raise AssertionError


async def loses_a_child_after_its_return(request: Request) -> Response:
    request.nursery.start_soon(fail_later)
    return text("too late")


async def fail() -> None:
    raise Broken


async def fail_later() -> None:
    for _ in range(5):
        await trio.lowlevel.checkpoint()
    raise Broken


FAILING = [
    raises,
    raises_the_unspeakable,
    raises_in_a_thread,
    raises_a_group,
    raises_the_end_of_an_iteration,
    raises_what_our_own_code_raises,
    raises_too_soon,
    recurses,
    returns_nonsense,
    returns_nothing,
    answers_with_a_forbidden_header,
    announces_too_much,
    loses_a_child,
    loses_a_child_after_its_return,
]


@pytest.mark.parametrize("handler", FAILING)
@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
async def test_a_handler_that_fails_is_a_500_and_one_record(handler, debug, caplog: pytest.LogCaptureFixture):
    app = new_app(DEBUG=debug)
    app.add_route(handler, "/")
    async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
        assert (await client.get()).status == 500
        assert (await client.get("/fine")).body == b"fine"  # also on the same connection
        assert await bystanders.are_served()
        client.leave()
        await end(live)
    assert len(errors(caplog)) == 1


class BadIterator:
    """Fails wherever it is told to."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken
        self._left = [b"one", b"two"]

    def _touch(self, where: str) -> None:
        if where in self._broken:
            raise Broken(where)

    def __aiter__(self) -> BadIterator:
        self._touch("aiter")
        return self

    async def __anext__(self) -> bytes:
        if self._left:
            self._touch(self._left[0].decode())
            return self._left.pop(0)
        self._touch("end")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._touch("aclose")


class NonsenseIterator(BadIterator):
    async def __anext__(self) -> Any:
        return 42


# Where it breaks, and what the client has: before the first piece another answer is possible, afterwards none.
ITERATORS: dict[str, tuple[Callable[[], BadIterator], int | Literal["cut"]]] = {
    "aiter": (lambda: BadIterator("aiter"), 500),
    "the first piece": (lambda: BadIterator("one"), 500),
    "the first piece, and closing": (lambda: BadIterator("one", "aclose"), 500),
    "a piece of nonsense": (lambda: NonsenseIterator(), 500),
    "the second piece": (lambda: BadIterator("two"), "cut"),
    "the second piece, and closing": (lambda: BadIterator("two", "aclose"), "cut"),
    "the end": (lambda: BadIterator("end"), "cut"),
    "closing": (lambda: BadIterator("aclose"), "cut"),
}


@pytest.mark.parametrize(("new_iterator", "expected"), ITERATORS.values(), ids=ITERATORS)
async def test_a_streamed_body_that_fails(new_iterator, expected, caplog: pytest.LogCaptureFixture):
    app = new_app()

    @app.get("/")
    async def stream(request: Request) -> Any:
        return new_iterator()

    async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
        await client.send(request_for("/"))
        assert await outcome(client) == expected
        assert await bystanders.are_served()
        client.leave()
        await end(live)
    assert len(errors(caplog)) == 1


async def test_a_generator_that_awaits_in_its_finally_when_the_client_has_left(caplog: pytest.LogCaptureFixture):
    app = new_app()
    sending, closed = trio.Event(), trio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"piece"
            sending.set()
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(0.01, shield=True):
                await trio.sleep_forever()
            closed.set()
            raise Broken

    @app.get("/")
    async def stream(request: Request) -> Any:
        return pieces()

    async with serving(app) as live, Bystanders(live) as bystanders:
        async with await live.connect() as client:
            await client.send(request_for("/"))
            await sending.wait()
            client.reset()
            await closed.wait()
        assert await bystanders.are_served()
        await end(live)
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_exception_handler_that_fails(asynchronous, caplog: pytest.LogCaptureFixture):
    app = new_app()
    app.add_route(raises, "/")

    if asynchronous:

        @app.exception(Broken)
        async def handle(request: Request, exception: Broken) -> Response:
            await trio.lowlevel.checkpoint()
            raise Unspeakable from exception
    else:

        @app.exception(Broken)
        def handle_at_once(request: Request, exception: Broken) -> Response:
            raise Unspeakable

    async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
        assert (await client.get()).status == 500
        assert await bystanders.are_served()
        client.leave()
        await end(live)
    assert errors(caplog)


async def test_an_exception_handler_whose_stream_fails(caplog: pytest.LogCaptureFixture):
    app = new_app()
    app.add_route(raises, "/")

    @app.exception(Broken)
    async def handle(request: Request, exception: Broken) -> Any:
        return BadIterator("two")

    async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
        await client.send(request_for("/"))
        assert await outcome(client) == "cut"
        assert await bystanders.are_served()
        await end(live)
    assert errors(caplog)


async def test_a_handler_of_cancellation_that_fails(caplog: pytest.LogCaptureFixture):
    app = new_app()
    begun, asked = trio.Event(), trio.Event()

    @app.get("/")
    async def wait(request: Request) -> None:
        begun.set()
        await trio.sleep_forever()

    @app.exception(RequestCancelled)
    async def handle(request: Request, exception: RequestCancelled) -> Response:
        asked.set()
        raise Broken

    async with serving(app) as live, Bystanders(live) as bystanders:
        async with await live.connect() as client:
            await client.send(request_for("/"))
            await begun.wait()
            client.reset()
            await asked.wait()
        assert await bystanders.are_served()
        await end(live)
    assert len(errors(caplog)) == 1


# --- the log ----------------------------------------------------------------------------------------------------------


class BrokenLog(logging.Handler):
    """Its disk is full."""

    def emit(self, record: logging.LogRecord) -> None:
        if "/fine" not in record.getMessage():
            raise Broken


@pytest.mark.parametrize("bad_input", [False, True], ids=["an exchange", "a refusal"])
async def test_an_access_log_that_fails(bad_input, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "trioframe.access")
    logger, handler = logging.getLogger("trioframe.access"), BrokenLog()
    app = new_app(ACCESS_LOG=True)
    logger.addHandler(handler)
    try:
        async with serving(app) as live, Bystanders(live) as bystanders, await live.connect() as client:
            await client.send(b"nonsense\r\n\r\n" if bad_input else request_for("/nowhere"))
            assert await outcome(client) == ("cut" if bad_input else 404)
            assert await bystanders.are_served()
            await end(live)
    finally:
        logger.removeHandler(handler)
    assert len(errors(caplog)) == 1

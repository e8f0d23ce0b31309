"""Whatever cuts a request on the long way short, wherever it stands: it ends in time, once, and leaves nothing."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from listening import ask, ends, listen, request_for, talking_to
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from wire import Peer

from trioframe import App, HTTPError, RequestCancelled
from trioframe.app.reserved import RESERVED
from trioframe.testing import cancel_everywhere
from trioframe.testing.leaks import coroutines_never_awaited, unfinished_generators
from trioframe.testing.trial import ALL_REASONS

PATIENCE = 30  # seconds, RESPONSE_TIMEOUT
GRACE = 5  # seconds, CANCEL_GRACE


class Place:
    """Somewhere on the way where a request may be made to wait for ever.

    Attributes:
      reached: set when a request to "/held" is there.
      left: how it was left: "", or the name of an exception.
    """

    def __init__(self) -> None:
        self.reached = trio.Event()
        self.left: str | None = None

    async def hold(self, request: Any) -> None:
        if request.path == "/held":
            self.reached.set()
            try:
                await trio.sleep_forever()
            except BaseException as exc:
                self.left = type(exc).__name__
                raise


@pytest.fixture
def app() -> App:
    app = App("cut", {"RESPONSE_TIMEOUT": PATIENCE, "CANCEL_GRACE": GRACE}, env_prefix=None)

    @app.get("/")
    async def hello(request: Any) -> str:
        return "hello"

    return app


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"


# --- where a request may stand ----------------------------------------------------------------------------------------


def plain(app: App) -> None:
    @app.get("/held")
    async def handler(request: Any) -> str:
        return "held"


def streaming(app: App) -> None:
    """With a child that feeds the stream."""

    @app.get("/held")
    async def handler(request: Any) -> Any:
        send, receive = trio.open_memory_channel[bytes](0)

        async def feed() -> None:
            async with send:
                while True:
                    await send.send(b"fed")

        request.nursery.start_soon(feed)
        return receive


def in_request_middleware(app: App, place: Place) -> None:
    plain(app)
    app.on_request(place.hold)


def in_response_middleware(app: App, place: Place) -> None:
    plain(app)

    @app.on_response
    async def middleware(request: Any, response: Any) -> None:
        await place.hold(request)


def in_response_middleware_of_a_stream(app: App, place: Place) -> None:
    streaming(app)

    @app.on_response
    async def middleware(request: Any, response: Any) -> None:
        await place.hold(request)


def in_response_middleware_of_respond(app: App, place: Place) -> None:
    @app.get("/held")
    async def handler(request: Any) -> None:
        await request.respond()

    @app.on_response
    async def middleware(request: Any, response: Any) -> None:
        await place.hold(request)


def before_the_handler(app: App, place: Place) -> None:
    plain(app)
    app.add_signal(place.hold, "http.handler.before")


def behind_the_handler(app: App, place: Place) -> None:
    plain(app)
    app.add_signal(place.hold, "http.handler.after")


def in_the_handler(app: App, place: Place) -> None:
    listen(app)

    @app.get("/held")
    async def handler(request: Any) -> None:
        await place.hold(request)


def in_the_handler_within_middleware(app: App, place: Place) -> None:
    in_the_handler(app, place)

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        return await call_next(request)


def in_front_of_call_next(app: App, place: Place) -> None:
    plain(app)

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        await place.hold(request)
        return await call_next(request)


def behind_call_next(app: App, place: Place) -> None:
    plain(app)

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        await place.hold(request)
        return response


def in_the_gap_before_a_stream(app: App, place: Place) -> None:
    behind_call_next(app, place)
    app.routes.pop()
    streaming(app)


def entering(phase: str) -> Callable[[App, Place], None]:
    def declare(app: App, place: Place) -> None:
        plain(app)

        @app.around(phase)
        async def standing(request: Any) -> AsyncIterator[None]:
            await place.hold(request)
            yield

    declare.__name__ = f"entering {phase}"
    return declare


def leaving(phase: str) -> Callable[[App, Place], None]:
    def declare(app: App, place: Place) -> None:
        plain(app)

        @app.around(phase)
        async def standing(request: Any) -> AsyncIterator[None]:
            yield
            await place.hold(request)

    declare.__name__ = f"leaving {phase}"
    return declare


def in_a_stream(app: App, place: Place) -> None:
    listen(app)

    @app.get("/held")
    async def handler(request: Any) -> Any:
        async def waiting() -> AsyncIterator[bytes]:
            yield b"one"
            await place.hold(request)

        return waiting()


def in_a_stream_behind_middleware(app: App, place: Place) -> None:
    in_a_stream(app, place)

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        return await call_next(request)


# Where it is torn by a cancellation of the request, and where it is not.
TORN = [in_the_handler, in_the_handler_within_middleware, in_a_stream, in_a_stream_behind_middleware]
WHOLE = [
    in_request_middleware,
    in_response_middleware,
    in_response_middleware_of_a_stream,
    in_response_middleware_of_respond,
    before_the_handler,
    behind_the_handler,
    in_front_of_call_next,
    behind_call_next,
    in_the_gap_before_a_stream,
    entering("http.handler"),
    leaving("http.handler"),
    entering("http.lifecycle"),
    leaving("http.lifecycle"),
]
SHIELDED = [in_response_middleware_of_a_stream, in_response_middleware_of_respond]
PLACES = TORN + WHOLE

Declare = Callable[[App, Place], None]


def name_of(value: Any) -> str:
    return str(getattr(value, "__name__", value))


@pytest.fixture
def nothing_is_left() -> Any:
    """What the server leaves behind without a word is found: generators, and coroutines."""
    with coroutines_never_awaited() as never_awaited, unfinished_generators(lambda task: True) as unfinished:
        yield unfinished
    assert never_awaited == []


async def held(app: App, place: Place, peer: Peer) -> None:
    """A request has reached the place, and is there, with two others behind it."""
    assert (await ask(peer))[0] == 200
    await peer.send(request_for("/held"))
    await place.reached.wait()
    await wait_all_tasks_blocked()


def running() -> Counter[str]:
    """The tasks of this run, but for the one that reads ahead on a connection that goes on."""
    found, todo = [], [trio.lowlevel.current_root_task()]
    while todo:
        if (task := todo.pop()) is not None:
            found.append(task.name)
            todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return Counter(name for name in found if not name.endswith("_read_ahead"))


# --- who cuts it short ------------------------------------------------------------------------------------------------


def fin(peer: Peer) -> None:
    peer.driver.peer_half_closed()


def reset(peer: Peer) -> None:
    peer.driver.peer_reset()


def shutdown(peer: Peer) -> None:
    peer.driver.cancel()


def application(peer: Peer) -> None:
    assert peer.driver.exchange is not None
    peer.driver.exchange.lifetime.cancel()


def deadline(peer: Peer) -> None:
    assert peer.driver.exchange is not None
    peer.driver.exchange.lifetime.deadline = trio.current_time()


CUTS = [fin, reset, shutdown, application, deadline]


@pytest.mark.parametrize("cut", CUTS, ids=name_of)
@pytest.mark.parametrize("declare", PLACES, ids=name_of)
async def test_it_ends_in_time_and_leaves_nothing(
    app: App, declare: Declare, cut: Callable[[Peer], None], autojump_clock: MockClock, nothing_is_left: Any
) -> None:
    place = Place()
    declare(app, place)
    course = listen(app)
    async with talking_to(app) as peer:
        before = running()
        await held(app, place, peer)
        course.clear()
        began = trio.current_time()
        cut(peer)
        while peer.driver.exchange is not None:
            await trio.sleep(0.1)
            assert trio.current_time() - began < 3 * PATIENCE
        await wait_all_tasks_blocked()
        assert running() <= before
        assert nothing_is_left() == []
    assert place.left == "Cancelled"
    assert len(ends(course)) == (0 if name_of(declare) == "leaving http.lifecycle" else 1), course
    # Who stops the server waits for nothing any more but what is shielded.
    torn = declare in TORN or (cut is shutdown and declare not in SHIELDED)
    assert (trio.current_time() - began < PATIENCE) is torn
    if declare in TORN:
        assert course[-1].startswith("cancelled") or course[-2].startswith("response"), course


@pytest.mark.parametrize("declare", [in_the_handler, in_the_handler_within_middleware, *WHOLE], ids=name_of)
async def test_the_next_request_knows_nothing_of_it(app: App, declare: Declare, autojump_clock: MockClock) -> None:
    """What hangs is given up, and whoever waits behind it on the connection has his turn."""
    place = Place()
    declare(app, place)
    course = listen(app)
    answered_first = name_of(declare) == "leaving http.lifecycle"
    async with talking_to(app) as peer:
        for _ in range(2):
            await peer.send(request_for("/held") + request_for("/"))
            began = trio.current_time()
            status = int((await peer.read_response()).split()[1])
            assert status == (200 if answered_first else 503)
            assert (await peer.read_response()).endswith(b"hello")
            assert PATIENCE <= trio.current_time() - began <= 2 * PATIENCE + 1
    assert len(ends(course)) == 4


@pytest.mark.parametrize("declare", PLACES, ids=name_of)
async def test_the_program_that_embeds_it_ends_it_at_once(
    app: App, declare: Declare, autojump_clock: MockClock, nothing_is_left: Any
) -> None:
    """Its cancellation is neither swallowed nor made something else."""
    place = Place()
    declare(app, place)
    course = listen(app)
    app.exception(Exception, RequestCancelled)(lambda request, error: pytest.fail("there is nothing to answer"))
    before = running()
    client, server = memory_stream_pair()
    with trio.CancelScope() as outer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.serve_stream, server)
            await client.send_all(request_for("/held"))
            await place.reached.wait()
            await wait_all_tasks_blocked()
            course.clear()
            outer.cancel()
    assert outer.cancelled_caught
    assert trio.current_time() <= GRACE
    assert place.left == "Cancelled"
    assert course == []
    assert running() <= before
    assert nothing_is_left() == []


# --- nothing is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/stream", "/respond", "/broken", "/nowhere", "/late", "/body"])
@pytest.mark.parametrize("nested", [False, True])
async def test_a_request_goes_when_it_has_ended(
    app: App, path: str, nested: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(100)  # what is logged is kept, and the traceback of an error with it
    kept: list[weakref.ref[Any]] = []
    listen(app)
    app.on_request(lambda request: kept.append(weakref.ref(request)))

    @app.get("/stream")
    async def stream(request: Any) -> object:
        return pieces()

    @app.get("/respond")
    async def respond(request: Any) -> None:
        async with await request.respond() as response:
            await response.send(b"x")

    @app.get("/broken")
    async def broken(request: Any) -> None:
        raise KeyError("k")

    @app.get("/late", timeout=1)
    async def late(request: Any) -> None:
        await trio.sleep_forever()

    @app.post("/body", stream=True)
    async def body(request: Any) -> str:
        return str(await request.receive_body())

    if nested:

        @app.middleware
        async def middleware(request: Any, call_next: Any) -> Any:
            return await call_next(request)

    async with talking_to(app) as peer:
        await ask(peer)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await ask(peer, path, *(("POST", b"abc") if path == "/body" else ()))
            peer.journal.exchanges.clear()
            await wait_all_tasks_blocked()
            assert [ref() for ref in kept][:-1] == [None] * 3
        finally:
            gc.enable()


# --- what middleware makes of a cancellation --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [reset, deadline, application, shutdown], ids=name_of)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancellation_that_middleware_has_taken_for_itself(
    app: App, cut: Callable[[Peer], None], streamed: bool, autojump_clock: MockClock
) -> None:
    """Its response is sent, if anybody is there; but a stream is not begun in a request that is over."""
    seen: list[str] = []
    place = Place()
    in_the_handler(app, place)

    @app.middleware
    async def swallowing(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except RequestCancelled as exc:
            seen.append(exc.reason)
            return pieces() if streamed else "instead"

    course = listen(app)
    async with talking_to(app) as peer:
        await held(app, place, peer)
        course.clear()
        cut(peer)
        if cut is reset:
            await peer.done.wait()
            assert ends(course) == ["cancelled disconnect"]
        elif streamed:
            assert (await peer.read_response()).startswith(b"HTTP/1.1 503 ")
            assert ends(course) == [f"cancelled {seen[0]}"]
        else:
            assert (await peer.read_response()).endswith(b"\r\n\r\ninstead")
            assert ends(course) == ["complete 200"]
    assert len(seen) == 1


@pytest.mark.parametrize("phase", ["http.handler", "http.lifecycle"])
async def test_a_cancellation_is_seen_by_what_stands_around(
    app: App, phase: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    place = Place()
    in_the_handler(app, place)

    @app.around(phase)
    async def seeing(request: Any) -> AsyncIterator[None]:
        try:
            yield
        except RequestCancelled as exc:
            await trio.sleep(1)  # nothing tears this
            seen.append(exc.reason)
            raise

    async with talking_to(app) as peer:
        await held(app, place, peer)
        deadline(peer)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 503 ")
    assert seen == ["timeout"]
    assert caplog.records == []


# --- a stream that is not sent ----------------------------------------------------------------------------------------


class Stream:
    """A body with something to close, which its handler has returned."""

    def __init__(self) -> None:
        self.closed = 0

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        pytest.fail("nobody asks for a piece")

    async def aclose(self) -> None:
        self.closed += 1
        await trio.lowlevel.checkpoint()


async def dropping(request: Any, call_next: Any) -> Any:
    await call_next(request)
    return "instead"


async def exchanging(request: Any, call_next: Any) -> Any:
    await call_next(request)
    return pieces()


async def failing(request: Any, call_next: Any) -> Any:
    await call_next(request)
    raise ValueError("middleware")


async def hanging(request: Any, call_next: Any) -> Any:
    await call_next(request)
    await trio.sleep_forever()


DROPPING = [(dropping, 200, b"instead"), (exchanging, 200, b"one"), (failing, 500, b""), (hanging, 503, b"")]


@pytest.mark.parametrize(("middleware", "status", "body"), DROPPING, ids=name_of)
async def test_a_stream_that_middleware_drops_leaves_nothing(
    app: App,
    middleware: Callable[..., Any],
    *,
    status: int,
    body: bytes,
    autojump_clock: MockClock,
    nothing_is_left: Any,
) -> None:
    stream, ended = Stream(), []
    app.middleware(middleware)

    @app.get("/dropped")
    async def handler(request: Any) -> Any:
        async def feed() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(request.path)

        request.nursery.start_soon(feed)
        return stream

    async with talking_to(app) as peer:
        before = running()
        for times in (1, 2):
            answered = await ask(peer, "/dropped")
            assert answered[0] == status
            assert body in answered[1]
            await wait_all_tasks_blocked()
            assert stream.closed == len(ended) == times
            assert running() <= before
    assert nothing_is_left() == []


async def test_a_stream_that_is_dropped_when_its_request_was_cancelled(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """There is only one thing to tell: what its middleware raised."""
    stream = Stream()
    app.get("/held")(returning(stream))

    @app.middleware
    async def late(request: Any, call_next: Any) -> Any:
        await call_next(request)
        request.cancel()
        raise ValueError("middleware")

    course = listen(app)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/held"))[0] == 500
    assert stream.closed == 1
    assert ends(course) == ["exception ValueError('middleware')"]
    assert len(caplog.records) == 1


async def test_a_stream_whose_head_response_middleware_refuses_is_closed(app: App) -> None:
    stream = Stream()
    app.get("/held")(returning(stream))
    app.on_response(lambda request, response: "instead")
    async with talking_to(app) as peer:
        assert (await ask(peer, "/held"))[1] == b"instead"
    assert stream.closed == 1


def returning(result: object) -> Callable[..., Any]:
    async def handler(request: Any) -> Any:
        return result

    return handler


@pytest.mark.parametrize("fails", ["the child", "closing"])
async def test_what_fails_while_a_stream_is_dropped_is_reported_beside_the_answer(
    app: App, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Stream):
        async def aclose(self) -> None:
            raise ValueError("closing")

    app.middleware(failing)

    @app.get("/dropped")
    async def handler(request: Any) -> Any:
        async def feed() -> None:
            try:
                await trio.sleep_forever()
            finally:
                if fails == "the child":
                    raise ValueError(fails)

        request.nursery.start_soon(feed)
        await wait_all_tasks_blocked()
        return Broken() if fails == "closing" else Stream()

    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert (await ask(peer, "/dropped"))[0] == 500
    assert ends(course) == ["exception ValueError('middleware')"] * 2
    assert f"ValueError: {fails}" in caplog.text
    assert "ValueError: middleware" in caplog.text


async def test_a_program_that_ends_closes_a_stream_that_waits(app: App) -> None:
    stream, place = Stream(), Place()
    app.get("/held")(returning(stream))

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        await place.hold(request)
        return response

    async with talking_to(app) as peer:
        await peer.send(request_for("/held"))
        await place.reached.wait()
    assert stream.closed == 1


# --- behind the request -----------------------------------------------------------------------------------------------


async def test_nobody_is_told_of_what_the_connection_itself_has_to_say(app: App) -> None:
    """A receiver that fails could not be answered there."""
    course = listen(app)

    @app.get("/held")
    async def handler(request: Any) -> None:
        raise HTTPError(400, headers={"x-bad": "a\r\nb"})

    async with talking_to(app) as peer:
        assert (await ask(peer, "/held"))[0] == 500
    assert "send" not in course


@pytest.mark.parametrize("declare", WHOLE, ids=name_of)
async def test_a_server_that_stops_waits_for_no_middleware(
    app: App, declare: Declare, autojump_clock: MockClock
) -> None:
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 2
    place = Place()
    declare(app, place)
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        await client.send_all(request_for("/held"))
        await place.reached.wait()
        app.shutdown()
    assert place.left == "Cancelled"
    assert trio.current_time() <= 2 + GRACE


async def test_it_may_be_cancelled_anywhere(app: App, autojump_clock: MockClock) -> None:
    async def waiting(*args: object, **context: object) -> None:
        await trio.sleep(1)

    @app.middleware
    async def middleware(request: Any, call_next: Any) -> Any:
        await waiting()
        response = await call_next(request)
        await waiting()
        return response

    for phase in ("http.handler", "http.lifecycle"):

        @app.around(phase)
        async def standing(request: Any) -> AsyncIterator[None]:
            await waiting()
            try:
                yield
            finally:
                await waiting()

    app.on_request(waiting)
    app.on_response(waiting)
    for name in RESERVED:
        if name.startswith("http."):
            app.add_signal(waiting, name)

    @app.post("/stream")
    async def handler(request: Any) -> Any:
        send, receive = trio.open_memory_channel[bytes](0)

        async def feed() -> None:
            async with send:
                for _ in range(3):
                    await send.send(request.body)

        request.nursery.start_soon(feed)
        return receive

    report = await cancel_everywhere(
        app, "POST", "/stream", content=[b"abc", b"def"], reasons=ALL_REASONS, patience=20 * PATIENCE
    )
    report.check()

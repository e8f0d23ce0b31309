"""The long way of a request: in which order it meets whom, and what becomes of what they return and raise."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from listening import (
    ARRIVED,
    ENDS_OF_REQUESTS,
    PromptExchange,
    app_with_routes,
    ask,
    ends,
    listen,
    mark,
    pieces,
    read_slowly,
    request_for,
    talking_to,
)
from trio.testing import MockClock
from wire import connected

from trioframe import App, HTTPError, RequestCancelled, Response, ServiceUnavailable, text
from trioframe.app.dispatch import Dispatcher


@pytest.fixture
def app() -> App:
    return app_with_routes()


async def passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def as_it_is(request: Any) -> AsyncIterator[None]:
    yield


NESTED: dict[str, Callable[[App], object]] = {
    "middleware": lambda app: app.middleware(passing),
    "around the handler": lambda app: app.around("http.handler")(as_it_is),
    "around the request": lambda app: app.around("http.lifecycle")(as_it_is),
}


@pytest.fixture(params=["in turn", *NESTED])
def way(request: pytest.FixtureRequest, app: App) -> str:
    """In the standing scope, or in one of its own, as something stands around: all that follows holds for both."""
    NESTED.get(request.param, lambda app: None)(app)
    return str(request.param)


# --- the order --------------------------------------------------------------------------------------------------------

HANDLED = [*ARRIVED, "routing.after", "handler.before"]


async def test_a_response(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer))[:2] == (200, b"hello")
            assert course == [*HANDLED, "handler.after None", "response 200", "send", "complete 200"]


async def test_a_stream_is_sent_behind_the_handler(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer, "/stream"))[1] == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"
            assert course == [*HANDLED, "handler.after None", "response 200", *["send"] * 3, "complete 200"]


async def test_a_response_that_the_handler_sends(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/respond"))[1] == b"7\r\nby hand\r\n0\r\n\r\n"
    # Its end is sent behind the handler, which has left it open.
    assert course == [*HANDLED, "response 200", "send", "handler.after None", "send", "complete 200"]


async def test_an_error(app: App, way: str, caplog: pytest.LogCaptureFixture) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer, "/broken"))[0] == 500
            error = "KeyError('broken')"
            assert course == [*HANDLED, f"handler.after {error}", f"exception {error}", "response 500", "send"]
    assert len(caplog.records) == 2


async def test_nothing_there(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/nowhere"))[0] == 404
        assert course == [*ARRIVED, "exception NotFound('Not Found')", "response 404", "send"]
        course.clear()
        assert (await ask(peer, "/", "DELETE"))[0] == 405
        assert ends(course) == ["exception MethodNotAllowed('Method Not Allowed')"]


async def test_what_no_route_has_to_answer(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/", "OPTIONS"))[0] == 204
    assert course == [*ARRIVED, "response 204", "send", "complete 204"]


async def test_a_body_is_told_of_by_the_piece(app: App, way: str) -> None:
    course = listen(app)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/body", "POST", b"x" * 10))[:2] == (200, b"10")
        told = [entry for entry in course if entry.startswith("read_body")]
        assert sum(int(entry.split()[1]) for entry in told) == 10
        assert course.index(told[-1]) + 1 == course.index("handler.before")


async def test_a_body_that_the_handler_reads_is_told_of_while_it_does(app: App, way: str) -> None:
    @app.post("/read", stream=True)
    async def read(request: Any) -> str:
        course.append("the handler")
        return str(len(await request.receive_body()))

    course = listen(app, "http.lifecycle.read_body")
    async with talking_to(app) as peer:
        assert (await ask(peer, "/read", "POST", b"x" * 10))[:2] == (200, b"10")
    assert course == ["the handler", "read_body 10"]


async def test_a_body_that_nobody_listens_to(app: App, way: str) -> None:
    course = listen(app, "http.lifecycle.complete")

    @app.post("/read", stream=True)
    async def read(request: Any) -> str:
        return str(len(await request.receive_body()))

    async with talking_to(app) as peer:
        for path in ("/body", "/read"):
            assert (await ask(peer, path, "POST", b"x" * 10))[:2] == (200, b"10")
            chunked = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            await peer.send(chunked % path.encode())
            assert (await peer.read_response()).endswith(b"\r\n\r\n3")
    assert course == ["complete 200"] * 4


async def test_what_signals_carry(app: App) -> None:
    seen: dict[str, Any] = {}

    @app.signal("http.lifecycle.begin")
    async def begin(conn_info: Any) -> None:
        seen["begin"] = conn_info

    @app.signal("http.lifecycle.read_head")
    def read_head(head: Any, conn_info: Any) -> None:
        seen["head"] = head

    @app.signal("http.routing.after")
    def routed(request: Any, route: Any, kwargs: Any, handler: Any) -> None:
        seen["routed"] = (request.route is route, kwargs, handler)

    @app.signal("http.lifecycle.send")
    def send(request: Any, data: Any) -> None:
        seen["data"] = bytes(data)

    @app.signal("http.lifecycle.complete")
    def complete(request: Any, response: Any, conn_info: Any) -> None:
        seen["complete"] = (request.path, response.body, conn_info)

    @app.get("/item/<number:int>")
    async def item(request: Any, number: int) -> str:
        return f"item {number}"

    async with talking_to(app) as peer:
        assert (await ask(peer, "/item/7"))[1] == b"item 7"
    conn_info = seen["begin"]
    assert seen["head"].raw_path == b"/item/7"
    assert seen["routed"] == (True, {"number": 7}, item)
    assert seen["data"] == peer.writes[0]
    assert seen["complete"] == ("/item/7", b"item 7", conn_info)


async def test_what_need_not_wait_does_not(app: App, way: str) -> None:
    course = listen(app, "http.lifecycle.complete")
    exchange = PromptExchange()
    await Dispatcher(app, app.compile()).handle(exchange)
    assert exchange.sent[0][3] == b"hello"
    assert course == ["complete 200"]


@pytest.mark.parametrize("by_itself", [False, True])
async def test_a_handler_that_finishes_all_the_same(app: App, way: str, by_itself: bool) -> None:
    """The scope it ran in was cancelled, and may have to be left first."""

    @app.get("/stubborn")
    async def stubborn(request: Any) -> str | None:
        request.cancel()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            if not by_itself:
                return "all the same"
            response = await request.respond()
            await response.send(b"all the same")
        return None

    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert b"all the same" in (await ask(peer, "/stubborn"))[1]
            assert "handler.after None" in course
            assert ends(course) == ["complete 200"]


@pytest.mark.parametrize("listener", ["http.lifecycle.send", "http.lifecycle.complete"])
async def test_a_client_that_reads_slowly_is_waited_for(
    app: App, way: str, listener: str, autojump_clock: MockClock
) -> None:
    """The time of what stands around the handler is not that of sending."""

    @app.get("/large")
    async def large(request: Any) -> bytes:
        return bytes(LARGE)

    course = listen(app, "http.lifecycle.complete", listener)
    received, seconds = await read_slowly(app, "/large")
    assert received > LARGE
    assert seconds > 60
    assert "complete 200" in course


LARGE = 4 * 1024 * 1024


# --- middleware -------------------------------------------------------------------------------------------------------


async def test_who_is_met_when(app: App) -> None:
    met: list[str] = []

    def request_middleware(name: str, **options: int) -> None:
        app.on_request(**options)(lambda request: met.append(f"request {name}"))

    def response_middleware(name: str, **options: int) -> None:
        app.on_response(**options)(lambda request, response: met.append(f"response {name}"))

    def wrapping(name: str, **options: int) -> None:
        async def middleware(request: Any, call_next: Any) -> Any:
            met.append(f"into {name}")
            response = await call_next(request)
            met.append(f"out of {name}")
            return response

        app.middleware(**options)(middleware)

    def around(phase: str) -> None:
        async def standing(request: Any) -> AsyncIterator[None]:
            met.append(f"into {phase}")
            yield
            met.append(f"out of {phase}")

        app.around(phase)(standing)

    for declare in (request_middleware, response_middleware, wrapping):
        declare("a")
        declare("b")
        declare("urgent", priority=1)
    around("http.handler")
    around("http.lifecycle")

    async with talking_to(app) as peer:
        for _ in range(2):
            met.clear()
            await ask(peer)
            assert met == [
                "into http.lifecycle",
                *("into urgent", "into a", "into b"),
                *("request urgent", "request a", "request b"),
                *("into http.handler", "out of http.handler"),
                *("response urgent", "response b", "response a"),
                *("out of b", "out of a", "out of urgent"),
                "out of http.lifecycle",
            ]


async def test_each_of_them_is_told_of(app: App, way: str) -> None:
    for _ in range(2):
        app.on_request(lambda request: None)
        app.on_response(lambda request, response: None)
    course = listen(app, "http.middleware.before", "http.middleware.after")
    async with talking_to(app) as peer:
        await ask(peer)
    each = ["middleware.before of {}", "middleware.after of {}"] * 2
    assert course == [entry.format(kind) for kind in ("request", "response") for entry in each]


async def test_one_kind_may_be_listened_to(app: App, way: str) -> None:
    heard: list[str] = []
    app.on_request(lambda request: None)
    app.on_response(lambda request, response: None)
    for kind in ("request", "response"):
        app.add_signal(lambda kind=kind: heard.append(kind), "http.middleware.before", {"attach_to": kind})
    async with talking_to(app) as peer:
        await ask(peer)
    assert heard == ["request", "response"]


async def asynchronous(request: Any) -> str:
    await trio.lowlevel.checkpoint()
    return "early"


@pytest.mark.parametrize(
    "middleware", [lambda request: "early", lambda request: text("early"), asynchronous, lambda r: asynchronous(r)]
)
async def test_a_request_middleware_may_answer(app: App, way: str, middleware: Callable[..., Any]) -> None:
    app.on_request(middleware)
    app.on_request(lambda request: pytest.fail("the way has ended"))
    app.on_response(mark)
    course = listen(app, "http.handler.before", "http.handler.after", "http.lifecycle.complete")
    async with talking_to(app) as peer:
        for path in ("/", "/nowhere", "/broken"):
            status, body, head = await ask(peer, path)
            assert (status, body, head.count("x-mark")) == (200, b"early", 1)
    assert course == ["complete 200"] * 3


async def test_a_request_middleware_may_answer_with_a_stream(app: App, way: str) -> None:
    app.on_request(lambda request: pieces())
    course = listen(app, "http.lifecycle.complete")
    async with talking_to(app) as peer:
        assert (await ask(peer))[1] == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"
    assert course == ["complete 200"]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_request_middleware_may_answer_by_itself(app: App, way: str, sent: bool) -> None:
    """What it has begun is the response: the way ends there."""

    @app.on_request
    async def by_itself(request: Any) -> None:
        response = await request.respond(status=203)
        if sent:
            await response.send(b"by itself")

    app.on_response(mark)
    app.on_request(lambda request: pytest.fail("the way has ended"))
    course = listen(app, "http.handler.before", *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            status, body, head = await ask(peer)
            assert (status, b"by itself" in body, head.count("x-mark")) == (203, sent, 1)
    assert course == ["complete 203"] * 2


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/", "HEAD", 200),
        ("/stream", "GET", 200),
        ("/respond", "GET", 200),
        ("/broken", "GET", 500),
        ("/nowhere", "GET", 404),
        ("/", "OPTIONS", 204),
        ("*", "OPTIONS", 204),
        ("/", "DELETE", 405),
    ],
)
async def test_every_response_passes_response_middleware_once(
    app: App, way: str, path: str, method: str, status: int
) -> None:
    app.on_response(mark)
    async with talking_to(app) as peer:
        await peer.send(request_for(path, method) + request_for("/"))
        answers = await peer.read_response() if method != "HEAD" else await peer.stream.receive_some()
        assert answers.startswith(b"HTTP/1.1 %d " % status)
        assert answers.lower().count(b"x-mark: marked") == 1


@pytest.mark.parametrize("path", ["/", "/stream", "/respond"])
async def test_response_middleware_may_put_another_one_in_its_place(app: App, way: str, path: str) -> None:
    @app.on_response
    async def replace(request: Any, response: Any) -> Response:
        return Response(b"another", 201, {"x-was": str(response.status)}, "text/plain")

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            status, body, head = await ask(peer, path)
            assert status == 201
            assert b"another" in body
            assert "x-was: 200" in head
    assert course == ["complete 201"] * 2


async def test_response_middleware_may_make_a_stream_of_it(app: App, way: str) -> None:
    app.on_response(lambda request, response: pieces())
    async with talking_to(app) as peer:
        for path in ("/", "/stream", "/nowhere"):
            assert (await ask(peer, path))[1] == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


# --- what they raise --------------------------------------------------------------------------------------------------


async def test_a_request_middleware_that_raises(app: App, way: str, caplog: pytest.LogCaptureFixture) -> None:
    @app.on_request
    def refuse(request: Any) -> None:
        raise HTTPError(402, "pay first")

    app.on_response(mark)
    course = listen(app)
    async with talking_to(app) as peer:
        for path in ("/", "/nowhere", "/broken"):
            course.clear()
            status, _, head = await ask(peer, path)
            assert (status, head.count("x-mark")) == (402, 1)
            assert len(ends(course)) == 1
            assert not any(entry.startswith("handler") for entry in course)
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/", "/stream", "/respond"])
async def test_a_response_middleware_that_raises(
    app: App, way: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked once: what it made impossible is answered as it is."""
    asked: list[int] = []

    @app.on_response
    def broken(request: Any, response: Any) -> None:
        asked.append(response.status)
        raise ValueError("middleware")

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert (await ask(peer, path))[0] == 500
    assert asked == [200] * 2
    assert course == ["exception ValueError('middleware')"] * 2
    assert len(caplog.records) == 2


async def test_a_response_middleware_that_raises_for_an_error_page(
    app: App, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_response
    def broken(request: Any, response: Any) -> None:
        raise ValueError("middleware")

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert (await ask(peer, "/nowhere"))[0] == 404
    assert course == ["exception NotFound('Not Found')"] * 2
    assert caplog.text.count("ValueError: middleware") == 2


async def test_a_response_middleware_that_answers_by_itself(app: App, way: str) -> None:
    @app.on_response
    async def wrong(request: Any, response: Any) -> None:
        await request.respond(status=203)

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert (await ask(peer))[0] == 500
    assert [entry.split("(")[0] for entry in course] == ["exception ServerError"] * 2


async def test_an_exception_handler_that_answers_by_itself_where_response_middleware_was_asked(
    app: App, way: str
) -> None:
    asked: list[int] = []

    @app.on_response
    def broken(request: Any, response: Any) -> None:
        asked.append(response.status)
        raise KeyError("middleware")

    @app.exception(KeyError)
    async def by_itself(request: Any, error: Exception) -> None:
        await request.respond(status=418)

    async with talking_to(app) as peer:
        assert (await ask(peer))[0] == 418
    assert asked == [200]


BEFORE_THE_RESPONSE = [
    "http.lifecycle.begin",
    "http.lifecycle.read_head",
    "http.lifecycle.request",
    "http.lifecycle.handle",
    "http.routing.before",
    "http.routing.after",
    "http.lifecycle.read_body",
    "http.middleware.before",
    "http.middleware.after",
    "http.handler.before",
    "http.handler.after",
    "http.lifecycle.response",
]


def raising(**context: object) -> None:
    raise LookupError("a receiver")


async def hanging(**context: object) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("name", BEFORE_THE_RESPONSE)
@pytest.mark.parametrize(("receiver", "status"), [(raising, 500), (hanging, 503)], ids=["raising", "hanging"])
async def test_a_receiver_that_fails_before_the_response_fails_the_request(
    app: App,
    way: str,
    *,
    name: str,
    receiver: Callable[..., Any],
    status: int,
    autojump_clock: MockClock,
) -> None:
    app.on_request(lambda request: None)
    app.on_response(lambda request, response: None)
    app.add_signal(receiver, name)
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            began = trio.current_time()
            assert (await ask(peer, "/body", "POST", b"x" * 10))[0] == status
            assert trio.current_time() - began <= 5 * 60
            assert len(course) == 1
            assert course[0].startswith("exception" if status == 500 else ("exception ServiceUn", "cancelled timeout"))


async def shielding(*met: object, **context: object) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(61)


@pytest.mark.parametrize("name", ["http.routing.after", "http.handler.before"])
async def test_a_receiver_that_shields_itself_is_not_saved_by_that(
    app: App, way: str, name: str, autojump_clock: MockClock
) -> None:
    app.add_signal(shielding, name)
    course = listen(app, "http.handler.before", "http.handler.after", *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer))[0] == 503
            assert "handler.after" not in course
            assert len(ends(course)) == 1


@pytest.mark.parametrize("path", ["/", "/stream", "/respond", "/nowhere"])
async def test_nor_is_response_middleware(app: App, way: str, path: str, autojump_clock: MockClock) -> None:
    app.on_response(shielding)
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer, path))[0] == (404 if path == "/nowhere" else 503)
            assert len(ends(course)) == 1


async def test_a_receiver_that_fails_behind_a_response_is_reported(
    app: App, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/complete")
    async def complete(request: Any) -> None:
        async with await request.respond() as response:
            await response.send("complete")

    app.add_signal(raising, "http.handler.after")
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert b"complete" in (await ask(peer, "/complete"))[1]
    assert course == ["complete 200"] * 2
    assert caplog.text.count("LookupError: a receiver") == 2


async def test_a_receiver_that_fails_behind_a_failed_handler(
    app: App, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error takes the place of the other, which stands above it in the log."""
    app.add_signal(raising, "http.handler.after")
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        assert (await ask(peer, "/broken"))[0] == 500
    assert course == ["exception LookupError('a receiver')"]
    assert caplog.text.index("KeyError: 'broken'") < caplog.text.index("LookupError: a receiver")


@pytest.mark.parametrize("receiver", [raising, hanging])
async def test_a_receiver_of_writes_that_fails_breaks_the_response(
    app: App, way: str, receiver: Callable[..., Any], autojump_clock: MockClock
) -> None:
    app.add_signal(receiver, "http.lifecycle.send")
    course = listen(app, *ENDS_OF_REQUESTS)
    for path in ("/", "/stream", "/respond", "/nowhere"):
        course.clear()
        async with talking_to(app) as peer:
            await peer.send(request_for(path))
            assert await peer.read_to_end() == b""
            await peer.done.wait()
        assert len(course) == 1
        assert course[0].startswith(("exception", "cancelled timeout"))


@pytest.mark.parametrize("receiver", [raising, hanging])
@pytest.mark.parametrize("name", ENDS_OF_REQUESTS)
async def test_a_receiver_of_an_end_that_fails_changes_nothing(
    app: App,
    way: str,
    *,
    name: str,
    receiver: Callable[..., Any],
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @app.get("/late", timeout=1)
    async def late(request: Any) -> None:
        await trio.sleep_forever()

    app.exception(ServiceUnavailable, LookupError)(lambda request, error: pytest.fail("nothing is to be answered"))
    app.add_signal(receiver, name, priority=1)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert [(await ask(peer, path))[0] for path in ("/", "/nowhere", "/late", "/stream")] == [
                200,
                404,
                503,
                200,
            ]
    assert caplog.records
    assert all(record.levelno == logging.ERROR for record in caplog.records)


async def test_the_rest_of_an_end_is_told_all_the_same(app: App, way: str) -> None:
    app.add_signal(raising, "http.lifecycle.complete", priority=1)
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        assert (await ask(peer))[0] == 200
    assert course == ["complete 200"]


async def test_who_answers_an_error_and_is_not_understood(app: App, way: str) -> None:
    app.exception(KeyError)(lambda request, error: Response(b"", 200, {"x-bad": "a\r\nb"}))
    app.add_signal(lambda **context: None, "http.lifecycle.send")
    async with talking_to(app) as peer:
        assert (await ask(peer, "/broken"))[0] == 500


async def test_a_request_goes_on_with_those_who_listened_when_it_began(app: App, way: str) -> None:
    heard: list[str] = []

    def late(request: Any) -> None:
        heard.append("late")

    @app.get("/change")
    async def change(request: Any) -> str:
        app.signals["http.lifecycle.complete"].disconnect(first)
        app.add_signal(late, "http.lifecycle.complete")
        dispatcher.listen()
        return "changed"

    @app.signal("http.lifecycle.complete")
    def first(request: Any) -> None:
        heard.append("first")

    dispatcher = Dispatcher(app, app.compile())
    async with connected(dispatcher.handle) as peer:
        await ask(peer, "/change")
        assert heard == ["first"]
        await ask(peer, "/")
    assert heard == ["first", "late"]


async def test_a_cancelled_request_is_answered_by_whoever_hears_of_it(
    app: App, way: str, autojump_clock: MockClock
) -> None:
    @app.get("/late", timeout=3)
    async def late(request: Any) -> None:
        await trio.sleep_forever()

    @app.exception(RequestCancelled)
    async def sorry(request: Any, error: RequestCancelled) -> Response:
        await trio.sleep(1)
        return text(error.reason, 504)

    app.on_response(mark)
    course = listen(app)
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            status, body, head = await ask(peer, "/late")
            assert (status, body, head.count("x-mark")) == (504, b"timeout", 1)
            assert course == [
                *HANDLED,
                "handler.after RequestCancelled('timeout')",
                "cancelled timeout",
                "middleware.before of response",
                "middleware.after of response",
                "response 504",
                "send",
            ]

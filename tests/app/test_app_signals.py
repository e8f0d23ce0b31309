"""What an app offers beside routes: signals, listeners, tasks; each as a user writes it down and sees it happen."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from memory_listener import MemoryListener
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from trioframe import App, CompileError, Request, Response, Signal, TrioframeError, text
from trioframe.errors import Mistake


@pytest.fixture
def app() -> App:
    app = App("test", {"GRACEFUL_SHUTDOWN_TIMEOUT": 10, "CANCEL_GRACE": 1}, env_prefix=None)

    @app.get("/")
    async def hello(request: Request) -> Response:
        return text("hello")

    return app


# --- signals ----------------------------------------------------------------------------------------------------------


async def test_dispatch_calls_in_order_here_and_now(app: App) -> None:
    heard: list[object] = []

    @app.signal("user.order.placed")
    def note(number: int) -> str:
        heard.append(("note", number, trio.lowlevel.current_task()))
        return "noted"

    @app.signal("user.order.<what>", priority=1)
    async def mail(what: str) -> None:
        heard.append(("mail", what, trio.lowlevel.current_task()))

    results = await app.dispatch("user.order.placed", {"number": 7})
    task = trio.lowlevel.current_task()
    assert heard == [("mail", "placed", task), ("note", 7, task)]
    assert results == [(mail, None), (note, "noted")]


async def test_conditions(app: App) -> None:
    heard: list[object] = []
    app.add_signal(lambda: heard.append("any"), "user.stock.moved")
    app.add_signal(lambda: heard.append("nyse"), "user.stock.moved", {"exchange": "NYSE"})
    await app.dispatch("user.stock.moved", condition={"exchange": "LSE"})
    await app.dispatch("user.stock.moved", condition={"exchange": "NYSE", "day": 1})
    assert heard == ["any", "any", "nyse"]


async def test_an_event_is_waited_for(app: App, nursery: trio.Nursery) -> None:
    found = []

    async def wait() -> None:
        event = await app.event("user.*.done", {"by": "me"})
        found.append((event.name, event))

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    await app.dispatch("user.work.done", {"n": 1}, {"by": "you"})
    await app.dispatch("user.work.done", {"n": 2}, {"by": "me"})
    await wait_all_tasks_blocked()
    assert found == [("user.work.done", {"n": 2})]


async def test_events_miss_none(app: App, nursery: trio.Nursery) -> None:
    async with app.events("user.*.*", max_buffer=2) as channel:
        await app.dispatch("user.a.b", {"n": 1})
        await app.dispatch("user.c.d", {"n": 2})
        nursery.start_soon(app.dispatch, "user.e.f", {"n": 3})
        assert [(await channel.receive())["n"] for _ in range(3)] == [1, 2, 3]


async def test_dispatch_soon_needs_a_server_and_reports(app: App, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[object] = []

    @app.signal("user.mail.sent")
    async def fail(to: str) -> None:
        heard.append(to)
        raise ValueError("no mail today")

    reported = []
    app.signal("server.exception.report")(lambda app, exception, request: reported.append((exception, request)))
    with pytest.raises(RuntimeError, match="served"):
        app.dispatch_soon("user.mail.sent", {"to": "a"})
    async with served(app):
        app.dispatch_soon("user.mail.sent", {"to": "a"})
        assert heard == []
        await wait_all_tasks_blocked()
    with pytest.raises(ValueError, match=r"http\.no\.such"):
        app.dispatch_soon("http.no.such")
    assert heard == ["a"]
    [(exception, request)] = reported
    assert (str(exception), request) == ("no mail today", None)
    assert len(caplog.records) == 1


def test_a_receiver_may_be_added_when_the_app_is_compiled_but_not_a_wrong_one(app: App) -> None:
    app.compile()
    app.signal("http.handler.before")(lambda request: None)
    with pytest.raises(CompileError) as caught:
        app.signal("http.handler.befor")(lambda request: None)
    assert "did you mean http.handler.before" in str(caught.value)
    with pytest.raises(CompileError) as caught:
        app.add_signal(lambda reqest: None, "http.handler.before")
    assert "asks for 'reqest'" in str(caught.value)
    with pytest.raises(TrioframeError, match="compiled"):
        app.on_request(lambda request: None)


def test_two_apps_share_nothing(app: App) -> None:
    other = App("other", env_prefix=None)
    app.signal("http.handler.before")(lambda request: None)
    assert isinstance(app.signals["http.handler.before"], Signal)
    assert not other.signals["http.handler.before"].receivers
    assert app.is_listened_to()
    assert not other.is_listened_to()


# --- the endpoint -----------------------------------------------------------------------------------------------------


def test_an_endpoint_is_the_handler_as_long_as_nobody_else_is_there(app: App) -> None:
    (route,) = app.compile().routes
    assert route.endpoint is route.handler

    def receiver(sender: App, **context: object) -> None: ...

    with app.signals["http.handler.before"].connected_to(receiver):
        assert route.endpoint is not route.handler
    assert route.endpoint is route.handler
    app.signals["http.handler.after"].connect(receiver)
    assert route.endpoint is not route.handler
    watch = weakref.ref(receiver)
    del receiver
    gc.collect()
    assert watch() is None
    assert route.endpoint is route.handler


async def test_an_endpoint_is_all_that_is_folded_around_the_handler(app: App) -> None:
    met: list[str] = []
    app.on_request(lambda request: met.append("request"))
    app.on_response(lambda request, response: met.append("response"))

    @app.middleware
    async def around(request: Request, call_next: Any) -> Any:
        met.append("around")
        return await call_next(request)

    async with app.test_client() as client:
        assert (await client.get("/")).text == "hello"
    assert met == ["around", "request", "response"]


@pytest.mark.parametrize("nested", [False, True])
async def test_an_endpoint_can_be_awaited(app: App, nested: bool) -> None:
    met: list[str] = []

    @app.on_request
    async def ask_by_the_plan(request: Request) -> Response | None:
        met.append("request")
        if len(met) > 1:
            return None
        (route,) = app.compile().routes
        return cast("Response", await route.endpoint(request, **request.match_info))

    if nested:

        @app.around("http.lifecycle")
        async def standing(request: Request) -> AsyncIterator[None]:
            yield

    async with app.test_client() as client:
        assert (await client.get("/")).text == "hello"
    assert met == ["request", "request"]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_all_mistakes_come_together_with_their_places() -> None:
    app = App("wrong", env_prefix=None)

    async def generator(app: App) -> AsyncIterator[None]:
        yield

    app.signal("http.no.such")(lambda request: None)
    app.signal("http.handler.before")(lambda request, route: None)
    app.signal("nonsense")(lambda: None)
    app.on_request(lambda: None)
    app.on_response(lambda request: None)
    app.middleware(lambda request, call_next: None)
    app.around("http.nothing")(generator)
    app.lifespan(lambda: None)
    app.before_server_start(lambda: None)
    app.main_process_stop(lambda app, loop: None)
    app.get("/", name="x")(lambda request: "")
    app.get("/y", name="x")(lambda request: "")
    with pytest.raises(CompileError) as caught:
        app.compile()
    mistakes = caught.value.exceptions
    assert len(mistakes) == 11
    assert all(isinstance(mistake, Mistake) and mistake.place and __file__ in mistake.place for mistake in mistakes)
    for told in (
        "there is no signal 'http.no.such'",
        "asks for 'route'; this signal carries 'request'",
        "'nonsense' is no name of a signal",
        "request middleware must take (request)",
        "response middleware must take (request, response)",
        "must be async",
        "no phase 'http.nothing'",
        "what stands around 'server.lifecycle' must take (app)",
        "a listener of before_server_start must take (app)",
        "a listener of main_process_stop must take (app)",
    ):
        assert told in str(caught.value)


def test_what_cannot_be_called_at_all() -> None:
    app = App("wrong", env_prefix=None)
    app.on_request(7)  # type: ignore[call-overload]
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert "request middleware is 7, which cannot be called" in str(caught.value)


def test_a_coroutine_function_stands_around_nothing() -> None:
    app = App("wrong", env_prefix=None)

    async def not_yielding(request: Request) -> None: ...

    app.around("http.handler")(not_yielding)
    with pytest.raises(CompileError) as caught:
        app.compile()
    assert "is a coroutine function: yield once in it" in str(caught.value)


# --- the life of the server -------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: App) -> AsyncIterator[MemoryListener]:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: app.serve(listeners=[listener], task_status=task_status))
        yield listener
        app.shutdown()


async def test_the_life_of_a_server(app: App) -> None:
    met: list[str] = []

    @app.lifespan
    async def outer(app: App) -> AsyncIterator[None]:
        met.append("enter outer")
        yield
        met.append("exit outer")

    @app.around("server.lifecycle")
    @asynccontextmanager
    async def inner(app: App) -> AsyncIterator[None]:
        met.append("enter inner")
        yield
        met.append("exit inner")

    app.before_server_start(lambda app: met.append("before start"))
    app.before_server_start(priority=1)(lambda app: met.append("before start, first"))
    app.after_server_start(lambda app: met.append("after start"))
    app.before_server_stop(lambda app: met.append("before stop, last"))
    app.before_server_stop(lambda app: met.append("before stop"))
    app.after_server_stop(lambda app: met.append("after stop"))
    app.signal("server.init.before")(lambda app: met.append("the signal"))
    async with served(app):
        met.append("serving")
    assert met == [
        "enter outer",
        "enter inner",
        "before start, first",
        "before start",
        "the signal",
        "after start",
        "serving",
        "before stop",
        "before stop, last",
        "after stop",
        "exit inner",
        "exit outer",
    ]


async def test_listeners_of_the_main_process(app: App) -> None:
    met: list[str] = []
    for moment in ("main_process_start", "main_process_ready", "main_process_stop"):
        getattr(app, moment)(lambda app, moment=moment: met.append(moment))
        await app.call_listeners(moment)
    for moment in ("before_reload_trigger", "after_reload_trigger"):
        getattr(app, moment)(lambda app, moment=moment: met.append(moment))
    assert met == ["main_process_start", "main_process_ready", "main_process_stop"]


async def test_when_it_stops_every_receiver_is_called(app: App) -> None:
    met: list[str] = []

    @app.after_server_stop
    async def close(app: App) -> None:
        met.append("closed")

    @app.after_server_stop
    async def fail(app: App) -> None:
        raise ValueError("cannot")

    with pytest.raises(ExceptionGroup) as caught:
        async with served(app):
            pass
    assert met == ["closed"]
    assert [str(exc) for exc in caught.value.exceptions] == ["cannot"]


async def test_the_patience_with_reports_is_what_the_config_says_in_the_end(
    app: App, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.signal("server.exception.report")
    async def stall(exception: Exception) -> None:
        await trio.sleep_forever()

    app.config.RESPONSE_TIMEOUT = 7.0
    app.compile()
    start = trio.current_time()
    await app.report(ValueError())
    assert trio.current_time() - start == pytest.approx(7.0)


async def test_tasks_ticks_and_the_nursery(app: App, autojump_clock: trio.testing.MockClock) -> None:
    met: list[str] = []

    async def work(what: str) -> None:
        met.append(what)
        await trio.sleep_forever()

    app.add_task(work, "added before")

    @app.every(10)
    def tick() -> None:
        met.append("tick")

    with pytest.raises(RuntimeError, match="not served"):
        app.nursery  # noqa: B018
    async with served(app):
        app.add_task(work, "added", name="one")
        with pytest.raises(ValueError, match="one"):
            app.add_task(work, "again", name="one")
        app.nursery.start_soon(work, "started")
        await trio.sleep(25)
        assert (app.state.is_serving, app.state.tasks) == (True, 4)
    assert sorted(met) == ["added", "added before", "started", "tick", "tick"]
    assert (app.state.is_serving, app.state.tasks) == (False, 0)


async def test_what_follows_a_response(app: App, autojump_clock: trio.testing.MockClock) -> None:
    met: list[object] = []
    kept: list[Request] = []

    @app.get("/work")
    async def work(request: Request) -> str:
        kept.append(request)
        request.after_response(after, request)
        met.append("handled")
        return "done"

    async def after(request: Request) -> None:
        met.append(("after", request.exchange.finished))
        await trio.sleep(1)
        met.append("done")

    async with served(app) as listener:
        client = listener.connect()
        await client.send_all(b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"done" in await client.receive_some()
        await client.aclose()
        await wait_all_tasks_blocked()
        assert app.state.after_response == 1
        with pytest.raises(RuntimeError, match="over"):
            kept[0].after_response(after, kept[0])
        with pytest.raises(TypeError, match="async function"):
            app.follow(kept[0].exchange, print)  # type: ignore[arg-type]
    assert met == ["handled", ("after", True), "done"]


async def test_an_answer_behind_shutdown_is_its_connection_s_last(app: App) -> None:
    """Also while the receivers of `server.shutdown.before` keep it accepting."""
    goes_on = trio.Event()

    @app.before_server_stop
    async def tell_load_balancer(app: App) -> None:
        await goes_on.wait()

    async with served(app) as listener:
        client = listener.connect()
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"connection: close" not in (await client.receive_some()).lower()
        app.shutdown()
        await wait_all_tasks_blocked()
        late = listener.connect()
        for stream in (client, late):
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"connection: close" in (await stream.receive_some()).lower()
        goes_on.set()
    assert listener.closed


async def test_what_it_was_given_is_closed_if_the_start_fails(app: App) -> None:
    @app.before_server_start
    async def fail(app: App) -> None:
        raise ValueError("no database")

    listener = MemoryListener()
    with pytest.raises(ValueError, match="no database"):
        await app.serve(listeners=[listener])
    assert listener.closed
    client, server = memory_stream_pair()
    with pytest.raises(ValueError, match="no database"):
        await app.serve_stream(server)
    assert await client.receive_some() == b""


async def test_and_if_the_app_has_mistakes(app: App) -> None:
    app.signal("http.no.such")(lambda: None)
    listener = MemoryListener()
    with pytest.raises(CompileError):
        await app.serve(listeners=[listener])
    assert listener.closed
    client, server = memory_stream_pair()
    with pytest.raises(CompileError):
        await app.serve_stream(server)
    assert await client.receive_some() == b""

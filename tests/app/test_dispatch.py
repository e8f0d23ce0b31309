"""What becomes of a handler and its result, on the short way; asked as a client asks, over memory streams."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from asking import Client, ask, connected
from listening import PromptExchange, read_slowly
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trioframe import App, RequestCancelled, text
from trioframe.app.dispatch import Dispatcher


@pytest.fixture
def app() -> App:
    return App("test", {"CANCEL_GRACE": 5, "RESPONSE_TIMEOUT": 60}, env_prefix=None)


# --- what a handler returns


async def pieces() -> AsyncIterator[str | bytes]:
    yield "one "
    yield b"two"


@pytest.mark.parametrize(
    ("result", "content_type", "body"),
    [
        ("text", "text/plain; charset=utf-8", b"text"),
        (b"bytes", "application/octet-stream", b"bytes"),
        ({"a": 1}, "application/json", b'{"a":1}'),
        ([1, 2], "application/json", b"[1,2]"),
        (text("response", 201), "text/plain; charset=utf-8", b"response"),
    ],
)
async def test_a_result_becomes_a_response(app: App, result: object, content_type: str, body: bytes) -> None:
    @app.get("/")
    async def handler(request: object) -> object:
        return result

    async with connected(app) as client:
        _, head, content = await client.ask_all()
    assert f"content-type: {content_type}" in head.lower()
    assert content == body


async def test_a_stream_is_sent_piece_by_piece(app: App) -> None:
    @app.get("/")
    async def handler(request: object) -> object:
        return pieces()

    assert await ask(app) == (200, "4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_a_channel_is_a_stream(app: App) -> None:
    @app.get("/")
    async def handler(request: Any) -> object:
        send, receive = trio.open_memory_channel[bytes](0)

        async def produce() -> None:
            async with send:
                await send.send(b"abc")

        request.nursery.start_soon(produce)
        return receive

    assert await ask(app) == (200, "3\r\nabc\r\n0\r\n\r\n")


async def test_a_stream_is_closed_where_it_stands_when_the_client_leaves(app: App, autojump_clock: MockClock) -> None:
    closed = trio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await trio.sleep(1)
        finally:
            closed.set()

    @app.get("/")
    async def handler(request: object) -> object:
        return endless()

    async with connected(app) as client:
        await client.send()
        await trio.sleep(2.5)
        await client.stream.aclose()
        await closed.wait()


async def test_head_asks_for_no_piece(app: App) -> None:
    asked: list[str] = []

    async def costly() -> AsyncIterator[bytes]:
        asked.append("piece")
        yield b"x"

    @app.get("/")
    async def handler(request: object) -> object:
        return costly()

    assert await ask(app, method="HEAD") == (200, "")
    assert asked == []


async def test_a_handler_may_answer_by_itself(app: App) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send("by hand")

    assert await ask(app) == (200, "7\r\nby hand\r\n0\r\n\r\n")


async def test_its_children_may_go_on_with_it(app: App, autojump_clock: MockClock) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        response = await request.respond(content_type="text/plain")

        async def child() -> None:
            await trio.sleep(1)
            await response.send("from a child")

        request.nursery.start_soon(child)

    assert (await ask(app))[1].startswith("c\r\nfrom a child\r\n0")


async def test_but_not_return_another(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: Any) -> str:
        await request.respond(status=201)
        return "another"

    assert (await ask(app))[0] == 500
    assert "returned a response as well" in caplog.text


async def test_a_def_handler_runs_in_a_thread(app: App) -> None:
    @app.get("/<number:int>")
    def handler(request: object, number: int) -> str:
        return f"{number} {threading.current_thread() is threading.main_thread()}"

    assert await ask(app, "/7") == (200, "7 False")


async def test_a_callable_object_and_a_partial_are_handlers(app: App) -> None:
    class Handler:
        async def __call__(self, request: object) -> str:
            return "object"

    app.add_route(Handler(), "/")
    assert await ask(app) == (200, "object")


@pytest.mark.parametrize(("result", "said"), [(7, "a int"), (None, "nothing, and did not call")])
async def test_anything_else_is_a_bug_that_is_named(
    app: App, caplog: pytest.LogCaptureFixture, result: object, said: str
) -> None:
    @app.get("/")
    async def handler(request: object) -> object:
        return result

    assert (await ask(app))[0] == 500
    assert said in caplog.text


# --- finding the handler


async def test_what_is_not_there(app: App) -> None:
    @app.route("/x", ["GET", "POST"])
    async def handler(request: object) -> str:
        return "x"

    assert (await ask(app, "/y"))[0] == 404
    async with connected(app) as client:
        status, head, _ = await client.ask_all("/x", "DELETE")
    assert status == 405
    assert "allow: GET, HEAD, OPTIONS, POST".lower() in head.lower()


async def test_what_is_answered_for_everybody(app: App) -> None:
    app.add_route(lambda request: "no tunnel", "/", methods=("CONNECT",))

    @app.get("/x")
    async def handler(request: object) -> str:
        return "content"

    assert await ask(app, "/x", "HEAD") == (200, "")
    async with connected(app) as client:
        status, head, _ = await client.ask_all("/x", "OPTIONS")
    assert status == 204
    assert "allow: get, head, options" in head.lower()
    assert (await ask(app, "*", "OPTIONS"))[0] == 204
    assert (await ask(app, "x:443", "CONNECT"))[0] == 501


async def test_a_body_is_read_before_the_handler_unless_it_streams(app: App) -> None:
    @app.post("/whole")
    async def whole(request: Any) -> str:
        return f"{request.body}"

    @app.post("/stream", stream=True)
    async def stream(request: Any) -> str:
        return str([piece async for piece in request.stream])

    assert await ask(app, "/whole", "POST", b"abc") == (200, "b'abc'")
    assert await ask(app, "/stream", "POST", b"abc") == (200, "[b'abc']")


async def test_the_size_of_a_body(app: App) -> None:
    app.config.REQUEST_MAX_SIZE = 10

    @app.post("/default")
    async def default(request: object) -> str:
        return "ok"

    @app.post("/own", request_max_size=20)
    async def own(request: object) -> str:
        return "ok"

    @app.post("/stream", stream=True)
    async def stream(request: Any) -> str:
        request.stream.request_max_size = 30
        return str(len(await request.receive_body()))

    assert (await ask(app, "/default", "POST", b"x" * 11))[0] == 413
    assert (await ask(app, "/own", "POST", b"x" * 20))[0] == 200
    assert (await ask(app, "/own", "POST", b"x" * 21))[0] == 413
    assert await ask(app, "/stream", "POST", b"x" * 30) == (200, "30")
    assert (await ask(app, "/stream", "POST", b"x" * 31))[0] == 413


async def test_a_stalled_body_has_the_patience_of_its_route(app: App, autojump_clock: MockClock) -> None:
    @app.post("/", body_timeout=3)
    async def handler(request: object) -> str:
        return "never"

    async with connected(app) as client:
        await client.stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert b" 408 " in await client.read_to_end()


# --- a request that is cancelled


async def test_the_timeout_is_for_the_start_of_the_response(app: App, autojump_clock: MockClock) -> None:
    @app.get("/", timeout=3)
    async def handler(request: Any) -> None:
        response = await request.respond()
        await response.send(b"x")
        await trio.sleep(100)
        await response.send(b"y")

    assert (await ask(app))[1] == "1\r\nx\r\n1\r\ny\r\n0\r\n\r\n"


async def test_a_slow_upload_is_no_slow_handler(app: App, autojump_clock: MockClock) -> None:
    @app.post("/", stream=True, timeout=3)
    async def handler(request: Any) -> str:
        return str(len(await request.receive_body()))

    async with connected(app) as client:
        await client.stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n")
        for _ in range(10):
            await trio.sleep(1)
            await client.stream.send_all(b"x" * 500)
        assert (await client.read_to_end()).endswith(b"5000")


async def test_a_disconnect_may_be_ignored_by_a_route(app: App, autojump_clock: MockClock) -> None:
    done: list[bool] = []

    @app.get("/", on_disconnect="ignore")
    async def handler(request: Any) -> str:
        await request.wait_disconnected()
        await trio.sleep(30)
        done.append(request.disconnected)
        return "to nobody"

    async with connected(app) as client:
        await client.send()
        await wait_all_tasks_blocked()
        await client.stream.aclose()
        await trio.sleep(61)
    assert done == [True]


async def test_the_app_s_own_json(app: App) -> None:
    own = App("own", env_prefix=None, dumps=lambda value: f"<{value}>", loads=lambda data: data.decode()[::-1])

    @own.post("/")
    async def handler(request: Any) -> object:
        return {"got": request.json}

    assert await ask(own, "/", "POST", b"abc") == (200, "<{'got': 'cba'}>")


async def test_a_handler_that_has_cleaned_up_need_not_answer(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/", timeout=1)
    async def handler(request: Any) -> None:
        try:
            with request.cancellable():
                await trio.sleep_forever()
        except RequestCancelled:
            await trio.sleep(1)

    assert (await ask(app))[0] == 503
    assert caplog.records == []


async def test_a_cancelled_thread_s_answer_is_dropped(app: App) -> None:
    requests: list[Any] = []
    go_on = threading.Event()

    @app.get("/")
    def handler(request: Any) -> str:
        requests.append(request)
        go_on.wait()
        return "too late"

    async with connected(app) as client:
        await client.send()
        await wait_all_tasks_blocked(0.05)
        requests[0].exchange.lifetime.cancel("timeout")
        go_on.set()
        assert b" 503 " in await client.read_to_end()


async def test_a_server_that_must_stop_leaves_a_thread_to_itself() -> None:
    app = App("test", {"GRACEFUL_SHUTDOWN_TIMEOUT": 0.02, "CANCEL_GRACE": 0.02}, env_prefix=None)
    go_on, ended = threading.Event(), threading.Event()

    @app.get("/")
    def handler(request: object) -> str:
        go_on.wait()
        ended.set()
        return "to nobody"

    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        await Client(client).send()
        await wait_all_tasks_blocked(0.02)
        app.shutdown()
    assert not ended.is_set()
    go_on.set()
    await trio.to_thread.run_sync(ended.wait)


# --- who listens


def raising(request: Any) -> None:
    raise LookupError("a receiver")


async def hanging(request: Any) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("receiver", [lambda: None, lambda request: request.ctx, lambda **context: "no matter"])
async def test_a_receiver_in_front_of_the_handler_stands_in_no_way(app: App, receiver: Callable[..., Any]) -> None:
    app.add_signal(receiver, "http.handler.before")
    app.get("/")(in_turn)
    assert await ask(app) == (200, "in turn")


async def in_turn(request: Any) -> str:
    return "in turn"


async def test_a_receiver_may_be_awaited(app: App) -> None:
    order: list[str] = []

    @app.signal("http.handler.before")
    async def before(request: Any) -> None:
        await trio.lowlevel.checkpoint()
        order.append("receiver")

    @app.get("/")
    async def handler(request: Any) -> str:
        order.append("handler")
        return "done"

    assert await ask(app) == (200, "done")
    assert order == ["receiver", "handler"]


async def shielding(request: Any) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(61)


@pytest.mark.parametrize(("receiver", "status"), [(raising, 500), (hanging, 503), (shielding, 503)])
@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b"abc")])
async def test_a_receiver_that_fails_fails_the_request(
    app: App,
    receiver: Callable[..., Any],
    *,
    status: int,
    method: str,
    body: bytes,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.add_signal(receiver, "http.handler.before")
    app.route("/", ("GET", "POST"))(in_turn)
    assert (await ask(app, "/", method, body))[0] == status
    assert trio.current_time() <= (61 if status == 503 else 0)
    assert len(caplog.records) <= 1


@pytest.mark.parametrize("listened", [False, True])
async def test_a_client_that_reads_slowly_is_waited_for(app: App, listened: bool, autojump_clock: MockClock) -> None:
    """The time of a receiver is not that of sending."""
    large = 4 * 1024 * 1024
    if listened:

        @app.signal("http.handler.before")
        async def receiver(request: Any) -> None: ...

    @app.get("/")
    async def handler(request: Any) -> bytes:
        return bytes(large)

    received, seconds = await read_slowly(app, "/")
    assert received > large
    assert seconds > 60


async def test_who_listens_may_change_between_requests(app: App) -> None:
    heard: list[str] = []
    app.get("/")(in_turn)

    def receiver(request: Any) -> None:
        heard.append(request.path)

    async with connected(app) as client:
        for signal in ("http.handler.before", "http.handler.after"):
            await client.send(Connection="keep-alive")
            await client.stream.receive_some()
            app.add_signal(receiver, signal)
            await client.send(Connection="keep-alive")
            await client.stream.receive_some()
            app.signals[signal].disconnect(receiver)
    assert heard == ["/", "/"]


async def test_the_last_change_counts(app: App) -> None:
    """Who listens may change, by the garbage collector, while that is being found out."""
    dispatcher = Dispatcher(app, app.compile())
    heard: list[str] = []

    class Changing(dict[str, Any]):
        def hook(self, name: str, *args: Any, **options: Any) -> Any:
            if not heard:
                heard.append("changed meanwhile")
                dispatcher.listen()
            return None

    app.signals = Changing()  # type: ignore[assignment]
    dispatcher.listen()
    assert heard == ["changed meanwhile"]


async def test_what_need_not_wait_does_not(app: App) -> None:
    app.get("/")(in_turn)
    exchange = PromptExchange()
    await Dispatcher(app, app.compile()).handle(exchange)
    assert exchange.sent[0][3] == b"in turn"


@pytest.mark.parametrize("how", ["returning", "responding", "responding to the end"])
async def test_a_handler_that_finishes_though_it_was_cancelled(app: App, how: str) -> None:
    """The scope it ran in has to be left first."""

    @app.get("/")
    async def stubborn(request: Any) -> str | None:
        request.cancel()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            if how == "returning":
                return "all the same"
            response = await request.respond()
            await response.send(b"all the same")
            if how == "responding to the end":
                await response.eof()
        return None

    assert "all the same" in (await ask(app))[1]


@pytest.mark.parametrize("middleware", [False, True])
async def test_a_receiver_s_limit_is_not_that_of_the_answer_to_its_error(
    app: App, autojump_clock: MockClock, middleware: bool
) -> None:
    @app.signal("http.handler.before")
    async def fail(request: object) -> None:
        await trio.sleep(0.1)
        raise ValueError("by a receiver")

    @app.exception(ValueError)
    async def answer(request: object, error: Exception) -> str:
        await trio.sleep(5)
        return "sorry"

    @app.get("/", timeout=1)
    async def handler(request: object) -> str:
        return "not reached"

    if middleware:
        app.on_request(lambda request: None)
    async with connected(app) as client:
        _, _, content = await client.ask_all()
    assert content == b"sorry"

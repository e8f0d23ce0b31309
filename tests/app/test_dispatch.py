"""What becomes of a handler's result, and of what it raises; asked as a client asks, over memory streams."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trioframe import (
    App,
    BadRequest,
    HTTPError,
    NotFound,
    RequestCancelled,
    ServiceUnavailable,
    TrioframeError,
    empty,
    text,
)


class Client:
    """The far end of one connection to an app."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def ask(self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status and body of one answer."""
        status, _, content = await self.ask_all(path, method, body, **headers)
        return status, content.decode()

    async def ask_all(
        self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, str, bytes]:
        await self.send(path, method, body, **headers)
        head, _, content = (await self.read_to_end()).partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), content

    async def send(self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> None:
        fields = {"Host": "x", "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.stream.send_all(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read_to_end(self) -> bytes:
        data = b""
        async for piece in self.stream.receive_stream:
            data += piece
        return data


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[Client]:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        yield Client(client)
        nursery.cancel_scope.cancel()


async def ask(app: App, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, str]:
    async with connected(app) as client:
        return await client.ask(path, method, body, **headers)


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


async def test_an_exception_handler_may_answer_by_itself(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.exception(KeyError)
    async def by_itself(request: Any, error: Exception) -> None:
        response = await request.respond(status=418)
        await response.send("by hand")

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    assert await ask(app) == (418, "7\r\nby hand\r\n0\r\n\r\n")
    assert caplog.records == []


async def test_an_exception_handler_whose_stream_never_ends(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        await trio.sleep_forever()

    app.exception(KeyError)(lambda request, error: endless())

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    assert await ask(app) == (200, "1\r\nx\r\n")
    assert "took longer" in caplog.text


async def test_the_handler_of_request_cancelled_may_answer_by_itself(app: App) -> None:
    @app.exception(RequestCancelled)
    async def by_itself(request: Any, error: Exception) -> None:
        async with await request.respond(status=504) as response:
            await response.send("by hand")

    @app.get("/")
    async def handler(request: Any) -> None:
        request.cancel()
        await trio.sleep_forever()

    assert await ask(app) == (504, "7\r\nby hand\r\n0\r\n\r\n")


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


# --- what a handler raises


async def test_an_http_error_is_its_answer_and_quiet(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: object) -> None:
        raise HTTPError(418, "I'm a teapot", headers={"X-Pot": "short"})

    async with connected(app) as client:
        status, head, content = await client.ask_all()
    assert status == 418
    assert "x-pot: short" in head.lower()
    assert b"teapot" in content
    assert caplog.records == []


async def test_a_bug_is_a_500_and_one_record(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("secret")

    status, content = await ask(app)
    assert status == 500
    assert "secret" not in content
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(logging.ERROR, True)]


async def test_debug_shows_it(app: App) -> None:
    app.config.DEBUG = True

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("secret")

    assert "secret" in (await ask(app))[1]


async def test_the_format_of_an_error(app: App) -> None:
    @app.get("/", error_format="json")
    async def handler(request: object) -> None:
        raise BadRequest("no")

    status, content = await ask(app)
    assert status == 400
    assert json.loads(content)["message"] == "no"


async def test_the_most_specific_exception_handler_answers(app: App) -> None:
    @app.exception(Exception)
    async def anything(request: object, error: Exception) -> str:
        return "anything"

    @app.exception(LookupError, ZeroDivisionError)
    def lookup(request: object, error: Exception) -> object:
        return text(f"lookup {error!r}", 444)

    @app.get("/<kind>")
    async def handler(request: object, kind: str) -> None:
        raise {"key": KeyError("k"), "zero": ZeroDivisionError(), "value": ValueError()}[kind]

    assert await ask(app, "/key") == (444, "lookup KeyError('k')")
    assert await ask(app, "/zero") == (444, "lookup ZeroDivisionError()")
    assert await ask(app, "/value") == (200, "anything")
    assert await ask(app, "/a/b") == (200, "anything")


async def test_not_mine_asks_the_next(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.exception(KeyError)
    async def not_mine(request: object, error: Exception) -> None:
        return None

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    assert (await ask(app))[0] == 500
    assert len(caplog.records) == 1

    second = App("second", env_prefix=None)
    second.exception(KeyError)(not_mine)
    second.exception(LookupError)(lambda request, error: "the next")
    second.get("/")(handler)
    assert await ask(second) == (200, "the next")


async def test_an_exception_handler_that_fails(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.exception(KeyError)
    async def broken(request: object, error: Exception) -> None:
        raise ValueError("worse")

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    assert (await ask(app))[0] == 500
    assert "worse" in caplog.text
    assert "KeyError" in caplog.text


async def test_an_exception_handler_that_takes_too_long(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.exception(KeyError)
    async def slow(request: object, error: Exception) -> None:
        await trio.sleep_forever()

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    assert (await ask(app))[0] == 500
    assert trio.current_time() == 60
    assert "longer than" in caplog.text


async def test_a_group_is_an_error_of_its_own(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: Any) -> str:
        async def child() -> None:
            raise ValueError("child")

        request.nursery.start_soon(child)
        return "never sent"

    assert (await ask(app))[0] == 500
    assert "ExceptionGroup" in caplog.text


async def test_an_error_behind_the_head_breaks_the_connection(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        response = await request.respond()
        await response.send(b"half")
        raise ValueError("too late")

    assert await ask(app) == (200, "4\r\nhalf\r\n")
    assert "too late" in caplog.text


async def test_an_error_behind_the_end_changes_nothing_for_the_client(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        async with await request.respond() as response:
            await response.send(b"all")
        raise ValueError("afterwards")

    assert await ask(app) == (200, "3\r\nall\r\n0\r\n\r\n")
    assert "afterwards" in caplog.text


async def test_an_error_page_that_cannot_be_sent(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def handler(request: object) -> None:
        raise HTTPError(400, headers={"X-Bad": "a\r\nb"})

    status, _ = await ask(app)
    assert status == 500
    assert "LocalProtocolError" in caplog.text


async def test_broken_framing_is_the_clients_fault(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    @app.post("/")
    async def handler(request: object) -> str:
        return "never"

    async with connected(app) as client:
        await client.stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert b" 400 " in await client.read_to_end()
    assert all(record.exc_info is None for record in caplog.records)


# --- a request that is cancelled


async def test_the_handler_of_request_cancelled_and_no_other_is_asked(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    @app.exception(Exception, TrioframeError)
    async def anything(request: object, error: Exception) -> None:
        seen.append("anything")

    @app.exception(RequestCancelled)
    async def cancelled(request: object, error: RequestCancelled) -> None:
        await trio.sleep(1)
        seen.append(error.reason)

    @app.get("/")
    async def handler(request: object) -> None:
        await trio.sleep_forever()

    async with connected(app) as client:
        await client.send()
        await wait_all_tasks_blocked()
        await client.stream.aclose()
        await trio.sleep(5)
    assert seen == ["disconnect"]
    assert caplog.records == []


async def test_a_timeout_is_503(app: App, autojump_clock: MockClock) -> None:
    @app.get("/", timeout=3)
    async def handler(request: object) -> None:
        await trio.sleep_forever()

    assert (await ask(app))[0] == 503
    assert trio.current_time() >= 3


async def test_or_what_its_handler_answers(app: App, autojump_clock: MockClock) -> None:
    @app.exception(RequestCancelled)
    async def cancelled(request: object, error: RequestCancelled) -> object:
        return text(error.reason, 504)

    @app.get("/", timeout=3)
    async def handler(request: object) -> None:
        await trio.sleep_forever()

    assert await ask(app) == (504, "timeout")


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


async def test_a_cancelled_stream_is_cut(app: App, autojump_clock: MockClock) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        response = await request.respond()
        await response.send(b"x")
        request.cancel()
        await trio.sleep_forever()

    assert (await ask(app)) == (200, "1\r\nx\r\n")


async def test_an_application_may_cancel_its_request(app: App) -> None:
    @app.get("/")
    async def handler(request: Any) -> None:
        request.cancel()
        await trio.sleep_forever()

    assert (await ask(app))[0] == 503


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


async def test_an_error_while_the_client_leaves_is_reported(
    app: App, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def handler(request: object) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while unwinding")

    async with connected(app) as client:
        await client.send()
        await wait_all_tasks_blocked()
        await client.stream.aclose()
        await trio.sleep(1)
    assert "while unwinding" in caplog.text
    assert "the client left" in caplog.text


async def test_what_is_not_found_may_be_answered_by_the_app(app: App) -> None:
    app.exception(NotFound)(lambda request, error: text(f"no {request.path}", 404))
    app.exception(ServiceUnavailable)(lambda request, error: empty())
    assert await ask(app, "/nowhere") == (404, "no /nowhere")


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
    go_on = threading.Event()

    @app.get("/")
    def handler(request: Any) -> str:
        go_on.wait()
        return "too late"

    async with connected(app) as client:
        await client.send()
        await wait_all_tasks_blocked(0.05)
        (server,) = app._servers
        (driver,) = server._drivers
        driver.exchange.lifetime.cancel("timeout")  # type: ignore[attr-defined]
        go_on.set()
        assert b" 503 " in await client.read_to_end()


async def test_a_shield_in_an_exception_handler_has_no_more_time_than_it(app: App, autojump_clock: MockClock) -> None:
    @app.exception(RequestCancelled)
    async def cancelled(request: Any, error: Exception) -> None:
        with request.shielded(1000):
            await trio.sleep_forever()

    @app.get("/", timeout=1)
    async def handler(request: object) -> None:
        await trio.sleep_forever()

    assert (await ask(app))[0] == 503
    assert trio.current_time() <= 1 + 5


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


async def test_an_exception_handler_that_finds_the_client_gone(app: App) -> None:
    @app.exception(KeyError)
    async def gone(request: object, error: Exception) -> None:
        raise RequestCancelled("disconnect")

    @app.get("/")
    async def handler(request: object) -> None:
        raise KeyError("k")

    async with connected(app) as client:
        await client.send()
        assert await client.read_to_end() == b""

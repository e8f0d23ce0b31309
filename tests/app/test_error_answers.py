"""What is answered where a request did not go well; asked as a client asks, over memory streams."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from asking import ask, connected
from trio.testing import MockClock, wait_all_tasks_blocked

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


@pytest.fixture
def app() -> App:
    return App("test", {"CANCEL_GRACE": 5, "RESPONSE_TIMEOUT": 60}, env_prefix=None)


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


async def test_what_is_no_exception_goes_through(app: App) -> None:
    class End(BaseException):
        pass

    @app.get("/")
    async def handler(request: object) -> None:
        raise End

    app.exception(Exception)(lambda request, error: pytest.fail("this is nobody's to answer"))
    with pytest.RaisesGroup(End, flatten_subgroups=True):
        async with connected(app) as client:
            await client.send()
            assert await client.read_to_end() == b""

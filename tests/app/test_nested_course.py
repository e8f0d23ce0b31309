"""What stands around a handler sees how that has ended, and may make something else of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from listening import ENDS_OF_REQUESTS, app_with_routes, ask, ends, listen, mark, request_for, talking_to

from trioframe import App, HTTPError, Response, empty, text


@pytest.fixture
def app() -> App:
    return app_with_routes()


async def test_middleware_around_sees_what_the_handler_raises(app: App) -> None:
    seen: list[object] = []

    @app.middleware
    async def seeing(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Exception as exc:
            seen.append(exc)
            raise

    @app.exception(KeyError)
    async def answer(request: Any, error: Exception) -> Response:
        return text("answered", 418)

    async with talking_to(app) as peer:
        assert (await ask(peer, "/broken"))[:2] == (418, b"answered")
        assert (await ask(peer, "/nowhere"))[0] == 404
    assert [type(exc).__name__ for exc in seen] == ["KeyError", "NotFound"]


async def test_middleware_around_may_answer_in_the_place_of_an_error(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.middleware
    async def mending(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except KeyError:
            return "mended"

    app.on_response(mark)
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        status, body, head = await ask(peer, "/broken")
        assert (status, body, head.count("x-mark")) == (200, b"mended", 1)
    assert course == ["complete 200"]
    assert caplog.records == []


async def test_middleware_around_need_not_call_the_next(app: App) -> None:
    app.on_response(mark)

    @app.middleware
    async def closed(request: Any, call_next: Any) -> Any:
        return text("closed", 503)

    course = listen(app)
    async with talking_to(app) as peer:
        status, body, head = await ask(peer)
        assert (status, body, head.count("x-mark")) == (503, b"closed", 1)
    assert "handler.before" not in course
    assert ends(course) == ["complete 503"]


@pytest.mark.parametrize("path", ["/", "/stream", "/respond"])
async def test_but_not_call_it_twice(app: App, path: str, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    async def twice(request: Any, call_next: Any) -> Any:
        await call_next(request)
        return await call_next(request)

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        await peer.send(request_for(path))
        data = await peer.read_to_end() if path == "/respond" else await peer.read_response()
        assert data.startswith(b"HTTP/1.1 200 " if path == "/respond" else b"HTTP/1.1 500 ")
    assert "test_nested_course.py" in caplog.text
    assert "has called call_next() twice" in caplog.text
    assert len(course) == 1
    assert course[0].startswith("exception ServerError")


async def test_nor_return_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    async def forgetful(request: Any, call_next: Any) -> None:
        await call_next(request)

    async with talking_to(app) as peer:
        for path in ("/", "/stream"):
            assert (await ask(peer, path))[0] == 500
    assert caplog.text.count("returned nothing: return what call_next(request) returns") == 2


async def test_middleware_around_may_answer_by_itself(app: App) -> None:
    @app.middleware
    async def by_itself(request: Any, call_next: Any) -> None:
        async with await request.respond(status=203) as response:
            await response.send(b"by itself")

    app.on_response(mark)
    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            status, body, head = await ask(peer)
            assert (status, b"by itself" in body, head.count("x-mark")) == (203, True, 1)
    assert course == ["complete 203"] * 2


async def test_a_response_that_has_begun_cannot_be_replaced(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    async def too_late(request: Any, call_next: Any) -> str:
        await call_next(request)
        return "too late"

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        await peer.send(request_for("/respond"))
        assert (await peer.read_to_end()).endswith(b"7\r\nby hand\r\n")
    assert "another one cannot take its place" in caplog.text
    assert [entry.split("(")[0] for entry in course] == ["exception ServerError"]


async def test_a_handler_s_own_response_passes_middleware_around_as_it_is(app: App) -> None:
    seen: list[int] = []

    @app.middleware
    async def seeing(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append(response.status)
        return response

    async with talking_to(app) as peer:
        assert (await ask(peer, "/respond"))[0] == 200
    assert seen == [200]


@pytest.mark.parametrize("path", ["/", "/stream", "/broken"])
@pytest.mark.parametrize("phase", ["http.handler", "http.lifecycle"])
@pytest.mark.parametrize("where", ["entering", "leaving"])
async def test_what_stands_around_and_raises(
    app: App, path: str, phase: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.around(phase)
    async def broken(request: Any) -> AsyncIterator[None]:
        if where == "entering":
            raise ValueError("around")
        try:
            yield
        finally:
            raise ValueError("around")

    course = listen(app, *ENDS_OF_REQUESTS)
    sent = phase == "http.lifecycle" and where == "leaving" and path != "/broken"  # and nobody can be told any more
    async with talking_to(app) as peer:
        for _ in range(2):
            course.clear()
            assert (await ask(peer, path))[0] == (200 if sent else 500)
            assert course == ["complete 200" if sent else "exception ValueError('around')"]
    assert "ValueError: around" in caplog.text


@pytest.mark.parametrize("phase", ["http.handler", "http.lifecycle"])
async def test_what_stands_around_and_swallows(app: App, phase: str, caplog: pytest.LogCaptureFixture) -> None:
    @app.around(phase)
    async def swallowing(request: Any) -> AsyncIterator[None]:
        with contextlib.suppress(KeyError):
            yield

    course = listen(app, *ENDS_OF_REQUESTS)
    async with talking_to(app) as peer:
        for _ in range(2):
            assert (await ask(peer, "/broken"))[0] == 500
            assert (await ask(peer))[0] == 200
    assert f"what stands around {phase} has swallowed an exception" in caplog.text
    assert len(course) == 4


@pytest.mark.parametrize("phase", ["http.handler", "http.lifecycle"])
async def test_what_stands_around_and_does_not_yield_once(
    app: App, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    times = 0

    @app.around(phase)
    async def many(request: Any) -> AsyncIterator[None]:
        for _ in range(times):
            yield

    async with talking_to(app) as peer:
        assert (await ask(peer))[0] == 500
        times = 2
        assert (await ask(peer))[0] == (500 if phase == "http.handler" else 200)
    assert "generator didn't" in caplog.text


async def test_a_missing_route_has_no_handler_to_stand_around(app: App) -> None:
    @app.around("http.handler")
    async def standing(request: Any) -> AsyncIterator[None]:
        pytest.fail("there is no handler")
        yield

    app.exception(HTTPError)(lambda request, error: empty())
    async with talking_to(app) as peer:
        assert (await ask(peer, "/nowhere"))[0] == 204


async def test_call_next_takes_the_request_it_was_given(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    async def confused(request: Any, call_next: Any) -> Any:
        return await call_next(object())

    async with talking_to(app) as peer:
        assert (await ask(peer, "/"))[0] == 500
    assert "call_next() with another request" in str(caplog.records[0].exc_info)

"""httpx2 in memory: it is a real client on a real connection, only without a network."""

from __future__ import annotations

import httpx2
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe import App, HTTPError, Request, RequestCancelled, text
from trioframe.testing import client

MEBIBYTE = 1024 * 1024


@pytest.fixture
def app() -> App:
    """With what the tests look at in `app.ctx`."""
    app = App("http-client", env_prefix=None)

    @app.get("/")
    async def index(request: Request):
        return text(f"{request.scheme} {request.host}")

    @app.post("/upload", stream=True)
    async def upload(request: Request):
        sizes = [len(piece) async for piece in request.stream]
        return text(f"{sum(sizes)} bytes")

    @app.get("/boom")
    async def boom(request: Request):
        raise ZeroDivisionError("boom")

    return app


# --- connections ------------------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again(app):
    async with client(app) as http:
        for _ in range(3):
            assert (await http.get("/")).status_code == 200
        assert len(http.connections) == 1


async def test_a_connection_that_the_server_has_closed_is_not(app, autojump_clock):
    async with client(app) as http:
        await http.get("/")
        await trio.sleep(app.config.KEEP_ALIVE_TIMEOUT + 1)
        assert (await http.get("/")).status_code == 200
        assert len(http.connections) == 2


async def test_requests_at_the_same_time_have_connections_of_their_own(app):
    async with client(app) as http, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(http.get, "/")
    assert len(http.connections) == 20


async def test_a_large_upload_and_its_answer(app):
    async with client(app) as http:
        assert (await http.post("/upload", content=bytes(MEBIBYTE))).text == f"{MEBIBYTE} bytes"


async def test_https_is_spoken_as_behind_a_proxy(app):
    async with client(app, base_url="https://testserver") as http:
        assert (await http.get("/")).text == "http testserver"


async def test_proxies_of_the_environment_are_not_used(app, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    async with client(app) as http:
        assert (await http.get("/")).status_code == 200


# --- streaming --------------------------------------------------------------------------------------------------------


async def test_a_response_arrives_piece_by_piece(app):
    may_go_on = trio.Event()

    @app.get("/stream")
    async def stream(request: Request):
        response = await request.respond()
        await response.send("first")
        await may_go_on.wait()
        await response.send("second")

    async with client(app) as http, http.stream("GET", "/stream") as response:
        pieces = response.aiter_text()
        assert await anext(pieces) == "first"
        may_go_on.set()
        assert [piece async for piece in pieces] == ["second"]


async def test_a_handler_waits_for_a_client_that_does_not_read(app):
    sent = 0

    @app.get("/much")
    async def much(request: Request):
        nonlocal sent
        response = await request.respond()
        for _ in range(100):
            await response.send(bytes(1000))
            sent += 1000

    async with client(app, buffer_size=5000) as http, http.stream("GET", "/much") as response:
        await wait_all_tasks_blocked()
        assert sent < 10_000
        assert len(await response.aread()) == 100_000


async def test_an_upload_is_pulled_piece_by_piece(app):
    pulled = 0
    may_read = trio.Event()

    async def pieces():
        nonlocal pulled
        for _ in range(100):
            pulled += 1
            yield bytes(4096)

    @app.post("/slow", stream=True)
    async def slow(request: Request):
        await may_read.wait()
        return text(str(len(await request.receive_body())))

    async with client(app) as http, trio.open_nursery() as nursery:

        async def upload():
            assert (await http.post("/slow", content=pieces())).text == "409600"

        nursery.start_soon(upload)
        await wait_all_tasks_blocked()
        assert pulled < 100  # what the buffers on the way hold
        may_read.set()


# --- leaving ----------------------------------------------------------------------------------------------------------


async def test_giving_up_a_request_disconnects(app, autojump_clock):
    reasons = []

    @app.get("/sleep")
    async def sleep(request: Request):
        await trio.sleep_forever()

    @app.exception(RequestCancelled)
    async def cancelled(request: Request, error: RequestCancelled):
        reasons.append(error.reason)

    async with client(app) as http:
        with trio.move_on_after(1):
            await http.get("/sleep")
        await trio.sleep(1)
        assert reasons == ["disconnect"]


async def test_timeouts_of_httpx_are_in_virtual_time(app, autojump_clock):
    @app.get("/sleep")
    async def sleep(request: Request):
        await trio.sleep(50)
        return text("awake")

    async with client(app, timeout=10) as http:
        began = trio.current_time()
        with pytest.raises(httpx2.ReadTimeout):
            await http.get("/sleep")
        assert trio.current_time() - began == 10
        assert (await http.get("/sleep", timeout=60)).text == "awake"


async def test_sending_can_time_out_too(app, autojump_clock):
    @app.post("/deaf", stream=True, timeout=1000)
    async def deaf(request: Request):
        await trio.sleep(100)
        return text("too late")

    async with client(app, timeout=10) as http:
        with pytest.raises(httpx2.WriteTimeout):
            await http.post("/deaf", content=bytes(MEBIBYTE))


async def test_faults_from_outside(app):
    begun = trio.Event()

    @app.get("/sleep")
    async def sleep(request: Request):
        begun.set()
        await trio.sleep_forever()

    async with client(app) as http, trio.open_nursery() as nursery:

        async def fetch():
            with pytest.raises(httpx2.ReadError):
                await http.get("/sleep")

        nursery.start_soon(fetch)
        await begun.wait()
        [connection] = http.connections
        connection.reset()


async def test_leaving_ends_what_still_runs(app):
    ended = []

    @app.get("/sleep")
    async def sleep(request: Request):
        response = await request.respond()
        await response.send("begun")
        try:
            await trio.sleep_forever()
        finally:
            ended.append(True)

    async with client(app) as http:
        response = await http.send(http.build_request("GET", "/sleep"), stream=True)
    assert ended == [True]
    assert response.status_code == 200


# --- errors of the server ---------------------------------------------------------------------------------------------


async def test_a_failing_handler_is_answered_with_500(app):
    async with client(app) as http:
        assert (await http.get("/boom")).status_code == 500


async def test_its_exception_is_raised_if_wanted(app):
    async with client(app, raise_errors=True) as http:
        with pytest.raises(ZeroDivisionError, match="boom") as caught:
            await http.get("/boom")
        assert any(entry.name == "boom" for entry in caught.traceback)
        assert (await http.get("/")).status_code == 200


async def test_what_is_not_logged_as_an_error_is_not_raised(app):
    @app.get("/teapot")
    async def teapot(request: Request):
        raise HTTPError(418)

    async with client(app, raise_errors=True) as http:
        assert (await http.get("/teapot")).status_code == 418
        assert (await http.get("/nowhere")).status_code == 404


@pytest.fixture
def breaking(app: App) -> App:
    @app.get("/break")
    async def break_off(request: Request):
        response = await request.respond()
        await response.send("so far")
        raise ZeroDivisionError("half-way")

    return app


async def test_a_response_that_breaks_off(breaking):
    async with client(breaking) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get("/break")


async def test_the_cause_of_a_response_that_breaks_off(breaking):
    async with client(breaking, raise_errors=True) as http:
        with pytest.raises(ZeroDivisionError, match="half-way"):
            await http.get("/break")


async def test_an_error_that_the_client_does_not_meet_is_raised_in_the_end(app):
    @app.get("/late")
    async def late(request: Request):
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError("while it was unwound")

    with pytest.raises(ZeroDivisionError, match="unwound"):
        async with client(app, raise_errors=True) as http:
            with trio.move_on_after(0.01):
                await http.get("/late")


async def test_an_error_of_the_test_comes_first(app):
    with pytest.raises(AssertionError, match="of the test"):
        async with client(app, raise_errors=True) as http:
            with pytest.raises(ZeroDivisionError):
                await http.get("/boom")
            raise AssertionError("of the test")

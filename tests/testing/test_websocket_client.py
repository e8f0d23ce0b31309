"""trio-websocket in memory: it is a real client on a real connection, only without a network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection

from trioframe import App, Request, RequestCancelled, WebSocket, WebSocketClosed, text
from trioframe.testing import client


@pytest.fixture
def app() -> App:
    app = App("websocket-client", env_prefix=None)

    @app.websocket("/echo", subprotocols=("chat", "superchat"))
    async def echo(request: Request, ws: WebSocket):
        async for message in ws:
            await ws.send(message)

    @app.websocket("/head")
    async def head(request: Request, ws: WebSocket):
        names = await ws.recv()
        await ws.send("; ".join(f"{request.headers.get(name)}" for name in str(names).split()))

    @app.websocket("/refuse")
    async def refuse(request: Request, ws: WebSocket):
        return text("not today", status=403, headers={"X-Why": "closed"})

    @app.websocket("/boom")
    async def boom(request: Request, ws: WebSocket):
        await ws.recv()
        raise ZeroDivisionError("boom")

    @app.get("/")
    async def index(request: Request):
        return text(request.cookies.get("session", "nobody"))

    return app


# --- two ways to open one ---------------------------------------------------------------------------------------------


async def test_beside_the_requests_of_a_client(app):
    lives = []

    @app.lifespan
    async def count(app: App):
        lives.append("begun")
        yield

    async with client(app) as http:
        async with http.websocket("/echo") as ws:
            assert isinstance(ws, WebSocketConnection)
            await ws.send_message("hello")
            assert await ws.get_message() == "hello"
            assert (await http.get("/")).status_code == 200
            await ws.send_message(b"\x00\xff")
            assert await ws.get_message() == b"\x00\xff"
        assert (await http.get("/")).status_code == 200
    assert lives == ["begun"]


async def test_alone(app):
    async with app.test_client().websocket("/echo") as ws:
        await ws.send_message("hello")
        assert await ws.get_message() == "hello"
    async with client(app).websocket("/echo", subprotocols=["other", "superchat"]) as ws:
        assert ws.subprotocol == "superchat"


async def test_several_at_once(app):
    async with client(app) as http, http.websocket("/echo") as one, http.websocket("/echo") as two:
        await one.send_message("1")
        await two.send_message("2")
        assert (await one.get_message(), await two.get_message()) == ("1", "2")
        assert len(http.connections) == 2


# --- the handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("/head", "testserver:81"),
        ("head", "testserver:81"),
        ("ws://elsewhere:8080/head", "elsewhere:8080"),
        ("wss://elsewhere/head", "elsewhere"),
        ("http://elsewhere:80/head", "elsewhere"),
    ],
)
async def test_urls(app, url, host):
    async with client(app, base_url="http://testserver:81").websocket(url) as ws:
        await ws.send_message("host connection")
        assert await ws.get_message() == f"{host}; Upgrade"


async def test_a_query_goes_along(app):
    @app.websocket("/query")
    async def query(request: Request, ws: WebSocket):
        await ws.send(request.args["name"])

    async with client(app).websocket("/query?name=J%C3%BCrgen%20B") as ws:
        assert await ws.get_message() == "Jürgen B"


async def test_it_is_sent_what_httpx_would_send(app):
    base = {"X-Base": "base", "User-Agent": "test"}
    http = client(app, headers=base, cookies={"session": "42"}, auth=("user", "secret"))
    async with http.websocket("/head", headers={"X-More": "more"}) as ws:
        await ws.send_message("x-base user-agent cookie authorization x-more accept")
        assert await ws.get_message() == "base; test; session=42; Basic dXNlcjpzZWNyZXQ=; more; */*"


async def test_secure_cookies_go_where_the_client_believes_in_tls(app):
    @app.get("/login")
    async def login(request: Request):
        response = text("welcome")
        response.add_cookie("session", "42", secure=True)
        return response

    async with client(app, base_url="https://testserver") as http:
        await http.get("/login")
        for url, cookie in (("/head", "session=42"), ("wss://testserver/head", "session=42"), ("ws:/head", "None")):
            async with http.websocket(url.replace("ws:/", "ws://testserver/")) as ws:
                await ws.send_message("cookie")
                assert await ws.get_message() == cookie


async def test_cookies_of_the_answer_are_kept(app):
    @app.websocket("/login")
    async def login(request: Request, ws: WebSocket):
        await ws.accept({"Set-Cookie": "session=42", "X-Welcome": "yes"})

    async with client(app) as http:
        async with http.websocket("/login") as ws:
            assert (b"x-welcome", b"yes") in ws.handshake_headers
        assert (await http.get("/")).text == "42"


async def test_a_refusal(app):
    async with client(app) as http:
        with pytest.raises(ConnectionRejected) as caught:
            async with http.websocket("/refuse"):
                raise AssertionError("not to be reached")
        assert (caught.value.status_code, caught.value.body) == (403, b"not today")
        assert (b"x-why", b"closed") in caught.value.headers
        assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize(("url", "status"), [("/nowhere", 404), ("/", 200)])
async def test_no_websocket_is_there(app, url, status):
    with pytest.raises(ConnectionRejected) as caught:
        async with client(app).websocket(url):
            pass
    assert caught.value.status_code == status


async def test_a_connection_that_ends_without_an_answer(app):
    @app.websocket("/cut")
    async def cut(request: Request, ws: WebSocket):
        http.connections[-1].reset()
        await trio.sleep_forever()

    async with client(app) as http:
        with pytest.raises(HandshakeError, match="not answered"):
            async with http.websocket("/cut"):
                pass


async def test_a_handler_that_does_not_refuse_has_accepted(app, autojump_clock):
    @app.websocket("/silent")
    async def silent(request: Request, ws: WebSocket):
        await trio.sleep(3600)

    began = trio.current_time()
    async with client(app).websocket("/silent"):
        assert trio.current_time() - began == 1


# --- time -------------------------------------------------------------------------------------------------------------


async def test_hours_pass_and_pings_are_answered(app, autojump_clock):
    async with client(app).websocket("/echo") as ws:
        await trio.sleep(3600)
        await ws.ping()
        await ws.send_message("still here")
        assert await ws.get_message() == "still here"


async def test_messages_wait_for_the_test(app, autojump_clock):
    @app.websocket("/ticks")
    async def ticks(request: Request, ws: WebSocket):
        for number in range(100):
            await ws.send(str(number))
            await trio.sleep(1)

    async with client(app).websocket("/ticks") as ws:
        await trio.sleep(99.5)
        assert [await ws.get_message() for _ in range(100)] == [str(number) for number in range(100)]


async def test_a_handler_waits_for_a_test_that_does_not_receive(app):
    sent = 0

    @app.websocket("/much")
    async def much(request: Request, ws: WebSocket):
        nonlocal sent
        while True:
            await ws.send(bytes(1000))
            sent += 1

    async with client(app, buffer_size=5000).websocket("/much", message_queue_size=3):
        await wait_all_tasks_blocked()
        assert 3 < sent < 20


async def test_messages_have_a_size(app):
    async with client(app).websocket("/echo", max_message_size=10) as ws:
        await ws.send_message("0123456789+")
        with pytest.raises(ConnectionClosed):
            await ws.get_message()


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ends(app: App) -> list[object]:
    """How handlers of "/wait" and "/work" have ended."""
    ends: list[object] = []

    @app.websocket("/wait")
    async def wait(request: Request, ws: WebSocket):
        try:
            async for message in ws:
                await ws.send(message)
            ends.append(ws.close_code)
        except WebSocketClosed as exc:
            ends.append(exc.code)

    @app.websocket("/work")
    async def work(request: Request, ws: WebSocket):
        await ws.accept()
        await trio.sleep(5)
        ends.append(ws.close_code)

    @app.exception(RequestCancelled)
    async def cancelled(request: Request, error: RequestCancelled):
        ends.append(error.reason)

    return ends


async def test_leaving_closes_with_1000(app, ends):
    async with client(app) as http:
        async with http.websocket("/wait") as ws:
            pass
        assert ends == [1000]
        assert ws.closed is not None
        assert ws.closed.code == 1000


async def test_leaving_waits_for_the_handler(app, ends, autojump_clock):
    async with client(app) as http:
        began = trio.current_time()
        async with http.websocket("/work"):
            await trio.sleep(1)
        assert ends == [1000]
        assert trio.current_time() - began == 5


async def test_leaving_does_not_wait_for_ever(app, autojump_clock):
    @app.websocket("/forever")
    async def forever(request: Request, ws: WebSocket):
        await ws.accept()
        await trio.sleep_forever()

    async with client(app) as http:
        began = trio.current_time()
        async with http.websocket("/forever"):
            pass
        assert trio.current_time() - began == app.config.GRACEFUL_SHUTDOWN_TIMEOUT


async def test_a_close_of_its_own(app, ends):
    async with client(app).websocket("/wait") as ws:
        await ws.aclose(4001, "enough")
    assert ends == [4001]


async def test_a_close_of_the_server(app):
    @app.websocket("/bye")
    async def bye(request: Request, ws: WebSocket):
        await ws.close(4002, "bye")

    async with client(app).websocket("/bye") as ws:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.get_message()
    assert caught.value.reason is not None
    assert (caught.value.reason.code, caught.value.reason.reason) == (4002, "bye")


async def test_the_server_stops(app, ends):
    async with client(app).websocket("/wait") as ws:
        app.shutdown()
        with pytest.raises(ConnectionClosed) as caught:
            await ws.get_message()
    assert caught.value.reason is not None
    assert caught.value.reason.code == 1001
    assert ends == [1001]


async def test_a_ping_may_cross_the_close(app, ends, autojump_clock):
    @app.websocket("/pings")
    async def pings(request: Request, ws: WebSocket):
        await ws.accept()
        await trio.sleep(1)
        with pytest.raises(WebSocketClosed):
            await ws.ping()
        ends.append(ws.close_code)

    async with client(app, raise_errors=True) as http:
        began = trio.current_time()
        async with http.websocket("/pings"):
            http.connections[-1].dribble(1000, 2)
        assert ends == [1000]
        assert trio.current_time() - began == 2


async def test_a_failing_block_leaves_without_a_word(app, ends):
    async with client(app) as http:
        with pytest.raises(AssertionError, match="of the test"):
            async with http.websocket("/wait"):
                raise AssertionError("of the test")
        await wait_all_tasks_blocked()
        assert ends == [1006]


async def test_so_does_one_that_is_cancelled(app, ends, autojump_clock):
    async with client(app) as http:
        with trio.move_on_after(2):
            async with http.websocket("/work"):
                await trio.sleep_forever()
        await trio.sleep(1)
        assert ends == ["disconnect"]


async def test_groups_of_the_block_are_left_alone(app):
    with pytest.RaisesGroup(ValueError):
        async with client(app).websocket("/echo"):
            raise ExceptionGroup("two", [ValueError("of the test")])


@pytest.mark.parametrize("url", ["/wait", "/work"])
async def test_faults_from_outside(app, ends, url):
    async with client(app) as http:
        async with http.websocket(url) as ws:
            await ws.ping()
            http.connections[-1].reset()
            with pytest.raises(ConnectionClosed):
                await ws.get_message()
        await wait_all_tasks_blocked()
        assert ends == [1006 if url == "/wait" else "disconnect"]


async def test_a_half_closed_connection(app, ends):
    async with client(app) as http:
        async with http.websocket("/wait") as ws:
            await http.connections[-1].send_eof()
            with pytest.raises(ConnectionClosed):
                await ws.get_message()
        assert ends == [1006]


async def test_a_stalled_connection_is_cut(app, ends):
    async with client(app) as http:
        async with http.websocket("/wait"):
            http.connections[-1].stop_reading()
        await wait_all_tasks_blocked()
        assert ends == [1006]


# --- errors of the server ---------------------------------------------------------------------------------------------


async def test_a_failing_handler_closes_with_1011(app):
    async with client(app).websocket("/boom") as ws:
        await ws.send_message("go")
        with pytest.raises(ConnectionClosed) as caught:
            await ws.get_message()
    assert caught.value.reason is not None
    assert caught.value.reason.code == 1011


async def test_its_exception_is_raised_if_wanted(app):
    async with client(app, raise_errors=True) as http:
        with pytest.raises(ZeroDivisionError, match="boom") as caught:
            async with http.websocket("/boom") as ws:
                await ws.send_message("go")
                await ws.get_message()
        assert isinstance(caught.value.__cause__, ConnectionClosed)
        assert (await http.get("/")).status_code == 200


async def test_also_if_the_block_did_not_meet_it(app):
    with pytest.raises(ZeroDivisionError, match="boom"):
        async with client(app, raise_errors=True).websocket("/boom") as ws:
            await ws.send_message("go")


async def test_also_if_the_handshake_fails(app):
    @app.websocket("/early")
    async def early(request: Request, ws: WebSocket):
        raise ZeroDivisionError("early")

    with pytest.raises(ConnectionRejected) as caught:
        async with client(app).websocket("/early"):
            pass
    assert caught.value.status_code == 500
    with pytest.raises(ZeroDivisionError, match="early"):
        async with client(app, raise_errors=True).websocket("/early"):
            pass


async def test_what_is_not_logged_as_an_error_is_not_raised(app, ends):
    async with client(app, raise_errors=True) as http:
        with pytest.raises(ConnectionRejected):
            async with http.websocket("/refuse"):
                pass
        with pytest.raises(ConnectionClosed):
            async with http.websocket("/wait") as ws:
                http.connections[-1].reset()
                await ws.get_message()


async def test_an_error_of_the_test_comes_first(app):
    with pytest.raises(AssertionError, match="of the test"):
        async with client(app, raise_errors=True) as http, http.websocket("/boom") as ws:
            await ws.send_message("go")
            await wait_all_tasks_blocked()
            raise AssertionError("of the test")

"""The request that asks for a WebSocket: who may refuse it, with what, and what the 101 is made of."""

from __future__ import annotations

from typing import Any

import pytest
from reported import Reported
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import ACCEPT, Answer, Visitor, opening, visiting
from written_deflated import COMPRESSED, deflated
from written_frames import TEXT, frame

from trioframe import App, Deflate, HTTPError, LocalProtocolError, Response, text

ALLOWED = ("https://a.example", "http://localhost:8000")


@pytest.fixture
def app() -> App:
    return App("handshake", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": 5}, env_prefix=None)


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


def words(app: App, **options: Any) -> None:
    """A WebSocket that tells its subprotocol."""

    @app.websocket("/ws", **options)
    async def handler(request: Any, ws: Any) -> None:
        await ws.send(f"speaking {ws.subprotocol}")


async def refused(visitor: Visitor, **fields: Any) -> Answer:
    """A refusal, behind which the connection serves another request, if it is to be kept."""
    answer = await visitor.ask(**fields)
    assert answer.status >= 400
    if answer.headers.get("connection") != "close" and fields.get("version") != "1.0":
        assert (await visitor.ask(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")).status == 404
    return answer


# --- what is no opening -----------------------------------------------------------------------------------------------

REFUSALS: list[tuple[dict[str, str | None], int, dict[str, str]]] = [
    ({"upgrade": None, "connection": None}, 426, {"upgrade": "websocket", "connection": "upgrade"}),
    ({"connection": None}, 426, {"upgrade": "websocket"}),
    ({"upgrade": "h2c"}, 426, {"upgrade": "websocket"}),
    ({"version": "1.0"}, 426, {"upgrade": "websocket"}),
    ({"sec_websocket_version": "8"}, 426, {"upgrade": "websocket", "sec-websocket-version": "13"}),
    ({"sec_websocket_version": None}, 426, {"upgrade": "websocket", "sec-websocket-version": "13"}),
    ({"sec_websocket_key": None}, 400, {}),
    ({"sec_websocket_key": "short"}, 400, {}),
    ({"sec_websocket_protocol": "a, a"}, 400, {}),
    ({"sec_websocket_extensions": ";"}, 400, {}),
    ({"origin": "https://evil.example"}, 403, {}),
    ({"origin": "null"}, 403, {}),
    ({"method": "HEAD"}, 426, {"upgrade": "websocket"}),
]


@pytest.mark.parametrize(("fields", "status", "headers"), REFUSALS)
async def test_what_is_no_opening_is_refused(
    *,
    app: App,
    way: str,
    reported: Reported,
    fields: dict[str, str | None],
    status: int,
    headers: dict[str, str],
    autojump_clock: MockClock,
) -> None:
    @app.websocket("/ws", origins=ALLOWED)
    async def handler(request: Any, ws: Any) -> None:
        pytest.fail("it was refused")

    async with visiting(app) as visitor:
        answer = await refused(visitor, **fields)
    assert answer.status == status
    assert answer.headers.items() >= headers.items()
    assert reported.errors == []


async def test_another_method_is_for_another_route(app: App, autojump_clock: MockClock) -> None:
    words(app)
    async with visiting(app) as visitor:
        answer = await refused(visitor, method="POST", content_length="0")
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]


async def test_a_refusal_is_an_error_page_like_any(app: App, autojump_clock: MockClock) -> None:
    words(app)
    async with visiting(app) as visitor:
        answer = await refused(visitor, upgrade=None, connection=None, accept="application/json")
        assert answer.headers["content-type"].startswith("application/json")
        assert b"send Upgrade: websocket" in answer.body


async def test_a_refusal_may_be_handled_like_any_error(app: App, autojump_clock: MockClock) -> None:
    words(app)

    @app.exception(HTTPError)
    async def handle(request: Any, error: HTTPError) -> Response:
        return text(f"told {error.status}", status=error.status, headers=error.headers)

    async with visiting(app) as visitor:
        answer = await refused(visitor, sec_websocket_version="7")
        assert (answer.status, answer.body) == (426, b"told 426")
        assert answer.headers["sec-websocket-version"] == "13"


async def test_who_asks_for_a_websocket_elsewhere_gets_an_answer(app: App, autojump_clock: MockClock) -> None:
    """A server may ignore Upgrade (RFC 9110 section 7.8)."""

    @app.get("/ws")
    async def page(request: Any) -> str:
        return "a page"

    async with visiting(app) as visitor:
        for _ in range(2):
            answer = await visitor.ask()
            assert (answer.status, answer.body) == (200, b"a page")
        assert (await visitor.ask(path="/nowhere")).status == 404


# --- what is one ------------------------------------------------------------------------------------------------------


async def test_the_answer_to_an_opening(app: App, way: str, autojump_clock: MockClock) -> None:
    words(app)
    async with visiting(app) as visitor:
        answer = await visitor.open()
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"
    assert answer.headers["sec-websocket-accept"] == ACCEPT
    assert "date" in answer.headers
    assert not {"content-length", "transfer-encoding", "content-type"} & answer.headers.keys()
    assert not any(name.startswith("sec-websocket-") for name in answer.headers.keys() - {"sec-websocket-accept"})


@pytest.mark.parametrize(
    ("offered", "agreed"), [("v1, v2", "v2"), ("v1", "v1"), ("v3", None), ("V2", None), (None, None)]
)
async def test_the_first_subprotocol_of_ours_is_taken(
    app: App, offered: str | None, agreed: str | None, autojump_clock: MockClock
) -> None:
    words(app, subprotocols=("v2", "v1"))
    async with visiting(app) as visitor:
        answer = await visitor.open(sec_websocket_protocol=offered)
        assert answer.headers.get("sec-websocket-protocol") == agreed
        assert await visitor.receive() == f"speaking {agreed}"


@pytest.mark.parametrize("origin", [*ALLOWED, "HTTPS://A.EXAMPLE:443", None])
async def test_an_allowed_page_may_connect_and_so_may_what_is_no_page(
    app: App, origin: str | None, autojump_clock: MockClock
) -> None:
    words(app, origins=ALLOWED)
    async with visiting(app) as visitor:
        await visitor.open(origin=origin)


async def test_without_origins_every_page_may_connect(app: App, autojump_clock: MockClock) -> None:
    words(app)
    async with visiting(app) as visitor:
        await visitor.open(origin="https://evil.example")


async def test_no_origin_may_be_allowed(app: App, autojump_clock: MockClock) -> None:
    words(app, origins=[])
    async with visiting(app) as visitor:
        assert (await visitor.ask(origin="https://a.example")).status == 403
        await visitor.open()


BOTH_ALONE = "; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("deflate", "answered"),
    [
        (False, None),
        (True, BOTH_ALONE),
        (Deflate(), BOTH_ALONE),
        (Deflate(server_max_window_bits=10), f"{BOTH_ALONE}; server_max_window_bits=10"),
        (Deflate(server_no_context_takeover=False, client_no_context_takeover=False), ""),
    ],
)
async def test_deflate_is_spoken_where_it_is_wanted(
    app: App, deflate: bool | Deflate, answered: str | None, autojump_clock: MockClock
) -> None:
    app.websocket("/ws", deflate=deflate)(echo)
    async with visiting(app) as visitor:
        answer = await visitor.open(sec_websocket_extensions="permessage-deflate")
        wanted = None if answered is None else f"permessage-deflate{answered}"
        assert answer.headers.get("sec-websocket-extensions") == wanted
        if deflate:
            await visitor.stream.send_all(frame(TEXT, deflated(b"hello" * 1000), reserved=COMPRESSED))
            first, size = await visitor._read(2)
            assert (first, size < 126) == (0xC1, True)


async def test_a_route_may_have_a_size_of_its_own(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws", max_size=10)(echo)
    async with visiting(app) as visitor:
        await visitor.open()
        await visitor.send("x" * 10)
        assert await visitor.receive() == "x" * 10
        await visitor.send("x" * 11)
        assert (await visitor.receive_close())[0] == 1009
        assert await visitor.rest() == b""


async def test_frames_may_come_right_behind_the_opening(app: App, way: str, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)
    async with visiting(app) as visitor:
        await visitor.stream.send_all(opening() + frame(TEXT, b"one") + frame(TEXT, b"two"))
        assert (await visitor.answer()).status == 101
        assert [await visitor.receive() for _ in range(2)] == ["one", "two"]
        await visitor.leave()


async def test_an_opening_in_pieces(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)
    async with visiting(app) as visitor:
        visitor.stream.dribble(1)
        await visitor.open()
        await visitor.send("hello")
        assert await visitor.receive() == "hello"
        await visitor.leave()


async def test_an_opening_behind_other_requests(app: App, way: str, autojump_clock: MockClock) -> None:
    app.websocket("/ws")(echo)
    async with visiting(app) as visitor:
        for _ in range(2):
            assert (await visitor.ask(path="/nowhere")).status == 404
        await visitor.stream.send_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + opening() + frame(TEXT, b"hello"))
        assert (await visitor.answer()).status == 404
        assert (await visitor.answer()).status == 101
        assert await visitor.receive() == "hello"
        await visitor.leave()


async def test_an_opening_may_have_a_body(app: App, way: str, autojump_clock: MockClock) -> None:
    """Nothing forbids it; what follows the body are frames."""
    bodies: list[bytes] = []

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        bodies.append(request.body)
        await echo(request, ws)

    async with visiting(app) as visitor:
        await visitor.stream.send_all(opening(content_length="5"))
        await wait_all_tasks_blocked()
        await visitor.stream.send_all(b"12345" + frame(TEXT, b"hello"))
        assert (await visitor.answer()).status == 101
        assert await visitor.receive() == "hello"
        await visitor.leave()
    assert bodies == [b"12345"]


async def test_a_body_that_is_too_large_is_refused(app: App, autojump_clock: MockClock) -> None:
    app.websocket("/ws", request_max_size=4)(echo)
    async with visiting(app) as visitor:
        assert (await visitor.ask(opening(content_length="5"))).status == 413


# --- further headers --------------------------------------------------------------------------------------------------


async def test_a_handler_may_add_headers(app: App, way: str, autojump_clock: MockClock) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept({"X-Mark": "1", "Set-Cookie": "a=b"})
        await ws.accept({"X-Mark": "too late"})

    async with visiting(app) as visitor:
        answer = await visitor.open()
        assert (answer.headers["x-mark"], answer.headers["set-cookie"]) == ("1", "a=b")
        await visitor.take_leave()


async def test_response_middleware_sees_the_101(app: App, way: str, autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    @app.on_response
    async def mark(request: Any, response: Any) -> None:
        seen.append((response.status, response.body, dict(response.headers.items())))
        response.headers.add("x-mark", "middleware")
        response.add_cookie("seen", "yes")

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept([("x-mark", "handler")])
        await ws.send("hello")

    async with visiting(app) as visitor:
        answer = await visitor.open()
        assert answer.headers["x-mark"] == "middleware"  # behind that of the handler
        assert answer.headers["set-cookie"].startswith("seen=yes")
        assert await visitor.receive() == "hello"
        await visitor.take_leave()
    assert seen == [(101, b"", {"x-mark": "handler"})]


@pytest.mark.parametrize(
    "headers", [{"Sec-WebSocket-Protocol": "v9"}, {"Upgrade": "h2c"}, {"x": "a\r\nb"}, {"x y": "z"}]
)
async def test_headers_that_cannot_be_sent_are_a_bug(
    app: App, way: str, reported: Reported, headers: dict[str, str], autojump_clock: MockClock
) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.accept(headers)

    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 500
    assert [type(error) for error in reported.errors] == [LocalProtocolError]


async def test_who_has_given_such_headers_may_accept_without(app: App, autojump_clock: MockClock) -> None:
    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.accept({"Upgrade": "h2c"})
        await ws.send("hello")

    async with visiting(app) as visitor:
        await visitor.open()
        assert await visitor.receive() == "hello"


@pytest.mark.parametrize(
    "name", ["connection", "upgrade", "sec-websocket-accept", "content-length", "transfer-encoding"]
)
async def test_headers_of_a_middleware_that_cannot_be_sent_are_a_bug(
    app: App, way: str, reported: Reported, name: str, autojump_clock: MockClock
) -> None:
    app.websocket("/ws")(echo)
    app.on_response(lambda request, response: response.headers.add(name, "0") if response.status == 101 else None)
    async with visiting(app) as visitor:
        assert (await visitor.ask()).status == 500
    assert [type(error) for error in reported.errors] == [LocalProtocolError]

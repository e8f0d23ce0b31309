"""A page and a WebSocket on one path: who asks for a WebSocket gets it, and everybody else the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from upgrading import KEY, Visitor, opening, visiting

from trioframe import App, CompileError


@pytest.fixture
def app() -> App:
    return App("chat", {"RESPONSE_TIMEOUT": 30, "CANCEL_GRACE": 5}, env_prefix=None)


async def page(request: Any) -> str:
    return f"page of {request.route.name}"


async def talk(request: Any, ws: Any) -> None:
    await ws.send(f"websocket of {request.route.name}")


def declare(app: App) -> None:
    app.get("/chat", name="page", ctx_kind="page", on_disconnect="ignore")(page)
    app.websocket("/chat", name="talk", ctx_kind="websocket")(talk)


async def is_opened(visitor: Visitor, path: str = "/chat", **fields: Any) -> str | bytes:
    """What a WebSocket says, behind its handshake."""
    await visitor.open(path, **fields)
    said = await visitor.receive()
    await visitor.take_leave()
    return said


@pytest.mark.parametrize("turned", [False, True])
async def test_each_gets_what_it_asks_for(app: App, way: str, turned: bool, autojump_clock: MockClock) -> None:
    declare(app)
    if turned:
        app.routes.reverse()
    async with visiting(app) as visitor:
        for _ in range(2):
            answer = await visitor.ask(path="/chat", upgrade=None, connection=None)
            assert (answer.status, answer.body) == (200, b"page of page")
        assert await is_opened(visitor) == "websocket of talk"


@pytest.mark.parametrize(
    "fields",
    [
        {"upgrade": None, "connection": None},
        {"upgrade": "h2c"},
        {"connection": None},
        {"connection": "keep-alive"},
        {"version": "1.0"},
        {"upgrade": None, "connection": None, "sec_websocket_key": None, "sec_websocket_version": None},
    ],
)
async def test_what_asks_for_no_websocket_is_for_the_page(
    app: App, way: str, fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    declare(app)
    async with visiting(app) as visitor:
        answer = await visitor.ask(path="/chat", **fields)
    assert (answer.status, answer.body) == (200, b"page of page")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_key": "short"}, 400),
        ({"upgrade": "h2c, WebSocket", "sec_websocket_key": None}, 400),
        ({"upgrade": "websocket", "sec_websocket_key": KEY}, 101),
    ],
)
async def test_what_asks_for_one_in_a_wrong_way_is_for_the_websocket(
    app: App, fields: dict[str, Any], status: int, autojump_clock: MockClock
) -> None:
    declare(app)
    async with visiting(app) as visitor:
        assert (await visitor.ask(path="/chat", **fields)).status == status


async def test_other_methods(app: App, way: str, autojump_clock: MockClock) -> None:
    declare(app)
    async with visiting(app) as visitor:
        answer = await visitor.ask(path="/chat", method="HEAD")
        assert (answer.status, answer.headers["content-length"]) == (200, "12")
        for method, status in (("OPTIONS", 204), ("POST", 405)):
            answer = await visitor.ask(path="/chat", method=method, content_length="0")
            assert answer.status == status
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("page_uri", "websocket_uri", "path", "said"),
    [
        ("/rooms/<room:int>", "/rooms/<number:int>", "/rooms/7", ("page", {"room": 7})),
        ("/rooms/<room>/", "/rooms/<name>", "/rooms/%C3%A9/", ("page", {"room": "é"})),
        ("/<a>/<file:ext=txt>", "/<b>/<f:ext=txt>", "/x/y.txt", ("page", {"a": "x", "file": "y", "ext": "txt"})),
        ("/", "/", "/", ("page", {})),
    ],
)
async def test_each_is_given_the_parameters_of_its_own_path(
    *, app: App, page_uri: str, websocket_uri: str, path: str, said: tuple[str, Any], autojump_clock: MockClock
) -> None:
    seen: list[Any] = []

    @app.get(page_uri, name="page")
    async def show(request: Any, **params: Any) -> str:
        seen.append((request.route.name, params))
        return ""

    @app.websocket(websocket_uri, name="websocket")
    async def speak(request: Any, ws: Any, **params: Any) -> None:
        seen.append((request.route.name, params))
        await ws.send("")

    async with visiting(app) as visitor:
        await visitor.ask(path=path, upgrade=None, connection=None)
        await is_opened(visitor, path)
    assert seen[0] == said
    assert seen[1][0] == "websocket"
    assert list(seen[1][1].values()) == list(said[1].values())


async def test_they_share_it_where_both_are(app: App, autojump_clock: MockClock) -> None:
    """At other hosts, or with another slash, there is but the one or the other."""
    app.get("/chat", name="page", host=["a.example", "b.example"])(page)
    app.websocket("/chat/", name="talk", host="a.example", strict_slashes=True)(talk)
    async with visiting(app) as visitor:
        for path, host in (("/chat", "a.example"), ("/chat/", "b.example"), ("/chat", "b.example")):
            assert (await visitor.ask(path=path, host=host)).body == b"page of page"
        plain = await visitor.ask(path="/chat/", host="a.example", upgrade=None, connection=None)
        assert plain.body == b"page of page"
        assert await is_opened(visitor, "/chat/", host="a.example") == "websocket of talk"


async def test_the_more_specific_path_comes_first_all_the_same(app: App, autojump_clock: MockClock) -> None:
    declare(app)
    app.get("/chat/lobby", name="lobby")(page)

    @app.websocket("/chat/<room>")
    async def enter(request: Any, ws: Any, room: str) -> None:
        await ws.send(f"welcome to {room}")

    async with visiting(app) as visitor:
        assert (await visitor.ask(path="/chat/lobby")).body == b"page of lobby"
        assert (await visitor.ask(path="/chat/red", upgrade=None, connection=None)).status == 426
        assert await is_opened(visitor, "/chat/red") == "welcome to red"


# --- what belongs to a route ------------------------------------------------------------------------------------------


async def test_what_stands_around_is_that_of_the_chosen_one(app: App, autojump_clock: MockClock) -> None:
    met: list[str] = []

    def around(phase: str) -> None:
        async def standing(request: Any) -> AsyncIterator[None]:
            met.append(f"{phase}: {request.route.ctx.kind}, {request.scheme}")
            yield

        app.around(phase)(standing)

    for phase in ("http.handler", "websocket.handler"):
        around(phase)
    declare(app)
    app.on_request(lambda request: met.append(f"middleware: {request.route.name}"))
    app.add_signal(
        lambda request: met.append(f"before routing: {request.route}, {request.scheme}"), "http.routing.before"
    )
    app.add_signal(
        lambda route, handler: met.append(f"routed to {route.name}, {handler.__name__}"), "http.routing.after"
    )
    async with visiting(app) as visitor:
        await visitor.ask(path="/chat", upgrade=None, connection=None)
        await is_opened(visitor)
    assert met == [
        "before routing: None, http",
        "routed to page, page",
        "middleware: page",
        "http.handler: page, http",
        "before routing: None, http",
        "routed to talk, talk",
        "middleware: talk",
        "http.handler: websocket, ws",
        "websocket.handler: websocket, ws",
    ]


@pytest.mark.parametrize("ignoring", ["page", "websocket"])
async def test_a_client_that_leaves_does_what_the_chosen_route_says(
    app: App, way: str, ignoring: str, autojump_clock: MockClock
) -> None:
    finished: list[str] = []

    @app.get("/chat", on_disconnect="ignore" if ignoring == "page" else "cancel")
    async def slow_page(request: Any) -> str:
        await trio.sleep(10)
        finished.append("page")
        return ""

    @app.websocket("/chat", on_disconnect="ignore" if ignoring == "websocket" else "cancel")
    async def slow_talk(request: Any, ws: Any) -> None:
        await ws.accept()
        await trio.sleep(10)
        finished.append("websocket")

    for fields in ({"upgrade": None, "connection": None}, {}):
        async with visiting(app) as visitor:
            await visitor.stream.send_all(opening("/chat", **fields))
            await wait_all_tasks_blocked()
            visitor.reset()
            await trio.sleep(20)
    assert finished == [ignoring]


async def test_each_has_the_time_of_its_route(app: App, way: str, autojump_clock: MockClock) -> None:
    @app.get("/chat", timeout=3)
    async def slow_page(request: Any) -> str:
        await trio.sleep(10)
        return ""

    @app.websocket("/chat", timeout=0.5)
    async def slow_talk(request: Any, ws: Any) -> None:
        await trio.sleep(10)

    for fields, seconds in (({"upgrade": None, "connection": None}, 3), ({}, 0.5)):
        begun = trio.current_time()
        async with visiting(app) as visitor:
            assert (await visitor.ask(path="/chat", **fields)).status == 503
            assert trio.current_time() - begun == seconds


async def test_a_body_is_taken_as_the_page_says(app: App, autojump_clock: MockClock) -> None:
    @app.route("/chat", ["GET", "POST"], request_max_size=4)
    async def posted(request: Any) -> bytes:
        return bytes(request.body)

    app.websocket("/chat")(talk)
    async with visiting(app) as visitor:
        for method in ("GET", "POST"):
            head = opening("/chat", method=method, upgrade=None, connection=None, content_length="4")
            assert (await visitor.ask(head + b"body")).body == b"body"
        head = opening("/chat", upgrade=None, connection=None, content_length="5")
        assert (await visitor.ask(head + b"body!")).status == 413


# --- the declaration --------------------------------------------------------------------------------------------------


def test_nothing_stands_between_the_page_and_its_handler(app: App) -> None:
    declare(app)
    plan = app.compile()
    assert plan.routes[0].endpoint is page
    assert [planned.asked_by for planned in plan.routes] == ["GET", "WS"]
    assert [line.split()[:3] for line in str(plan).splitlines()[1:]] == [
        ["GET", "/chat", "page"],
        ["WS", "/chat", "talk"],
    ]
    assert (app.url_for("page"), app.url_for("talk")) == ("/chat", "/chat")


def test_two_of_a_kind_are_a_mistake(app: App) -> None:
    declare(app)
    app.websocket("/chat/", name="another websocket")(talk)
    app.get("/chat", name="another page")(page)
    with pytest.raises(CompileError) as caught:
        app.compile()
    websocket, other_page = map(str, caught.value.exceptions)
    assert "GET /chat/ is answered already by 'talk', as /chat" in websocket
    assert "GET /chat is answered already by 'page', as /chat" in other_page

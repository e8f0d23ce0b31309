"""Compiling an app: what a plan says, and every mistake with its place."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from trioframe import App, CompileError, RequestCancelled
from trioframe.app.calling import is_async
from trioframe.errors import Mistake


@pytest.fixture
def app() -> App:
    return App("test", env_prefix=None)


async def handler(request: object) -> str:
    return ""


async def handler_context(request: object) -> AsyncIterator[None]:
    yield


def test_nothing_stands_between_a_route_and_its_handler(app: App) -> None:
    app.get("/")(handler)
    assert app.compile().routes[0].endpoint is handler


def test_a_def_handler_is_wrapped(app: App) -> None:
    @app.get("/")
    def in_thread(request: object) -> str:
        return ""

    (route,) = app.compile().routes
    assert route.handler is in_thread
    assert route.endpoint is not in_thread
    assert route.endpoint.__name__ == "in_thread"


def test_a_plan_is_readable(app: App) -> None:
    app.route("/x/<n:int>", ["GET", "POST"], name="x")(lambda request, n: "")
    app.get("/", name="root")(handler)
    app.exception(KeyError, RequestCancelled)(lambda request, error: None)
    app.on_response(lambda request, response: None)
    app.on_request(lambda request: None)
    app.around("http.handler")(handler_context)
    lines = str(app.compile()).splitlines()
    assert lines[0] == "app 'test': 2 routes"
    assert re.fullmatch(r"  GET,POST +/x/<n:int> +x \(in a thread\)  .*test_compile.py:\d+", lines[1])
    assert re.fullmatch(r"  GET +/ +root  .*test_compile.py:\d+", lines[2])
    assert re.fullmatch(r"  request middleware: .*test_compile.py:\d+", lines[3])
    assert re.fullmatch(r"  response middleware: .*test_compile.py:\d+", lines[4])
    assert re.fullmatch(r"  around http.handler: .*test_compile.py:\d+", lines[5])
    assert re.fullmatch(r"  on KeyError: .*test_compile.py:\d+", lines[6])
    assert lines[7].startswith("  on RequestCancelled: ")


def test_a_plan_tells_of_websockets(app: App) -> None:
    async def talk(request: object, ws: object) -> None: ...

    app.get("/", name="root")(handler)
    app.websocket("/ws", name="ws")(talk)
    app.websocket("/other", name="other")(talk)
    app.around("websocket.handler")(handler_context)
    plan = app.compile()
    lines = str(plan).splitlines()
    assert re.fullmatch(r"  GET +/ +root  .*test_compile.py:\d+", lines[1])
    assert re.fullmatch(r"  WS +/ws +ws  .*test_compile.py:\d+", lines[2])
    assert [re.sub(r" /.*", "", line) for line in lines[4:]] == ["  around websocket.handler:"]
    root, ws, _ = plan.routes
    assert root.endpoint is handler
    assert ws.handler is talk
    assert [around.phase for around in ws.chain.handler] == ["websocket.handler"]


def test_defaults_come_from_the_configuration() -> None:
    app = App("test", {"REQUEST_MAX_SIZE": 1, "RESPONSE_TIMEOUT": 2, "BODY_TIMEOUT": 3}, env_prefix=None)
    app.get("/a", name="a")(handler)
    app.get("/b", stream=True, name="b")(handler)
    whole, stream = app.compile().routes
    assert (whole.request_max_size, whole.timeout, whole.body_timeout, whole.on_disconnect) == (1, 2, 3, "cancel")
    assert stream.request_max_size == float("inf")


def test_all_mistakes_come_together(app: App) -> None:
    app.get("no-slash", name="a")(handler)
    app.get("/x/<n>", name="b")(handler)
    app.get("/y", name="c")("not callable")  # type: ignore[type-var]

    @app.get("/z", name="d")
    async def generator(request: object):
        yield b""

    app.get("/twice", name="e")(handler)
    app.get("/twice", name="f")(handler)
    app.get("/g", name="g", timeout=-1, error_format="zz")(handler)
    app.exception()(lambda request, error: None)
    app.exception(KeyboardInterrupt)(lambda request, error: None)
    app.exception(KeyError)(lambda request: None)
    app.exception(ValueError)(lambda request, error: None)
    app.exception(ValueError)(lambda request, error: None)
    with pytest.raises(CompileError) as caught:
        app.compile()
    said = str(caught.value)
    assert "app 'test' has 11 mistakes" in said
    for part in (
        "'no-slash'",
        "must take (request, n)",
        "'not callable', which cannot be called",
        "is a generator",
        "/twice",
        "the route /g is wrong: timeout cannot be -1; allowed is a number of seconds above 0, or inf",
        "the route /g is wrong: error_format cannot be 'zz'; allowed is one of auto, html, json, text",
        "at least one exception type",
        "KeyboardInterrupt",
        "must take (request, exception)",
        "ValueError has a handler already, at",
    ):
        assert part in said
    mistakes = caught.value.exceptions
    assert len(mistakes) == 11
    assert all(isinstance(mistake, Mistake) for mistake in mistakes)
    assert sum("test_compile.py:" in str(mistake) for mistake in mistakes) >= 10
    assert isinstance(caught.value.subgroup(lambda error: "twice" in str(error)), ExceptionGroup)


def test_what_has_no_signature_is_taken_on_trust(app: App) -> None:
    app.get("/")(type)
    app.compile()


def test_what_is_awaited() -> None:
    class Handler:
        async def __call__(self) -> None: ...

    assert is_async(handler)
    assert is_async(functools.partial(functools.partial(handler), 1))
    assert is_async(Handler())
    assert not is_async(len)
    assert not is_async(functools.partial(len))


# --- what stands around handlers, and who listens


async def around(request: object) -> AsyncIterator[None]:
    yield


DECLARATIONS: list[Callable[[App], object]] = [
    lambda app: app.on_request(lambda request: None),
    lambda app: app.on_response(lambda request, response: None),
    lambda app: app.middleware(passing),
    lambda app: app.around("http.handler")(around),
    lambda app: app.around("http.lifecycle")(around),
    lambda app: app.add_signal(lambda: None, "http.handler.before"),
    lambda app: app.add_signal(lambda: None, "http.lifecycle.complete"),
]


async def passing(request: object, call_next: Callable[[object], Awaitable[object]]) -> object:
    return await call_next(request)


@pytest.mark.parametrize("declare", DECLARATIONS)
def test_what_stands_around_a_handler_is_folded_into_its_endpoint(app: App, declare: Callable[[App], object]) -> None:
    app.get("/")(handler)
    declare(app)
    (route,) = app.compile().routes
    assert route.endpoint is not handler
    assert route.handler is handler
    assert route.call is handler


def test_what_stands_elsewhere_is_not(app: App) -> None:
    app.get("/")(handler)
    app.add_signal(lambda: None, "server.init.after")
    app.add_signal(lambda: None, "user.order.done")
    assert app.compile().routes[0].endpoint is handler


def test_an_endpoint_follows_who_listens(app: App) -> None:
    app.get("/")(handler)
    (route,) = app.compile().routes
    receiver = app.signal("http.lifecycle.complete")(lambda: None)
    assert route.endpoint is not handler
    app.signals["http.lifecycle.complete"].disconnect(receiver)
    assert route.endpoint is handler


def test_a_chain_is_that_of_all_routes_and_of_none(app: App) -> None:
    app.get("/a", name="a")(handler)
    app.on_request(handler)
    app.get("/b", name="b")(handler)
    plan = app.compile()
    assert [middleware.function for middleware in plan.chain.request] == [handler]
    assert all(route.chain == plan.chain for route in plan.routes)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda app: app.on_request(lambda: None), "request middleware must take (request)"),
        (lambda app: app.on_response(lambda request: None), "response middleware must take (request, response)"),
        (lambda app: app.middleware(lambda request, call_next: None), "must be async: it awaits call_next(request)"),
        (lambda app: app.middleware(handler), "middleware must take (request, call_next)"),
        (lambda app: app.around("http.handlers")(around), "there is no phase 'http.handlers' to stand around"),
        (lambda app: app.around("http.handler")(handler), "is a coroutine function: yield once in it"),
        (lambda app: app.around("http.handler")(lambda: None), "what stands around 'http.handler' must take (request)"),
        (
            lambda app: app.around("server.lifecycle")(lambda: None),
            "what stands around 'server.lifecycle' must take (app)",
        ),
        (lambda app: app.add_signal(lambda: None, "http.handler.befor"), "did you mean http.handler.before"),
        (lambda app: app.add_signal(lambda respons: None, "http.lifecycle.complete"), "asks for 'respons'"),
    ],
)
def test_what_cannot_stand_there_is_a_mistake_with_its_place(
    app: App, declare: Callable[[App], object], said: str
) -> None:
    declare(app)
    with pytest.raises(CompileError) as caught:
        app.compile()
    (mistake,) = caught.value.exceptions
    assert said in str(mistake)
    assert "test_compile.py:" in str(mistake)

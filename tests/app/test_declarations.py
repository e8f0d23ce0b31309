"""What is declared is written down, as it was said, with its place; and the function stays what it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from trioframe import App, CompileError, TrioframeError
from trioframe.app.declarations import Declarations
from trioframe.app.listeners import MOMENTS


@pytest.fixture
def declarations() -> Declarations:
    return Declarations()


async def handler(request: object) -> str:
    return ""


async def around(request: object) -> AsyncIterator[None]:
    yield


# --- routes


def test_a_route_has_what_was_said_of_it(declarations: Declarations) -> None:
    declarations.add_route(
        handler, "/x", ["post", "PUT"], name="x", host=["a", "b"], version=1, timeout=3, ctx_role="r"
    )
    (route,) = declarations.routes
    assert (route.uri, route.methods, route.name) == ("/x", {"POST", "PUT"}, "x")
    assert (route.host, route.version, route.timeout) == (("a", "b"), 1, 3)
    assert route.ctx.role == "r"
    assert "test_declarations.py:" in str(route.place)


def test_what_was_not_said_has_a_default(declarations: Declarations) -> None:
    declarations.add_route(handler, "/x")
    declarations.add_route(handler, "/y", host="a")
    first, second = declarations.routes
    assert (first.methods, first.name, first.host) == ({"GET"}, "handler", ())
    assert second.host == ("a",)


def test_a_handler_without_a_name_is_called_by_its_type(declarations: Declarations) -> None:
    class Handler:
        async def __call__(self, request: object) -> str:
            return ""

    declarations.add_route(Handler(), "/")
    assert declarations.routes[0].name == "Handler"


def test_an_unknown_option_is_refused(declarations: Declarations) -> None:
    with pytest.raises(TypeError, match="no option 'rolle'; your own facts begin with ctx_"):
        declarations.add_route(handler, "/x", rolle="r")
    with pytest.raises(TypeError, match=r"no option 'tiemout' \(did you mean 'timeout'\?\)"):
        declarations.get("/x", tiemout=3)(handler)
    with pytest.raises(TypeError, match=r"no option 'origin' \(did you mean 'origins'\?\)"):
        declarations.websocket("/x", origin="https://a.example")(handler)
    assert declarations.routes == []


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_each_method_has_its_decorator(declarations: Declarations, method: str) -> None:
    assert getattr(declarations, method)("/x", name="x")(handler) is handler
    assert declarations.routes[0].methods == {method.upper()}


ROUTE_DECORATORS = ["get", "post", "put", "patch", "delete", "head", "options", "route", "websocket"]


@pytest.mark.parametrize("decorator", ROUTE_DECORATORS)
def test_the_decorator_of_a_route_does_not_stand_bare(declarations: Declarations, decorator: str) -> None:
    bare = rf'^@app\.{decorator} cannot stand bare, as on handler, at .*: write @app\.{decorator}\("/path"\)$'
    with pytest.raises(TypeError, match=bare):
        getattr(declarations, decorator)(handler)


@pytest.mark.parametrize("decorator", ["exception", "signal", "around"])
def test_nor_does_another_one_that_needs_an_argument(declarations: Declarations, decorator: str) -> None:
    with pytest.raises(TypeError, match=rf"^@app\.{decorator} cannot stand bare, as on handler"):
        getattr(declarations, decorator)(handler)


@pytest.mark.parametrize("uri", [None, 5, b"/x"])
def test_a_path_is_text(declarations: Declarations, uri: Any) -> None:
    for decorator in ROUTE_DECORATORS:
        with pytest.raises(TypeError, match=f"the path of a route is text, and not {uri!r}"):
            getattr(declarations, decorator)(uri)
    with pytest.raises(TypeError, match="the path of a route is text"):
        declarations.add_route(handler, uri)
    with pytest.raises(TypeError, match="the path of a route is text, and not <function handler"):
        declarations.add_route("/x", handler)  # type: ignore[arg-type]


WRONGLY_WRITTEN: list[tuple[dict[str, Any], str]] = [
    ({"methods": 5}, "methods=5: give a str, or several in a list"),
    ({"methods": ["GET", None]}, ": give a str, or several in a list"),
    ({"host": 5}, "host=5: give a str, or several in a list"),
    ({"host": [5]}, ": give a str, or several in a list"),
    ({"name": 5}, "the name of a route is text, and not 5"),
    ({"websocket": True}, "declared by @app.websocket"),
]


@pytest.mark.parametrize(("options", "said"), WRONGLY_WRITTEN)
def test_what_a_route_cannot_be_written_down_with(
    declarations: Declarations, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        declarations.add_route(handler, "/x", **options)
    assert declarations.routes == []


def test_a_lone_method_is_one(declarations: Declarations) -> None:
    declarations.route("/x", "post")(handler)
    declarations.route("/x", None)(handler)
    assert [route.methods for route in declarations.routes] == [{"POST"}, {"GET"}]


@pytest.mark.parametrize("method", ["get", "options"])
def test_a_decorator_of_one_method_takes_no_others(declarations: Declarations, method: str) -> None:
    with pytest.raises(TypeError, match=rf"@app\.{method} has no option 'methods': write @app\.route"):
        getattr(declarations, method)("/x", methods=["PUT"])


def test_what_a_websocket_has_not(declarations: Declarations) -> None:
    with pytest.raises(TypeError, match="a WebSocket has no option 'methods': it is asked for by GET alone"):
        declarations.websocket("/x", methods=["GET"])
    with pytest.raises(TypeError, match="a WebSocket has no option 'stream': the body"):
        declarations.websocket("/x", stream=True)


def test_no_subprotocols(declarations: Declarations) -> None:
    declarations.websocket("/x", subprotocols=None)(handler)
    (route,) = declarations.routes
    assert route.websocket is not None
    assert (route.websocket.subprotocols, route.websocket.origins) == ((), None)


def test_decorators_stack(declarations: Declarations) -> None:
    declarations.get("/a")(declarations.route("/b", ["PUT"])(handler))
    assert [route.uri for route in declarations.routes] == ["/b", "/a"]


def test_a_pattern(declarations: Declarations) -> None:
    declarations.register_pattern("even", int, r"\d*[02468]")
    assert "even" in repr(declarations.patterns.__dict__)


# --- what stands around handlers


@pytest.mark.parametrize("kind", ["on_request", "on_response", "middleware"])
def test_middleware_works_bare_and_called(declarations: Declarations, kind: str) -> None:
    decorator = getattr(declarations, kind)
    for decorate in (decorator, decorator(), decorator(priority=7)):
        assert decorate(handler) is handler
    declared = declarations.declared_middleware
    assert [middleware.priority for middleware in declared] == [0, 0, 7]
    assert all(middleware.function is handler for middleware in declared)
    assert {middleware.kind for middleware in declared} == {
        {"on_request": "request", "on_response": "response", "middleware": "around"}[kind]
    }
    assert all("test_declarations.py:" in str(middleware.place) for middleware in declared)


def test_middleware_may_be_async_or_not(declarations: Declarations) -> None:
    declarations.on_request(handler)
    declarations.on_request(lambda request: None)
    assert [middleware.is_async for middleware in declarations.declared_middleware] == [True, False]


def test_what_stands_around(declarations: Declarations) -> None:
    assert declarations.around("http.handler")(around) is around
    (declared,) = declarations.arounds
    assert (declared.phase, declared.function) == ("http.handler", around)
    assert "test_declarations.py:" in str(declared.place)


# --- exceptions and signals


def test_an_exception_handler(declarations: Declarations) -> None:
    assert declarations.exception(KeyError, ValueError)(handler) is handler
    (declared,) = declarations.exception_handlers
    assert (declared.types, declared.handler) == ((KeyError, ValueError), handler)


def test_a_receiver(declarations: Declarations) -> None:
    assert declarations.signal("user.a.b", condition={"x": 1}, priority=2)(handler) is handler
    declarations.add_signal(handler, "user.c.d")
    first, second = declarations.receivers
    assert first[:4] == ("user.a.b", handler, {"x": 1}, 2)
    assert second[:4] == ("user.c.d", handler, None, 0)
    assert "test_declarations.py:" in str(first.place)


# --- the life of the server


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_listener_works_bare_and_called(declarations: Declarations, moment: str) -> None:
    decorator = getattr(declarations, moment)
    for decorate in (decorator, decorator(), decorator(priority=7)):
        assert decorate(handler) is handler
    assert [(declared.moment, declared.function) for declared in declarations.listeners] == [(moment, handler)] * 3
    assert [declared.priority for declared in declarations.listeners] == [0, 0, 7]
    assert all("test_declarations.py:" in str(declared.place) for declared in declarations.listeners)


def test_a_lifespan_stands_around_the_life_of_the_server(declarations: Declarations) -> None:
    assert declarations.lifespan(around) is around
    assert [(declared.phase, declared.function) for declared in declarations.arounds] == [("server.lifecycle", around)]


# --- a compiled app


DECLARING: list[Callable[[App], Any]] = [
    lambda app: app.add_route(handler, "/x"),
    lambda app: app.get("/x")(handler),
    lambda app: app.on_request(handler),
    lambda app: app.on_response(handler),
    lambda app: app.middleware(handler),
    lambda app: app.around("http.handler")(around),
    lambda app: app.exception(KeyError)(handler),
    lambda app: app.register_pattern("even", int, r"\d"),
]


@pytest.mark.parametrize("declare", DECLARING)
def test_nothing_is_added_to_a_compiled_app(declare: Callable[[App], Any]) -> None:
    app = App("declared", env_prefix=None)
    app.compile()
    with pytest.raises(TrioframeError, match="has been compiled"):
        declare(app)


def test_but_receivers() -> None:
    app = App("declared", env_prefix=None)
    app.compile()
    app.add_signal(handler, "http.handler.before")
    with pytest.raises(CompileError, match="this cannot be added"):
        app.add_signal(handler, "http.handler.befor")


@pytest.mark.parametrize(
    "declare",
    [
        lambda app: app.on_request(priority="high"),
        lambda app: app.before_server_start(priority=None),
        lambda app: app.add_signal(print, "a.b.c", priority="1"),
        lambda app: app.add_signal(print, 5),
        lambda app: app.signal("a.b.c", priority=[1])(print),
    ],
)
def test_what_cannot_be_put_into_order_or_named(declare: Callable[[App], object]) -> None:
    with pytest.raises(TypeError, match=r"^priority=.*: give a number|^the name of a signal is text, and not 5$"):
        declare(App("app", env_prefix=None))

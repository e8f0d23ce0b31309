"""From the path as it was sent to a route, and what is wrong with routes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioframe.app.patterns import Patterns
from trioframe.app.route import Route, WebSocketOptions
from trioframe.app.router import Router, URLBuildError, compile_router
from trioframe.app.segment_tree import OPENING
from trioframe.errors import HTTPError, MethodNotAllowed, NotFound


def route(uri: str, methods: str = "GET", **settings: Any) -> Route:
    """A route that is called like its URI, if by no other name."""
    return Route(**{"uri": uri, "methods": frozenset(methods.split()), "name": uri, "handler": print, **settings})


def websocket(uri: str, **settings: Any) -> Route:
    return route(uri, name=f"ws {uri}", websocket=WebSocketOptions(), **settings)


def router(*routes: Route | str) -> Router:
    compiled, mistakes = compile_router([route(each) if isinstance(each, str) else each for each in routes], Patterns())
    assert mistakes == []
    return compiled


def answer(compiled: Router, path: bytes, method: str = "GET", host: str = "") -> object:
    """What `find` gives or raises, to be compared."""
    try:
        return compiled.find(method, path, host)
    except HTTPError as error:
        return error.status, error.headers


# --- the path as it was sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path", "params"),
    [
        ("/café", b"/caf%C3%A9", {}),
        ("/café", b"/caf%c3%a9", {}),
        ("/café", "/café".encode(), {}),
        ("/hello", b"/%68ello", {}),
        ("/a%2Fb", b"/a%2Fb", {}),
        ("/a%2Fb", b"/a%2fb/", {}),
        ("/~x", b"/%7Ex", {}),
        ("/100%25", b"/100%25", {}),
        ("/<a>", b"/a%2Fb", {"a": "a/b"}),
        ("/<a>", b"/%252F", {"a": "%2F"}),
        ("/<a>", b"/%", {"a": "%"}),
        ("/<a>", b"/%zz%2", {"a": "%zz%2"}),
        ("/<a>", b"/a+b", {"a": "a+b"}),
        ("/<a>", b"/%00", {"a": "\0"}),
        ("/<a:int>", b"/%31%32", {"a": 12}),
        ("/<p:path>", b"/a%2Fb/c", {"p": "a/b/c"}),
        ("/<a>/..", b"/x/%2E%2e", {"a": "x"}),
        ("/", b"", {}),
        ("/", b"/", {}),
    ],
)
def test_a_segment_is_decoded_once(uri: str, path: bytes, params: dict[str, object]) -> None:
    match = router(uri).find("GET", path)
    assert match.route.uri == uri
    assert match.params == params


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b", b"/a%2Fb"),
        ("/a%2Fb", b"/a/b"),
        ("/<a>", b"/%FF"),
        ("/<a>", b"/\xff"),
        ("/<a>", b"/%C0%AF"),
        ("/<a>", b"/%ED%A0%80"),
        ("/<a>", b"x"),
        ("/<p:path>", b"*"),
        ("/<p:path>", b"x/y"),
        ("/Hello", b"/hello"),
        ("/hello", b"/./hello"),
    ],
)
def test_other_paths_are_not_found(uri: str, path: bytes) -> None:
    with pytest.raises(NotFound):
        router(uri).find("GET", path)


@given(st.binary(max_size=40))
def test_whatever_is_sent_is_found_or_not(path: bytes) -> None:
    compiled = router("/", "/<a>", "/x/<b:int>", "/<d:ymd>/<f:ext>", "/<u:uuid>/<x:[a-z]+>", "/y/<p:path>")
    for sent in (path, b"/" + path, b"/y/" + path):
        answer(compiled, sent)


@given(
    st.text(st.sampled_from("/ab%2F"), max_size=8).map(lambda text: f"/{text}".encode()),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", OPENING]),
)
def test_the_short_way_finds_what_the_search_finds(path: bytes, method: str) -> None:
    routes = [
        route("/"),
        route("/a", "GET POST"),
        route("/a", "HEAD", name="head"),
        route("/a/b/", "POST"),
        route("/b", strict_slashes=True),
        route("/<x>", "PUT"),
        websocket("/a"),
        websocket("/b"),
        websocket("/<x>"),
    ]
    # A route for a host at the same place makes all requests take the long way.
    guards = [route(each.uri, "LINK", name=f"link {n}", host=(f"host{n}",)) for n, each in enumerate(routes)]
    short, long = router(*routes), router(*routes, *guards)
    assert answer(short, path, method) == answer(long, path, method)


def test_the_parameters_are_the_request_s_own() -> None:
    compiled = router("/x", "/<a>")
    for path in (b"/x", b"/y"):
        compiled.find("GET", path).params["new"] = 1
        assert "new" not in compiled.find("GET", path).params


# --- methods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("routes", "allowed"),
    [
        ([route("/x", "GET")], ("GET", "HEAD", "OPTIONS")),
        ([route("/x", "POST PUT")], ("OPTIONS", "POST", "PUT")),
        ([route("/x", "GET"), route("/x", "HEAD", name="head")], ("GET", "HEAD", "OPTIONS")),
        (
            [route("/x", "POST"), route("/<a>", "PUT"), route("/<p:path>", "GET")],
            ("GET", "HEAD", "OPTIONS", "POST", "PUT"),
        ),
        ([route("/<a:int>", "POST"), route("/<a>", "PUT")], ("OPTIONS", "PUT")),
        ([route("/x", "POST", host=("a",), name="a"), route("/x", "PUT")], ("OPTIONS", "PUT")),
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "get", "TRACE"])
def test_a_method_that_is_not_answered(routes: list[Route], allowed: tuple[str, ...], method: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        router(*routes).find(method, b"/x")
    assert caught.value.allowed == allowed


def test_options_can_be_declared() -> None:
    assert router(route("/x", "OPTIONS")).find("OPTIONS", b"/x").route.uri == "/x"


# --- a page and a WebSocket -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path"),
    [("/", b"/"), ("/x", b"/x"), ("/<a>", b"/%61"), ("/<a>/y/", b"/x/y"), ("/x/<a:strorempty>", b"/x/")],
)
@pytest.mark.parametrize("order", [1, -1])
def test_they_may_share_a_path(uri: str, path: bytes, order: int) -> None:
    page, ws = route(uri), websocket(uri)
    compiled = router(*[page, ws][::order])
    assert compiled.has_shared_path
    assert compiled.find(OPENING, path).route is ws
    assert compiled.find("GET", path).route is page
    assert compiled.find("HEAD", path).route is page
    assert answer(compiled, path, "POST") == (405, {"Allow": "GET, HEAD, OPTIONS"})


def test_alone_each_answers_all_that_get() -> None:
    page, ws = route("/x"), websocket("/<y>")
    compiled = router(page, ws)
    assert not compiled.has_shared_path
    for method in ("GET", "HEAD", OPENING):
        assert compiled.find(method, b"/x").route is page
        assert compiled.find(method, b"/y").route is ws
    assert dict(compiled.fixed()) == {(method, path): page for method in ("GET", "HEAD") for path in (b"/x", b"/x/")}


def test_a_get_of_a_shared_path_is_not_fixed() -> None:
    page, ws = route("/x", "GET POST"), websocket("/x", strict_slashes=True)
    assert sorted(key for key, _ in router(page, ws).fixed()) == [
        ("GET", b"/x/"),
        ("HEAD", b"/x"),
        ("HEAD", b"/x/"),
        ("POST", b"/x"),
        ("POST", b"/x/"),
    ]


# --- the way back -----------------------------------------------------------------------------------------------------


def test_a_url_is_built_by_name() -> None:
    compiled = router("/x", route("/y/<a:int>", name="y", host=("a.example",)))
    assert compiled.url_for("y", a=1) == "/y/1"
    assert compiled.url_for("y", a=1, b=["c", "d"], _anchor="é?/ #") == "/y/1?b=c&b=d#%C3%A9?/%20%23"
    assert compiled.url_for("y", a=1, _external=True, _scheme="https") == "https://a.example/y/1"


def test_a_url_for_a_name_that_is_not_there() -> None:
    with pytest.raises(URLBuildError, match=r"^there is no route called 'its'; did you mean 'it'\?$"):
        router(route("/x", name="it")).url_for("its")
    with pytest.raises(URLBuildError, match=r"^there is no route called 'other'$"):
        router("/x").url_for("other")


@pytest.mark.parametrize("half", [{"_scheme": "https"}, {"_server": "a.example"}])
def test_half_an_absolute_url(half: dict[str, Any]) -> None:
    with pytest.raises(URLBuildError, match="only together with _external=True"):
        router("/x").url_for("/x", **half)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def mistakes_of(*routes: Route) -> list[str]:
    return [str(mistake) for mistake in compile_router(routes, Patterns())[1]]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (route("x"), "the URI 'x' is wrong: it must begin with '/'"),
        (route("/<a:itn>"), "the URI '/<a:itn>' is wrong: there is no parameter type 'itn'; did you mean int?"),
        (route("/<a=nit:ext>"), "the URI '/<a=nit:ext>' is wrong: there is no parameter type 'nit'; did you mean int?"),
        (route("/<a=path:ext>"), "the URI '/<a=path:ext>' is wrong: the stem of a file cannot be of type 'path'"),
        (route("/<a:[>"), "the URI '/<a:[>' is wrong: '[' is no regular expression: unterminated character set"),
        (route("/x", ""), "the route /x has no methods"),
        (route("/x", "get"), "'get' cannot be a method of /x: methods are tokens in upper case, such as GET"),
        (route("/x", "GE/T"), "'GE/T' cannot be a method of /x"),
        (route("/x", host=("*.a.example",)), "'*.a.example' cannot be a host of /x: write 'example.com'"),
        (route("/x", host=("http://a",)), "'http://a' cannot be a host of /x"),
        (route("/x", host=("",)), "'' cannot be a host of /x"),
        (route("/x", host=("::1",)), "'::1' cannot be a host of /x"),
    ],
)
def test_a_wrong_route_is_a_mistake(wrong: Route, complaint: str) -> None:
    [mistake] = mistakes_of(wrong)
    assert mistake.startswith(complaint)


def test_all_mistakes_are_found_at_once_each_with_its_place() -> None:
    routes = [
        route("/x", name="x", place="app.py:1"),
        route("/x/", "GET POST", name="x", place="app.py:2"),
        route("/<a:itn>/<b:tsr>", "get", name="x", place="app.py:3"),
        route("/y", "POST", name="y"),
        route("/y", "POST", name="y"),
    ]
    assert mistakes_of(*routes) == [
        "app.py:2: GET /x/ is answered already by 'x', as /x (app.py:1)",
        "app.py:2: the name 'x' is taken (app.py:1); give one of them another with name=",
        "app.py:3: the URI '/<a:itn>/<b:tsr>' is wrong: there is no parameter type 'itn'; did you mean int?",
        "app.py:3: the URI '/<a:itn>/<b:tsr>' is wrong: there is no parameter type 'tsr'; did you mean str?",
        "app.py:3: 'get' cannot be a method of /<a:itn>/<b:tsr>: methods are tokens in upper case, such as GET",
        "app.py:3: the name 'x' is taken (app.py:1); give one of them another with name=",
        "POST /y is answered already by 'y', as /y",
        "the name 'y' is taken; give one of them another with name=",
    ]

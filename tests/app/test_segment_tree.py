"""Which of several routes a path finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from trioframe.app.patterns import Patterns
from trioframe.app.route import Route
from trioframe.app.router import Router, compile_router
from trioframe.errors import MethodNotAllowed, NotFound


def route(uri: str, methods: str = "GET", *, name: str = "", host: Iterable[str] = (), strict: bool = False) -> Route:
    """A route that is called like its URI, if by no other name."""
    return Route(
        uri=uri,
        methods=frozenset(methods.split()),
        name=name or uri,
        handler=print,
        host=tuple(host),
        strict_slashes=strict,
    )


def router(*routes: Route | str) -> Router:
    declared = [route(each) if isinstance(each, str) else each for each in routes]
    compiled, mistakes = compile_router(declared, Patterns())
    assert mistakes == []
    return compiled


def finder(*routes: Route | str, host: str = "") -> Callable[[str], str | None]:
    """Finds the name of the route that answers "GET /path"; None stands for 404, "405" for 405."""
    compiled = router(*routes)

    def find(line: str) -> str | None:
        method, path = line.split(" ")
        try:
            return compiled.find(method, path.encode(), host).route.name
        except NotFound:
            return None
        except MethodNotAllowed:
            return "405"

    return find


# --- precedence -------------------------------------------------------------------------------------------------------

# For each path the routes it fits, the one to be found first before the next best.
PRECEDENCE: dict[str, list[str]] = {
    "/x/12": ["/x/12", "/x/<a:int>", "/x/<a:float>", "/x/<a:slug>", "/x/<a>", "/x/<a:[0-9]+>", "/x/<a:path>"],
    "/x/abc": ["/x/abc", "/x/<a:alpha>", "/x/<a:slug>", "/x/<a:str>", "/x/<a:strorempty>", "/x/<a:(abc)>"],
    "/x/2024-02-29": ["/x/<a:ymd>", "/x/<a:slug>", "/x/<a>"],
    "/x/1.5": ["/x/<a:float>", "/x/<a=int:ext=5>", "/x/<a=int:ext>", "/x/<a:ext=5>", "/x/<a:ext>", "/x/<a>"],
    "/x/y/z": [
        "/x/y/z",
        "/x/y/<a>",
        "/x/y/<p:path>",
        "/x/<a>/z",
        "/x/<p:path>/z",
        "/x/<p:path>",
        "/<a>/y/z",
        "/<p:path>",
    ],
}


@pytest.mark.parametrize("path", PRECEDENCE)
def test_the_more_specific_route_comes_first(path: str) -> None:
    in_order = PRECEDENCE[path]
    for better, worse in itertools.combinations(in_order, 2):
        assert finder(better, worse)(f"GET {path}") == better
        assert finder(worse, better)(f"GET {path}") == better, "whatever was declared first"


def test_regular_expressions_come_as_declared() -> None:
    assert finder("/<a:[a-z]+>", "/<a:[a-f]+>")("GET /abc") == "/<a:[a-z]+>"
    assert finder("/<a:[a-f]+>", "/<a:[a-z]+>")("GET /abc") == "/<a:[a-f]+>"


def test_types_of_the_application_come_before_the_built_in_ones() -> None:
    patterns = Patterns()
    patterns.register("even", int, "[0-9]*[02468]")
    compiled, _ = compile_router([route("/<a:int>"), route("/<a:even>")], patterns)
    assert compiled.find("GET", b"/2").route.uri == "/<a:even>"
    assert compiled.find("GET", b"/3").route.uri == "/<a:int>"


def test_the_search_goes_back_when_the_rest_does_not_fit() -> None:
    find = finder("/a/<n:int>/c", "/a/<n>/d", "/<x>/b/e", "/<x>/<y:[a-z]+>/f", "/<p:path>/g")
    assert find("GET /a/1/c") == "/a/<n:int>/c"
    assert find("GET /a/1/d") == "/a/<n>/d"
    assert find("GET /a/b/e") == "/<x>/b/e"
    assert find("GET /a/b/f") == "/<x>/<y:[a-z]+>/f"
    assert find("GET /a/b/g") == "/<p:path>/g"
    assert find("GET /a/1/h") is None


def test_the_search_goes_back_when_the_method_is_not_answered() -> None:
    find = finder(route("/users/me", "POST"), route("/users/<id>", "GET"), route("/<p:path>", "DELETE"))
    assert find("POST /users/me") == "/users/me"
    assert find("GET /users/me") == "/users/<id>"
    assert find("DELETE /users/me") == "/<p:path>"
    assert find("PUT /users/me") == "405"


def test_values_of_a_wrong_way_are_forgotten() -> None:
    compiled = router("/<a:int>/<b:int>/x", "/<c>/<d>/y")
    assert compiled.find("GET", b"/1/2/y").params == {"c": "1", "d": "2"}


def test_no_branch_is_looked_at_twice() -> None:
    """A thousand segments that fit in many ways take no longer than their number."""
    patterns = Patterns()
    looked: list[str] = []
    patterns.register("odd", looked.append, ".*")
    uris = ["/" + "/".join(f"<x{n}:{label}>" for n in range(12)) + "/end" for label in ("odd", "str", "strorempty")]
    uris += ["/<p:path>/" + "/".join(f"<x{n}:odd>" for n in range(count)) + "/end" for count in range(1, 12)]
    compiled, mistakes = compile_router([route(uri) for uri in uris], patterns)
    assert mistakes == []
    with pytest.raises(NotFound):
        compiled.find("GET", b"/x" * 12 + b"/not-the-end")
    assert len(looked) <= sum(uri.count(":odd") for uri in uris)


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path", "params"),
    [
        ("/<a>/<b:int>", "/x/1", {"a": "x", "b": 1}),
        ("/<f:ext>", "/cat.jpg", {"f": "cat", "ext": "jpg"}),
        ("/<a>/<f=int:ext=jpg|png>/<b:int>", "/x/12.png/3", {"a": "x", "f": 12, "ext": "png", "b": 3}),
        ("/<p:path>", "/a", {"p": "a"}),
        ("/<p:path>", "/a/b//c", {"p": "a/b//c"}),
        ("/<p:path>", "/a/", {"p": "a/"}),
        ("/<p:path>", "/a//", {"p": "a//"}),
        ("/x/<p:path>/y/<a>", "/x/1/2/3/y/4", {"p": "1/2/3", "a": "4"}),
        ("/x/<p:path>/y", "/x/y/y/", {"p": "y"}),
        ("/x/<a:strorempty>", "/x/1", {"a": "1"}),
        ("/x/<a:strorempty>", "/x/", {"a": ""}),
        ("/x/<a:strorempty>", "/x", {"a": ""}),
        ("/x/<a:strorempty>", "/x//", {"a": ""}),
        ("/<a:strorempty>", "/", {"a": ""}),
        ("/x/<a:strorempty>/y", "/x//y", {"a": ""}),
        ("/<a:strorempty>/<b:strorempty>", "//", {"a": "", "b": ""}),
    ],
)
def test_parameters(uri: str, path: str, params: dict[str, object]) -> None:
    assert router(uri).find("GET", path.encode()).params == params


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/<a>", "/"),
        ("/<a>", "/x/y"),
        ("/x/<p:path>", "/x"),
        ("/x/<p:path>", "/x/"),
        ("/x/<p:path>/y", "/x/y"),
        ("/x/<p:path>/y/z", "/x/z"),
        ("/x/<a:strorempty>", "/y"),
    ],
)
def test_parameters_that_are_not_there(uri: str, path: str) -> None:
    with pytest.raises(NotFound):
        router(uri).find("GET", path.encode())


def test_routes_of_one_shape_may_name_their_parameters_differently() -> None:
    compiled = router(route("/u/<id:int>", "GET"), route("/u/<user:int>", "PUT", name="put"), "/u/<user:int>/posts")
    assert compiled.find("GET", b"/u/1").params == {"id": 1}
    assert compiled.find("PUT", b"/u/1").params == {"user": 1}
    assert compiled.find("GET", b"/u/1/posts").params == {"user": 1}


# --- slashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["/x", "/x/", "/<a>", "/<a>/"])
def test_the_last_slash_makes_no_difference(uri: str) -> None:
    find = finder(uri)
    assert find("GET /x") == uri
    assert find("GET /x/") == uri
    assert find("GET /x//") is None


@pytest.mark.parametrize(
    ("uri", "found", "missed"),
    [
        ("/", ["/"], []),
        ("/x", ["/x"], ["/x/"]),
        ("/x/", ["/x/"], ["/x"]),
        ("/<a>", ["/x"], ["/x/"]),
        ("/<a>/", ["/x/"], ["/x"]),
        ("/<p:path>", ["/x", "/x/"], ["/"]),
        ("/<p:path>/y", ["/x/y"], ["/x/y/"]),
        ("/x/<a:strorempty>", ["/x/", "/x/1"], ["/x", "/x/1/"]),
        ("/x/<a:strorempty>/", ["/x//", "/x/1/"], ["/x", "/x/", "/x/1"]),
    ],
)
def test_unless_the_route_is_strict(uri: str, found: list[str], missed: list[str]) -> None:
    find = finder(route(uri, strict=True))
    assert [find(f"GET {path}") for path in found] == [uri] * len(found)
    assert [find(f"GET {path}") for path in missed] == [None] * len(missed)


def test_strict_routes_can_differ_by_the_slash_alone() -> None:
    find = finder(route("/x", strict=True), route("/x/", strict=True))
    assert find("GET /x") == "/x"
    assert find("GET /x/") == "/x/"


def test_a_route_without_the_parameter_comes_before_one_that_leaves_it_empty() -> None:
    find = finder("/x/<a:strorempty>", "/x")
    assert find("GET /x/") == "/x"


# --- methods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["/x", "/<a>"])
def test_head_is_answered_by_the_route_of_get(uri: str) -> None:
    assert finder(uri)("HEAD /x") == uri
    find = finder(uri, route(uri, "HEAD", name="head"))
    assert find("HEAD /x") == "head"
    assert find("GET /x") == uri
    assert finder(route(uri, "POST"))("HEAD /x") == "405"


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["/x", "/<a>"])
def test_a_route_for_the_host_comes_before_one_for_any(uri: str) -> None:
    routes = [
        route(uri, name="any"),
        route(uri, name="host", host=["a.example", "B.example"]),
        route(uri, name="port", host=["a.example:8000"]),
        route(uri, "POST", name="post", host=["a.example"]),
    ]
    for host, name in {
        "a.example": "host",
        "A.Example": "host",
        "a.example:80": "host",
        "b.example": "host",
        "a.example:8000": "port",
        "b.example:8000": "host",
        "c.example": "any",
        "": "any",
    }.items():
        assert finder(*routes, host=host)("GET /x") == name
    assert finder(*routes, host="a.example:8000")("POST /x") == "post", "the search goes on to the next best host"


def test_a_more_specific_path_comes_before_the_host() -> None:
    find = finder("/x", route("/<a>", host=["a.example"]), host="a.example")
    assert find("GET /x") == "/x"
    assert find("GET /y") == "/<a>"


def test_ipv6_hosts() -> None:
    routes = [route("/x", name="one", host=["[::1]"]), route("/x", name="two", host=["[::2]:80"])]
    assert finder(*routes, host="[::1]")("GET /x") == "one"
    assert finder(*routes, host="[::1]:8000")("GET /x") == "one"
    assert finder(*routes, host="[::2]:80")("GET /x") == "two"
    assert finder(*routes, host="[::2]")("GET /x") is None


# --- routes in the way of others --------------------------------------------------------------------------------------


def taken(*routes: Route) -> list[str]:
    return [mistake.message for mistake in compile_router(routes, Patterns())[1]]


@pytest.mark.parametrize(
    ("first", "second", "methods"),
    [
        (route("/x"), route("/x", name="2"), "GET"),
        (route("/x"), route("/x/", name="2"), "GET"),
        (route("/caf%C3%A9"), route("/café", name="2"), "GET"),
        (route("/x", "GET POST PUT"), route("/x", "POST PUT DELETE", name="2"), "POST, PUT"),
        (route("/x/<a:int>/y"), route("/x/<b:int>/y", name="2"), "GET"),
        (route("/<a:[a-z]>"), route("/<b:[a-z]>", name="2"), "GET"),
        (route("/<a:ext=jpg>"), route("/<b:ext=jpg>", name="2"), "GET"),
        (route("/<a:path>"), route("/<b:path>", name="2"), "GET"),
        (route("/x", strict=True), route("/x", name="2"), "GET"),
        (route("/x", host=["a", "B"]), route("/x", name="2", host=["b", "c"]), "GET"),
    ],
)
def test_two_routes_for_the_same_requests_are_a_mistake(first: Route, second: Route, methods: str) -> None:
    assert taken(first, second) == [f"{methods} {second.uri} is answered already by {first.name!r}, as {first.uri}"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (route("/x", "GET"), route("/x", "POST", name="2")),
        (route("/x", "GET"), route("/x", "HEAD", name="2")),
        (route("/x", host=["a"]), route("/x", name="2", host=["b"])),
        (route("/x", host=["a"]), route("/x", name="2")),
        (route("/x", strict=True), route("/x/", strict=True)),
        (route("/<a:int>"), route("/<a>")),
        (route("/<a:[a-z]>"), route("/<a:[a-f]>")),
        (route("/<a:path>"), route("/<a:path>/x")),
        (route("/x"), route("/x/<a:strorempty>")),
    ],
)
def test_others_are_none(first: Route, second: Route) -> None:
    assert taken(first, second) == []

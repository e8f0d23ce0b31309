"""Which of several routes a path finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioframe.app.patterns import MISMATCH, Patterns
from trioframe.app.route import Route, Slot, WebSocketOptions
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


# --- all rules together -----------------------------------------------------------------------------------------------

STATIC = (-1,)
Way = tuple[list[tuple[int, ...]], list[Any]]


def ways(segments: Sequence[str | Slot], texts: list[str], slash: bool) -> Iterator[Way]:
    """How a route's segments take these texts, which is in one way at most: the rank of each, and the values."""
    if not segments:
        if not texts:
            yield [], []
        return
    first, *rest = segments
    if not texts:
        return
    if isinstance(first, str):
        if texts[0] == first:
            yield from (([STATIC, *ranks], values) for ranks, values in ways(rest, texts[1:], slash))
        return
    pattern = Patterns().file(first.stem, first.extensions) if first.stem else Patterns().typed(first.label)
    rank, count = pattern.order, 1
    if first.label == "path":
        rank, count = (*rank, -len(rest)), len(texts) - len(rest)
    if count < 1:
        return
    value = pattern.parse("/".join([*texts[:count], *([""] if slash and first.label == "path" and not rest else [])]))
    if value is not MISMATCH:
        taken = list(value) if first.stem else [value]
        yield from (([rank, *ranks], [*taken, *values]) for ranks, values in ways(rest, texts[count:], slash))


def fits(declared: Route, path: str) -> Iterator[tuple[object, list[Any]]]:
    """Every way in which a path is that of a route, with its rank among all ways of all routes, and the values."""
    texts = [unquote(text) for text in path.split("/")[1:]]
    slash = texts[-1] == ""
    texts = texts[: len(texts) - slash]
    template, strict = declared.template, declared.strict_slashes
    last = template.segments[-1] if template.segments else ""
    label = last.label if isinstance(last, Slot) else ""
    if not strict or label == "path" or template.slash == slash:
        yield from (((ranks, 0), values) for ranks, values in ways(template.segments, texts, slash))
    # A path takes all but what has to follow it, so it leaves a text for the last parameter.
    behind_path = any(isinstance(segment, Slot) and segment.label == "path" for segment in template.segments)
    if label == "strorempty" and not behind_path and ((slash and not template.slash) or not strict):
        yield from (((ranks, 1), [*values, ""]) for ranks, values in ways(template.segments[:-1], texts, slash))


def try_all(routes: Iterable[Route], method: str, path: str, hosts: Sequence[str]) -> object:
    """What the rules say of a request, found by trying every route."""
    found: list[tuple[Any, Route, list[Any]]] = []
    allowed: set[str] = set()
    for declared, host in itertools.product(routes, hosts):
        if host in (declared.host or ("",)):
            for rank, values in fits(declared, path):
                allowed |= declared.methods
                for n, answered in enumerate([method, *(["GET"] if method == "HEAD" else [])]):
                    if answered in declared.methods:
                        found.append(((rank, hosts.index(host), n), declared, values))
    if found:
        _, declared, values = min(found, key=lambda each: each[0])
        return declared, dict(zip([parameter.name for parameter in declared.parameters], values, strict=True))
    return sorted(allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())) if allowed else None


TEMPLATE_SEGMENTS = ["a", "1", "<{}:int>", "<{}>", "<{}:strorempty>", "<{}=int:ext>", "<{}:path>"]

uris = st.builds(
    lambda segments, slash: "".join(f"/{part.format(f'x{n}')}" for n, part in enumerate(segments)) + slash,
    st.lists(st.sampled_from(TEMPLATE_SEGMENTS), max_size=3),
    st.sampled_from(["", "/"]),
).filter(lambda uri: uri and not route(uri).template.complaints)
declarations = st.builds(
    route,
    uris,
    st.sampled_from(["GET", "POST", "HEAD", "GET POST"]),
    host=st.sampled_from([(), (), ("h",), ("h:80",)]),
    strict=st.booleans(),
)
paths = st.lists(st.sampled_from(["a", "1", "-2", "1.txt", "%61", "a%2Fé", ""]), min_size=1, max_size=3)


@settings(max_examples=300)
@given(
    st.lists(declarations, min_size=2, max_size=8),
    paths,
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    st.booleans(),
)
def test_the_search_finds_what_trying_all_routes_finds(
    declared: list[Route], path: list[str], method: str, has_host: bool
) -> None:
    routes: list[Route] = []
    for each in declared:
        named = route(
            each.uri, " ".join(each.methods), name=str(len(routes)), host=each.host, strict=each.strict_slashes
        )
        if not compile_router([*routes, named], Patterns())[1]:
            routes.append(named)
    compiled, _ = compile_router(routes, Patterns())
    # Most paths that are made by chance lead nowhere; this one begins as the first route does.
    begun = zip(declared[0].template.segments, path, strict=False)
    sent = "/" + "/".join(
        [s if isinstance(s, str) else text for s, text in begun] + path[len(declared[0].template.segments) :]
    )
    answer: object
    try:
        match = compiled.find(method, sent.encode(), "H:80" if has_host else "")
        answer = match.route, match.params
    except NotFound:
        answer = None
    except MethodNotAllowed as error:
        answer = list(error.allowed)
    assert answer == try_all(routes, method, sent, ["h:80", "h", ""] if has_host else [""])


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


def test_of_pages_and_of_websockets_there_is_one_each() -> None:
    pages = [route("/x", name=name) for name in "pq"]
    websockets = [replace(route("/x", name=name), websocket=WebSocketOptions()) for name in "vw"]
    for order in itertools.permutations([*pages, *websockets]):
        firsts = {one.websocket: one for one in reversed(order)}
        late = [one for one in order if firsts[one.websocket] is not one]
        said = [f"GET /x is answered already by {firsts[one.websocket].name!r}, as /x" for one in late]
        assert taken(*order) == said

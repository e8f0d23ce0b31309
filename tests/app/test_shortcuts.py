"""What is found without a search, and what is left to it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from trioframe.app.patterns import Patterns
from trioframe.app.route import Route
from trioframe.app.router import compile_router
from trioframe.app.segment_tree import Match, Node
from trioframe.app.shortcuts import static_paths, stems


def route(uri: str, methods: str = "GET", *, host: Iterable[str] = (), strict: bool = False) -> Route:
    return Route(
        uri=uri,
        methods=frozenset(methods.split()),
        name=f"{methods} {uri} {host}",
        handler=print,
        host=tuple(host),
        strict_slashes=strict,
    )


def tree(*routes: Route) -> Node:
    """The tree of these routes."""
    root, patterns = Node(), Patterns()
    for each in routes:
        segments = [
            segment
            if isinstance(segment, str)
            else (
                segment,
                patterns.file(segment.stem, segment.extensions) if segment.stem else patterns.typed(segment.label),
            )
            for segment in each.template.segments
        ]
        assert root.plant(each, segments) == {}
    return root


def find(root: Node, method: str, path: bytes) -> Match | None:
    """The match that a stem gives for a path; None also if there is no stem."""
    last = path.rfind(b"/") + 1
    stem = dict(stems(root)).get(path[:last])
    return None if stem is None else stem.find(method, path[last:])


def test_static_paths_as_they_are_sent() -> None:
    root = tree(route("/"), route("/café", "POST", strict=True), route("/x", host=["h"]), route("/x/<a>/y"))
    paths = {path: sorted(routes) for path, routes in static_paths(root)}
    assert paths == {b"/": ["GET", "HEAD"], b"/caf%C3%A9": ["POST"], b"/caf%C3%A9/": []}


def test_a_parameter_at_the_end() -> None:
    order, get, user, page = (
        route("/order/<id:int>", "POST"),
        route("/order/<n:int>"),
        route("/é/<u>"),
        route("/<p:path>"),
    )
    root = tree(order, get, user, page)
    assert find(root, "POST", b"/order/12") == (order, {"id": 12})
    assert find(root, "GET", b"/order/12") == (get, {"n": 12})
    assert find(root, "HEAD", b"/order/12") == (get, {"n": 12})
    assert find(root, "GET", b"/%C3%A9/ann") == (user, {"u": "ann"})
    assert find(root, "GET", b"/x") == (page, {"p": "x"})


def test_parameters_come_in_their_order() -> None:
    number, word = route("/<a:int>"), route("/<b>")
    root = tree(word, number)
    assert find(root, "GET", b"/1") == (number, {"a": 1})
    assert find(root, "GET", b"/x") == (word, {"b": "x"})


def test_a_match_is_what_the_router_promises() -> None:
    match = find(tree(route("/<a>")), "GET", b"/x")
    assert type(match) is Match
    assert match.params == {"a": "x"}


@pytest.mark.parametrize(
    ("routes", "path"),
    [
        ([route("/<a>")], b"/"),
        ([route("/<a>")], b"x"),
        ([route("/<a>")], b"*"),
        ([route("/<a>")], b"/%41"),
        ([route("/<a>")], b"/\xc3\xa9"),
        ([route("/<a>")], b"/x/"),
        ([route("/<a>", "POST")], b"/x"),
        ([route("/<a:int>")], b"/x"),
        ([route("/<a:int>", "POST"), route("/<a>")], b"/1"),
        ([route("/<a>/")], b"/x/"),
        ([route("/<a>/", strict=True)], b"/x"),
        ([route("/<a>"), route("/x", "POST")], b"/x"),
        ([route("/<a>"), route("/<a>", host=["h"])], b"/x"),
        ([route("/<f:ext>")], b"/x.txt"),
        ([route("/<p:path>/x")], b"/x"),
        ([route("/<a>/<b>")], b"/x/y"),
    ],
)
def test_what_is_left_to_the_search(routes: list[Route], path: bytes) -> None:
    assert find(tree(*routes), "GET", path) is None


def test_static_text_that_stands_there_for_some_hosts_only() -> None:
    """The path as a whole is no shortcut then; the parameter must not be one either."""
    for_host, for_any = route("/x", host=["h"]), route("/<a>")
    compiled, _ = compile_router([for_any, for_host], Patterns())
    assert compiled.find("GET", b"/x", "h").route is for_host
    assert compiled.find("GET", b"/x", "other").route is for_any

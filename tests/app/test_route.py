"""What is declared: the syntax of URIs, and what a route says about itself."""

from __future__ import annotations

import pytest

from trioframe.app.route import Parameter, Route, RouteExtra, Slot, Template, parse_uri

GOOD: list[tuple[str, list[str | Slot], bool]] = [
    ("/", [], True),
    ("/hello", ["hello"], False),
    ("/hello/", ["hello"], True),
    ("/a//b", ["a", "", "b"], False),
    ("/café", ["café"], False),
    ("/caf%C3%A9/a%2Fb", ["café", "a/b"], False),
    ("/a.b-c_d~e:f@g", ["a.b-c_d~e:f@g"], False),
    ("/<name>", [Slot("name", "str")], False),
    ("/a/<n:int>/b/", ["a", Slot("n", "int"), "b"], True),
    ("/<f:ext>", [Slot("f", "ext", "str")], False),
    ("/<f:ext=jpg>", [Slot("f", "ext", "str", ("jpg",))], False),
    ("/<f:ext=jpg|tar.gz>", [Slot("f", "ext", "str", ("jpg", "tar.gz"))], False),
    ("/<f=int:ext>", [Slot("f", "ext", "int")], False),
    ("/<f=int:ext=jpg|png>", [Slot("f", "ext", "int", ("jpg", "png"))], False),
    ("/<p:path>", [Slot("p", "path")], False),
    ("/<p:path>/edit/", [Slot("p", "path"), "edit"], True),
    ("/<x:([a-z]{3})>", [Slot("x", "([a-z]{3})")], False),
    ("/<x:[^/]+>/y", [Slot("x", "[^/]+"), "y"], False),
    ("/<x:(?P<x>a|b)>/y", [Slot("x", "(?P<x>a|b)"), "y"], False),
    ("/<x:a:b=c>", [Slot("x", "a:b=c")], False),
]
BAD: list[tuple[str, list[str]]] = [
    ("", ["must begin with '/'"]),
    ("hello", ["must begin with '/'"]),
    ("/a<b>", ["'a<b>' is neither text nor a parameter"]),
    ("/<a", ["'<a' is neither"]),
    ("/<a>.<b>", ["<a>.<b> cannot be a parameter"]),
    ("/<>", ["<> cannot be a parameter", "by the name ''"]),
    ("/<:int>", ["<:int> cannot be a parameter"]),
    ("/<1st>", ["by the name '1st'"]),
    ("/<class>", ["by the name 'class'"]),
    ("/<_anchor>", ["by the name '_anchor'"]),
    ("/<a:>", ["<a:> has no type"]),
    ("/<a=int>", ["'=' gives the type of a file's stem, as in <a=int:ext>"]),
    ("/<a=int:str>", ["'=' gives the type of a file's stem"]),
    ("/<a=:ext>", ["'=' gives the type of a file's stem"]),
    ("/<a:ext=>", ["extensions are written without a dot"]),
    ("/<a:ext=.jpg>", ["extensions are written without a dot"]),
    ("/<a:ext=jpg|>", ["extensions are written without a dot"]),
    ("/x?y=1", ["there is no query or fragment"]),
    ("/x#y", ["there is no query or fragment"]),
    ("/<a>/<a:int>/<a>", ["there are two parameters 'a'"]),
    ("/<a:ext>/<ext>", ["there are two parameters 'ext'"]),
    ("/<a:path>/x/<b:path>", ["two parameters of type path"]),
    ("/<a:path>/", ["a path at the end takes the last slash too"]),
    ("/<a:>/x?", ["has no type", "no query"]),
]


def route(uri: str, version: int | float | str | None = None) -> Route:
    return Route(uri=uri, methods=frozenset({"GET"}), name="name", handler=print, version=version)


@pytest.mark.parametrize(("uri", "segments", "slash"), GOOD)
def test_a_uri_is_read(uri: str, segments: list[str | Slot], slash: bool) -> None:
    assert parse_uri(uri) == Template(tuple(segments), slash)


@pytest.mark.parametrize(("uri", "complaints"), BAD)
def test_what_is_wrong_with_a_uri_is_kept(uri: str, complaints: list[str]) -> None:
    template = parse_uri(uri)
    assert template == Template(complaints=template.complaints)
    for complaint in complaints:
        assert complaint in "\n".join(template.complaints)


def test_the_parameters_of_a_handler() -> None:
    declared = route("/<a>/b/<c:int>/<d:ext>/<e:[a-z]>")
    assert declared.parameters == (
        Parameter("a", "str"),
        Parameter("c", "int"),
        Parameter("d", "str"),
        Parameter("ext", "ext"),
        Parameter("e", "[a-z]"),
    )
    assert route("/<a>/<1>").parameters == ()


@pytest.mark.parametrize(
    ("version", "path"), [(None, "/x"), (1, "/v1/x"), ("1.2", "/v1.2/x"), ("v3", "/v3/x"), (1.5, "/v1.5/x")]
)
def test_a_version_stands_before_the_uri(version: int | float | str | None, path: str) -> None:
    assert route("/x", version).path == path
    assert route("/x", version).template == parse_uri(path)


def test_a_version_does_not_hide_a_missing_slash() -> None:
    assert route("x", 1).template.complaints == ("it must begin with '/'",)


def test_what_is_not_declared_is_left_to_the_configuration() -> None:
    declared = route("/x")
    assert (declared.timeout, declared.body_timeout, declared.request_max_size) == (None, None, None)
    assert (declared.on_disconnect, declared.error_format) == (None, None)
    assert (declared.host, declared.strict_slashes, declared.stream) == ((), False, False)


def test_each_route_has_facts_of_its_own_and_is_itself() -> None:
    one, other = route("/x"), route("/x")
    one.ctx.x = 1
    one.extra.static = True
    assert not hasattr(other.ctx, "x")
    assert other.extra == RouteExtra()
    assert one != other
    assert len({one, other}) == 2

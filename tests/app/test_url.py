"""Building URLs, through `Router.url_for`."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trioframe.app.patterns import Patterns
from trioframe.app.route import Route, WebSocketOptions
from trioframe.app.router import Router, URLBuildError, compile_router


def router(uri: str, **settings: Any) -> Router:
    """One route, called "it"."""
    route = Route(uri=uri, methods=frozenset({"GET"}), name="it", handler=print, **settings)
    compiled, mistakes = compile_router([route], Patterns())
    assert mistakes == []
    return compiled


@pytest.mark.parametrize(
    ("uri", "params", "url"),
    [
        ("/", {}, "/"),
        ("/hello", {}, "/hello"),
        ("/hello/", {}, "/hello/"),
        ("/café au lait", {}, "/caf%C3%A9%20au%20lait"),
        ("/<a>", {"a": "x"}, "/x"),
        ("/<a>/", {"a": "x"}, "/x/"),
        ("/<a>", {"a": "a/b?c#d%é"}, "/a%2Fb%3Fc%23d%25%C3%A9"),
        ("/<a>", {"a": "!$&'()*+,;=:@-._~"}, "/!$&'()*+,;=:@-._~"),
        ("/<a:strorempty>/x", {"a": "y"}, "/y/x"),
        ("/x/<a:strorempty>", {"a": ""}, "/x/"),
        ("/<n:int>", {"n": -3}, "/-3"),
        ("/<n:float>", {"n": 1e-7}, "/0.0000001"),
        ("/<d:ymd>", {"d": datetime.date(2024, 2, 29)}, "/2024-02-29"),
        ("/<u:uuid>", {"u": UUID(int=1)}, "/00000000-0000-0000-0000-000000000001"),
        ("/<p:path>", {"p": "a/b c/d"}, "/a/b%20c/d"),
        ("/<f:ext>", {"f": "a b", "ext": "txt"}, "/a%20b.txt"),
        ("/<f=int:ext=jpg|png>", {"f": 1, "ext": "png"}, "/1.png"),
        ("/<name>", {"name": "x", "self": 1}, "/x?self=1"),
        ("/x", {"a": 1, "b": ["y", "z"], "c": None, "d": "é &"}, "/x?a=1&b=y&b=z&d=%C3%A9+%26"),
        ("/x", {"_anchor": "a b"}, "/x#a%20b"),
        ("/x", {"q": 1, "_anchor": "top"}, "/x?q=1#top"),
    ],
)
def test_a_path_and_what_follows_it(uri: str, params: dict[str, Any], url: str) -> None:
    assert router(uri).url_for("it", **params) == url


@pytest.mark.parametrize(
    ("host", "params", "url"),
    [
        ((), {"_external": True, "_server": "a.example"}, "http://a.example/x"),
        ((), {"_external": True, "_server": "https://a.example:8443/"}, "https://a.example:8443/x"),
        ((), {"_external": True, "_server": "https://a.example", "_scheme": "ws"}, "ws://a.example/x"),
        ((), {"_host": "b.example"}, "http://b.example/x"),
        (("a.example",), {}, "/x"),
        (("a.example",), {"_external": True}, "http://a.example/x"),
        (("a.example",), {"_external": True, "_server": "https://c.example"}, "https://a.example/x"),
        (("a.example", "b.example"), {"_host": "B.example", "_scheme": "https"}, "https://B.example/x"),
    ],
)
def test_an_absolute_url(host: tuple[str, ...], params: dict[str, Any], url: str) -> None:
    assert router("/x", host=host).url_for("it", **params) == url


@pytest.mark.parametrize(
    ("params", "page", "websocket"),
    [
        ({"_server": "a.example"}, "http://a.example/x", "ws://a.example/x"),
        ({"_server": "http://a.example"}, "http://a.example/x", "ws://a.example/x"),
        ({"_server": "https://a.example:8443"}, "https://a.example:8443/x", "wss://a.example:8443/x"),
        ({"_server": "ws://a.example"}, "http://a.example/x", "ws://a.example/x"),
        ({"_server": "wss://a.example"}, "https://a.example/x", "wss://a.example/x"),
        ({"_server": "coap://a.example"}, "coap://a.example/x", "coap://a.example/x"),
        ({"_server": "wss://a.example", "_scheme": "http"}, "http://a.example/x", "http://a.example/x"),
        ({"_host": "a.example", "_scheme": "wss"}, "wss://a.example/x", "wss://a.example/x"),
        ({"_host": "a.example"}, "http://a.example/x", "ws://a.example/x"),
    ],
)
def test_the_scheme_fits_what_is_there(params: dict[str, str], page: str, websocket: str) -> None:
    assert router("/x").url_for("it", _external=True, **params) == page
    assert router("/x", websocket=WebSocketOptions()).url_for("it", _external=True, **params) == websocket


@pytest.mark.parametrize(
    ("uri", "params", "complaint"),
    [
        ("/<a>", {}, r"^no URL for 'it' \(/<a>\): it needs the parameter 'a'$"),
        ("/<a>", {"a": None}, "needs the parameter 'a'"),
        ("/<f:ext>", {"f": "x"}, "needs the parameter 'ext'"),
        ("/<a>", {"a": ""}, r"the parameter 'a' does not fit: '' is not of type str"),
        ("/<a:int>", {"a": "x"}, r"the parameter 'a' does not fit: 'x' is not of type int"),
        ("/<a:[a-z]+>", {"a": "X"}, r"'X' is not of type \[a-z\]\+"),
        ("/<a:ext=jpg>", {"a": "x", "ext": "png"}, r"\('x', 'png'\) is not of type str:ext=jpg"),
        ("/<a>", {"a": "\ud800"}, "the parameter 'a' does not fit: .*surrogates"),
        ("/<a>", {"a": ".."}, r"the parameter 'a' cannot be '\.\.'"),
        ("/<a:path>", {"a": "x/../y"}, r"cannot be 'x/\.\./y'"),
        ("/<a:path>", {"a": "/etc"}, "would name a host"),
        ("/<a:strorempty>/x", {"a": ""}, "'//x' would name a host"),
        ("/x", {"_external": True}, "an absolute URL needs _server or _host"),
    ],
)
def test_what_cannot_be_built(uri: str, params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(URLBuildError, match=complaint):
        router(uri).url_for("it", **params)


def test_the_host_of_an_absolute_url_must_be_one_of_the_route() -> None:
    compiled = router("/x", host=("a.example", "b.example"))
    with pytest.raises(
        URLBuildError, match=r"does not answer at the host 'c\.example', only at a\.example, b\.example"
    ):
        compiled.url_for("it", _host="c.example")
    with pytest.raises(URLBuildError, match="needs _server or _host"):
        compiled.url_for("it", _external=True)


# --- what was built is found ------------------------------------------------------------------------------------------

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(min_size=1),
    "strorempty": st.text(),
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "alpha": st.from_regex("[A-Za-z]+", fullmatch=True),
    "slug": st.from_regex("[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
    "ymd": st.dates(),
    "uuid": st.uuids(),
    "path": st.text(min_size=1),
    "[^0-9]+": st.from_regex("[^0-9]+", fullmatch=True),
}
FILES = st.tuples(st.text(min_size=1), st.sampled_from(["jpg", "tar.gz"]))


@settings(max_examples=50)
@given(data=st.data(), strict=st.booleans(), slash=st.booleans())
@pytest.mark.parametrize("label", VALUES)
def test_the_path_of_a_url_finds_its_parameters(label: str, data: st.DataObject, strict: bool, slash: bool) -> None:
    last = "/" if slash and label != "path" else ""
    compiled = router(f"/x/<a:int>/<b:ext=jpg|tar.gz>/<c:{label}>{last}", strict_slashes=strict)
    stem, extension = data.draw(FILES)
    params = {"a": data.draw(VALUES["int"]), "b": stem, "ext": extension, "c": data.draw(VALUES[label])}
    try:
        url = compiled.url_for("it", **params)
    except URLBuildError:
        assume(False)
    assert compiled.find("GET", url.encode()).params == params

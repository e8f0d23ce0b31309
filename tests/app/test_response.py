"""Responses as values: what each function makes, and what HTTP cannot say."""

from __future__ import annotations

import contextvars

import pytest
import trio

from trioframe.app.response import Response, default_dumps, empty, html, json, raw, redirect, text
from trioframe.errors import LocalProtocolError


async def pieces():
    yield b"one"
    yield "two"


# --- the functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "status", "content_type", "body"),
    [
        (text("café"), 200, "text/plain; charset=utf-8", "café".encode()),
        (text("", 404), 404, "text/plain; charset=utf-8", b""),
        (text("a,b", content_type="text/csv"), 200, "text/csv; charset=utf-8", b"a,b"),
        (html("<p>é"), 200, "text/html; charset=utf-8", "<p>é".encode()),
        (html(b"<p>"), 200, "text/html; charset=utf-8", b"<p>"),
        (json({"a": [1, None]}, 201), 201, "application/json", b'{"a":[1,null]}'),
        (json("é"), 200, "application/json", b'"\\u00e9"'),
        (raw(b"\x00"), 200, "application/octet-stream", b"\x00"),
        (raw(bytearray(b"\x89PNG"), content_type="image/png"), 200, "image/png", b"\x89PNG"),
        (empty(), 204, None, b""),
        (empty(201), 201, None, b""),
    ],
)
def test_what_each_makes(response, status, content_type, body) -> None:
    assert (response.status, response.content_type, response.body) == (status, content_type, body)


def test_each_takes_headers() -> None:
    headers = {"X-A": "1"}
    responses = [text("", 200, headers), html("", 200, headers), json(1, 200, headers), raw(b"", 200, headers)]
    responses += [empty(204, headers), redirect("/", 302, headers)]
    assert [response.headers["x-a"] for response in responses] == ["1"] * 6


@pytest.mark.parametrize("make", [text, html, raw])
def test_the_wrong_kind_of_body_is_refused_by_name(make) -> None:
    with pytest.raises(TypeError, match=f"{make.__name__}.. takes .*, not dict"):
        make({})


# --- bodies and content types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "given", "content_type"),
    [
        ("x", None, "text/plain; charset=utf-8"),
        ("x", "text/css", "text/css; charset=utf-8"),
        ("x", "TEXT/CSS", "TEXT/CSS; charset=utf-8"),
        ("x", "text/css; Charset=latin-1", "text/css; Charset=latin-1"),
        ("x", "image/svg+xml", "image/svg+xml"),
        (b"x", None, "application/octet-stream"),
        (b"x", "text/css", "text/css"),
        (b"", None, None),
    ],
)
def test_content_types(body, given, content_type) -> None:
    response = Response(body, content_type=given)
    assert response.content_type == content_type
    assert dict(response.raw_headers()).get(b"content-type") == (content_type and content_type.encode())


def test_bodies_are_octets_or_asynchronous_iterables() -> None:
    _, channel = trio.open_memory_channel[bytes](0)
    generator = pieces()
    assert Response(generator).body is generator
    assert Response(channel).body is channel
    assert Response(channel).content_type == "application/octet-stream"
    assert type(Response(memoryview(b"x")).body) is bytes
    channel.close()


@pytest.mark.parametrize("body", [None, 5, {}, iter([b""])])
def test_any_other_body_is_refused_by_name(body) -> None:
    with pytest.raises(TypeError, match=f"not {type(body).__name__}"):
        Response(body)


def test_the_body_can_be_changed() -> None:
    response = text("a")
    response.body = "é"
    assert response.body == "é".encode()
    with pytest.raises(TypeError):
        response.body = None  # type: ignore[assignment]


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600])
def test_only_final_statuses_are_taken(status) -> None:
    with pytest.raises(LocalProtocolError, match="no status of a final response"):
        Response(status=status)
    response = text("")
    with pytest.raises(LocalProtocolError):
        response.status = status
    assert response.status == 200


# --- headers ----------------------------------------------------------------------------------------------------------


def test_the_headers_of_a_plain_response_are_made_once_for_all() -> None:
    assert text("a").raw_headers() is text("b").raw_headers()
    assert text("a").raw_headers() == ((b"content-type", b"text/plain; charset=utf-8"),)


def test_headers_have_the_content_type_and_can_be_changed() -> None:
    response = text("a")
    response.headers["Content-Type"] = "text/markdown"
    response.headers["X-A"] = "1"
    assert response.content_type == "text/markdown"
    assert response.raw_headers() == ((b"content-type", b"text/markdown"), (b"x-a", b"1"))


def test_a_content_type_among_the_headers_goes_first() -> None:
    assert text("a", headers={"content-type": "text/x"}).content_type == "text/x"
    assert Response(b"", headers={"content-type": "text/x"}).content_type == "text/x"


def test_headers_that_cannot_be_sent_are_refused_where_they_are_given() -> None:
    with pytest.raises(LocalProtocolError, match="x-a"):
        text("", headers={"x-a": "1\r\nx-b: 2"})
    with pytest.raises(LocalProtocolError, match="content-type"):
        text("", content_type="text/plain\r\n")


def test_a_repr_says_what_it_is() -> None:
    assert repr(text("secret")) == "<Response 200 text/plain; charset=utf-8>"
    assert repr(empty()) == "<Response 204 without content type>"


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_by_another_dumps_that_gives_text_or_octets() -> None:
    assert json(5, dumps=lambda body: f"<{body}>").body == b"<5>"
    assert json(5, dumps=lambda body: b"<%d>" % body).body == b"<5>"


def test_the_default_dumps_belongs_to_a_context() -> None:
    def in_an_app_with_its_own() -> bytes:
        default_dumps.set(lambda body: "app's")
        body = json(5).body
        assert isinstance(body, bytes)
        return body

    assert contextvars.copy_context().run(in_an_app_with_its_own) == b"app's"
    assert json(5).body == b"5"


@pytest.mark.parametrize("body", [float("nan"), float("inf"), [float("-inf")]])
def test_nan_and_infinity_are_no_json(body) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json(body)


def test_text_without_utf_8_is_json_all_the_same() -> None:
    assert json("\ud800").body == b'"\\ud800"'


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/a/b?c=d&e#f", "/a/b?c=d&e#f"),
        ("https://u:p@[::1]:8/x;y=1,2!$'()*+~", "https://u:p@[::1]:8/x;y=1,2!$'()*+~"),
        ("/a b", "/a%20b"),
        ("/caf\xe9", "/caf%C3%A9"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ('/"<\\>\t', "/%22%3C%5C%3E%09"),
    ],
)
def test_redirects_encode_what_must_be(to, location) -> None:
    response = redirect(to)
    assert (response.status, response.body) == (302, b"")
    assert response.raw_headers() == ((b"location", location.encode()),)


@pytest.mark.parametrize("to", ["/a\r\nset-cookie: x", "/a\r", "/a\n", "/\x00"])
def test_redirects_refuse_what_would_end_the_line(to) -> None:
    with pytest.raises(LocalProtocolError, match="no CR, LF or NUL"):
        redirect(to)


@pytest.mark.parametrize("status", [200, 304, 305, 306, 400])
def test_redirects_have_a_status_that_redirects(status) -> None:
    assert redirect("/", 308).status == 308
    with pytest.raises(LocalProtocolError, match="use 300, 301, 302, 303, 307, 308"):
        redirect("/", status)


# --- cookies ----------------------------------------------------------------------------------------------------------


def test_cookies_are_lines_of_their_own() -> None:
    response = text("")
    response.headers.add("set-cookie", "z=0")
    response.add_cookie("a", "1")
    response.add_cookie("b", "2", secure=False, httponly=True)
    assert response.headers.getall("set-cookie") == [
        "z=0",
        "a=1; Path=/; Secure; SameSite=Lax",
        "b=2; Path=/; HttpOnly; SameSite=Lax",
    ]


def test_the_same_cookie_is_replaced_and_another_of_its_name_is_not() -> None:
    response = text("")
    response.add_cookie("a", "1")
    response.add_cookie("a", "2", path="/x")
    response.add_cookie("a", "3", max_age=5)
    assert response.headers.getall("set-cookie") == [
        "a=2; Path=/x; Secure; SameSite=Lax",
        "a=3; Path=/; Max-Age=5; Secure; SameSite=Lax",
    ]


def test_deleting_lets_it_expire() -> None:
    response = text("")
    response.add_cookie("a", "1", host_prefix=True)
    response.delete_cookie("a", host_prefix=True)
    assert response.headers.getall("set-cookie") == ["__Host-a=; Path=/; Max-Age=0; Secure; SameSite=Lax"]


def test_a_cookie_that_cannot_be_kept_leaves_the_response_as_it_was() -> None:
    response = text("")
    response.add_cookie("a", "1")
    with pytest.raises(ValueError, match="encode it"):
        response.add_cookie("a", "1;2")
    assert response.headers.getall("set-cookie") == ["a=1; Path=/; Secure; SameSite=Lax"]

"""Header fields as a mapping: read without case, joined by rule; written only if they can be sent."""

from __future__ import annotations

import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioframe.errors import LocalProtocolError
from trioframe.http.headers import Headers, MutableHeaders

RECEIVED = Headers(
    (
        (b"host", b"a.example"),
        (b"accept", b"text/html"),
        (b"cookie", b"a=1"),
        (b"accept", b"text/plain;q=0.5"),
        (b"cookie", b"b=2"),
        (b"user-agent", b"caf\xe9"),
    )
)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_names_have_no_case() -> None:
    assert RECEIVED["Host"] == RECEIVED["HOST"] == RECEIVED["host"] == "a.example"
    assert "HOST" in RECEIVED
    assert 5 not in RECEIVED


def test_several_lines_are_joined_by_comma_and_cookies_by_semicolon() -> None:
    assert RECEIVED["accept"] == "text/html, text/plain;q=0.5"
    assert RECEIVED["cookie"] == "a=1; b=2"


def test_getall_has_them_line_by_line_and_is_the_callers_own() -> None:
    RECEIVED.getall("Accept").clear()
    assert RECEIVED.getall("Accept") == ["text/html", "text/plain;q=0.5"]
    assert RECEIVED.getall("x") == []


def test_values_are_latin_1() -> None:
    assert RECEIVED["user-agent"] == "café"


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        RECEIVED["x"]
    assert RECEIVED.get("x") is None
    assert RECEIVED.get("x", "nothing") == "nothing"
    assert "x" not in RECEIVED


def test_attributes_are_names_with_dashes() -> None:
    assert RECEIVED.user_agent == "café"
    assert RECEIVED.x_request_id is None
    with pytest.raises(AttributeError):
        _ = RECEIVED._private


def test_iteration_is_over_the_different_names() -> None:
    assert list(RECEIVED) == list(RECEIVED.keys()) == ["host", "accept", "cookie", "user-agent"]
    assert len(RECEIVED) == 4
    assert dict(RECEIVED)["cookie"] == "a=1; b=2"


def test_items_has_every_line_and_raw_its_octets() -> None:
    assert [value for name, value in RECEIVED.items() if name == "accept"] == ["text/html", "text/plain;q=0.5"]
    assert len(list(RECEIVED.items())) == 6
    assert RECEIVED.raw[1] == (b"accept", b"text/html")


def test_a_repr_shows_no_values() -> None:
    assert repr(RECEIVED) == "<Headers: host, accept, cookie, user-agent>"
    assert repr(MutableHeaders()) == "<MutableHeaders: none>"


def test_a_copy_is_as_good() -> None:
    assert copy.copy(RECEIVED)["host"] == "a.example"


names = st.sampled_from([b"a", b"b-c", b"cookie", b"d", b"\xe9"])
questions = st.sampled_from(["a", "A", "b-c", "cookie", "COOKIE", "d", "e", "\xe9", "\u20ac", "\u212a", "?"])


@given(st.lists(st.tuples(names, st.sampled_from([b"", b"1", b"caf\xe9"])), max_size=5), st.lists(questions))
def test_a_look_at_one_field_finds_what_the_index_of_all_has(lines, asked) -> None:
    headers, indexed = Headers(tuple(lines)), Headers(tuple(lines))
    everything = {name: indexed.getall(name) for name in indexed}
    for question in asked:
        name = question.lower()
        values = everything.get(name)
        joined = None if values is None else ("; " if name == "cookie" else ", ").join(values)
        assert headers.get(question) == getattr(headers, question.replace("-", "_")) == joined
        assert headers.get(question, "x") == ("x" if joined is None else joined)
        assert (question in headers) == (question in indexed) == (joined is not None)
        if joined is None:
            with pytest.raises(KeyError) as caught:
                headers[question]
            assert caught.value.args == (name,)
        else:
            assert headers[question] == joined
    assert list(headers.items()) == list(indexed.items())


def test_looks_at_single_fields_do_not_spoil_the_whole() -> None:
    headers = Headers(RECEIVED.raw[:3])
    assert headers["host"] == "a.example"
    assert headers.getall("accept") == ["text/html"]
    assert list(headers) == ["host", "accept", "cookie"]
    assert copy.copy(headers)["cookie"] == headers.cookie == "a=1"


def test_thousands_of_equal_names_are_not_quadratic() -> None:
    """CVE-2025-67725 of tornado: each repeated line copied all before it."""
    began = time.process_time()
    headers = Headers(tuple((b"x", b"y" * 10) for _ in range(5000)))
    assert len(headers["x"]) == 5000 * 12 - 2
    assert time.process_time() - began < 0.05


# --- writing ----------------------------------------------------------------------------------------------------------


def test_fields_are_sent_in_lower_case_in_the_order_they_were_set() -> None:
    headers = MutableHeaders({"X-One": "1", "Accept": "a"})
    headers["X-Two"] = "2"
    assert headers.encode() == [(b"x-one", b"1"), (b"accept", b"a"), (b"x-two", b"2")]
    assert headers.raw == tuple(headers.encode())


def test_made_of_pairs_or_of_headers() -> None:
    headers = MutableHeaders([("Set-Cookie", "a"), ("set-cookie", "b")])
    assert MutableHeaders(headers).getall("set-cookie") == ["a", "b"]


def test_set_replaces_and_add_does_not() -> None:
    headers = MutableHeaders()
    headers.add("Vary", "accept")
    headers.add("vary", "cookie")
    assert headers["vary"] == "accept, cookie"
    headers.set("VARY", "*")
    assert headers.getall("vary") == ["*"]


def test_setdefault_and_update() -> None:
    headers = MutableHeaders({"a": "1"})
    headers.setdefault("A", "2")
    headers.setdefault("b", "2")
    assert dict(headers) == {"a": "1", "b": "2"}
    headers.update([("A", "3"), ("a", "4")])
    assert headers.getall("a") == ["3", "4"]


def test_removing() -> None:
    headers = MutableHeaders({"a": "1", "b": "2"})
    headers.remove("A")
    headers.remove("A")
    del headers["B"]
    assert len(headers) == 0
    with pytest.raises(KeyError):
        del headers["b"]


def test_whitespace_around_a_value_is_taken_off() -> None:
    assert MutableHeaders({"a": " \tx y\t "})["a"] == "x y"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "a\n"])
def test_a_name_that_is_no_token_is_refused(name) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be the name of a header"):
        MutableHeaders({name: "x"})


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "x\r\nset-cookie: y", "a\x00b", "a\x1bb", "\x7f", "€", "a\n"])
def test_a_value_that_cannot_be_sent_is_refused_and_changes_nothing(value) -> None:
    """CVE-2018-1000164 of gunicorn, CVE-2020-7695 of uvicorn: response splitting."""
    headers = MutableHeaders()
    with pytest.raises(LocalProtocolError, match="the header x-name cannot hold"):
        headers.add("x-name", value)
    with pytest.raises(LocalProtocolError, match="x-name"):
        headers.set("x-name", value)
    assert "x-name" not in headers


def test_what_is_not_text_is_refused_by_name() -> None:
    headers = MutableHeaders()
    with pytest.raises(TypeError, match="the header content-length is text, not int"):
        headers["content-length"] = 5  # type: ignore[assignment]
    with pytest.raises(TypeError, match="name of a header is text, not bytes"):
        headers[b"a"] = "5"  # type: ignore[index]


@given(st.text("\t" + "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)]))))
def test_what_is_written_is_what_is_read(value) -> None:
    written = MutableHeaders({"x": value})
    assert Headers(written.raw)["x"] == value.strip(" \t")

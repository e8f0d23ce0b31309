"""Cookies: whatever comes is read in linear time, and only what a browser keeps is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioframe.http.cookies import cookie_identity, parse_cookies, render_cookie

# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": ["1"]}),
        ("a=1; b=2", {"a": ["1"], "b": ["2"]}),
        ("a=1;b=2;", {"a": ["1"], "b": ["2"]}),
        (" a = 1 ;\tb\t=\t2 ", {"a": ["1"], "b": ["2"]}),
        ("a=1; a=2", {"a": ["1", "2"]}),
        ("a=", {"a": [""]}),
        ("a=x=y", {"a": ["x=y"]}),
        ('a="x y"', {"a": ["x y"]}),
        ('a="', {"a": ['"']}),
        ('a=""', {"a": [""]}),
        (r'a="\073"', {"a": [r"\073"]}),
        ("a=caf\xe9", {"a": ["café"]}),
    ],
)
def test_reading(header, cookies) -> None:
    found = parse_cookies(header)
    assert {name: found.getlist(name) for name in found} == cookies


@pytest.mark.parametrize("header", ["=x", "x", "; ;", " = x", "=__Host-a=x"])
def test_what_has_no_name_is_left_out(header) -> None:
    """CVE-2023-23934 of Werkzeug: ``=__Host-a=x`` became a cookie with a prefix it was never allowed to have."""
    assert len(parse_cookies(header)) == 0


def test_of_several_the_first_is_the_most_specific() -> None:
    assert parse_cookies("a=specific; a=general")["a"] == "specific"


@pytest.mark.parametrize("piece", ["\\", '"', '"\\', ";", "=", " ", "a=;"])
def test_reading_is_linear(piece) -> None:
    """CVE-2024-7592 of http.cookies: quadratic in backslashes and quotes."""
    began = time.process_time()
    parse_cookies('a="' + piece * (65536 // len(piece)))
    assert time.process_time() - began < 0.05


# --- writing ----------------------------------------------------------------------------------------------------------

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({}, "a=1; Path=/; Secure; SameSite=Lax"),
        ({"path": None, "secure": False, "samesite": None}, "a=1"),
        ({"path": "/x y"}, "a=1; Path=/x y; Secure; SameSite=Lax"),
        ({"domain": "a.example"}, "a=1; Path=/; Domain=a.example; Secure; SameSite=Lax"),
        ({"max_age": 60}, "a=1; Path=/; Max-Age=60; Secure; SameSite=Lax"),
        ({"expires": WHEN}, "a=1; Path=/; Expires=Wed, 02 Jan 2030 02:04:05 GMT; Secure; SameSite=Lax"),
        ({"httponly": True, "samesite": "Strict"}, "a=1; Path=/; Secure; HttpOnly; SameSite=Strict"),
        ({"samesite": "None", "partitioned": True}, "a=1; Path=/; Secure; SameSite=None; Partitioned"),
        ({"host_prefix": True}, "__Host-a=1; Path=/; Secure; SameSite=Lax"),
        ({"secure_prefix": True, "path": "/x"}, "__Secure-a=1; Path=/x; Secure; SameSite=Lax"),
    ],
)
def test_writing(attributes, written) -> None:
    assert render_cookie("a", "1", **attributes) == written


@pytest.mark.parametrize("name", ["", "a b", "a=", "a;", "a,b", "ä", "a\n", '"a"'])
def test_a_name_that_is_no_token(name) -> None:
    with pytest.raises(ValueError, match="name of a cookie"):
        render_cookie(name, "1")


@pytest.mark.parametrize("value", [";", "a b", "a,b", '"', "\\", "ä", "a\r\nb", "\x00", "a\n"])
def test_a_value_that_needs_encoding(value) -> None:
    with pytest.raises(ValueError, match=r"encode it, for example by urllib\.parse\.quote"):
        render_cookie("a", value)


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"path": "x"}, "begins with /"),
        ({"path": "/;secure"}, "without semicolons"),
        ({"path": "/\n"}, "no path"),
        ({"path": "/" + "x" * 1024}, "no path"),
        ({"domain": "a;b"}, "no domain"),
        ({"domain": ""}, "no domain"),
        ({"domain": "bücher.example"}, "xn--"),
        ({"domain": "a" * 1025}, "no domain"),
        ({"samesite": "lax"}, "'Strict', 'Lax', 'None'"),
        ({"samesite": "None", "secure": False}, "SameSite=None needs secure=True"),
        ({"partitioned": True, "secure": False}, "Partitioned needs secure=True"),
        ({"host_prefix": True, "secure": False}, "its prefix needs secure=True"),
        ({"secure_prefix": True, "secure": False}, "its prefix needs secure=True"),
        ({"host_prefix": True, "path": "/x"}, "all of it"),
        ({"host_prefix": True, "path": None}, "all of it"),
        ({"host_prefix": True, "domain": "a.example"}, "leave domain out"),
        ({"host_prefix": True, "secure_prefix": True}, "use one of them"),
        ({"expires": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001  # the mistake to be refused
    ],
)
def test_what_a_browser_would_drop_is_refused(attributes, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        render_cookie("a", "1", **attributes)


def test_a_prefix_in_the_name_itself_has_the_same_rules() -> None:
    with pytest.raises(ValueError, match="its prefix needs"):
        render_cookie("__host-a", "1", secure=False)


def test_a_cookie_may_be_as_large_as_browsers_keep() -> None:
    render_cookie("a", "1" * 4095)
    with pytest.raises(ValueError, match="4096"):
        render_cookie("a", "1" * 4096)


@given(
    st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1),
    st.text("".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '",;\\')),
)
def test_what_is_written_is_what_is_read(name, value) -> None:
    pair = render_cookie(name, value, expires=datetime.now(UTC)).split(";")[0]
    assert parse_cookies(f"x=1; {pair}; y=2")[name] == value


def test_a_cookie_is_known_by_name_domain_and_path() -> None:
    assert cookie_identity("a=1; Path=/x; Domain=A.example; Secure") == ("a", "a.example", "/x")
    assert cookie_identity(render_cookie("a", "2", path=None)) == ("a", "", "")

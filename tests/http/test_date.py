"""Dates: one format out, three in (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import locale
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioframe.http.date import http_date, parse_http_date

THE_EXAMPLE = 784111777  # of the RFC, in all three formats
NOW = 1_800_000_000  # Fri, 15 Jan 2027 08:00:00 GMT


def test_what_is_sent_is_imf_fixdate() -> None:
    assert http_date(THE_EXAMPLE) == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_parts_of_a_second_are_cut_off() -> None:
    assert http_date(THE_EXAMPLE + 0.999) == http_date(THE_EXAMPLE)


def test_it_is_rendered_once_per_second() -> None:
    assert http_date(THE_EXAMPLE + 0.1) is http_date(THE_EXAMPLE + 0.2)
    assert http_date(THE_EXAMPLE + 1) == b"Sun, 06 Nov 1994 08:49:38 GMT"


def test_the_locale_is_not_asked() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, "")
        assert http_date(THE_EXAMPLE + 86400) == b"Mon, 07 Nov 1994 08:49:37 GMT"
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_all_formats_are_read(text: bytes | str) -> None:
    assert parse_http_date(text, now=NOW) == THE_EXAMPLE


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Sunday, 06-Nov-94 08:49:37 GMT", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Friday, 15-Jan-77 08:00:00 GMT", b"Fri, 15 Jan 2077 08:00:00 GMT"),  # 50 years ahead, to the second
        ("Friday, 15-Jan-77 08:00:01 GMT", b"Sat, 15 Jan 1977 08:00:01 GMT"),
        ("Friday, 31-Dec-99 23:59:59 GMT", b"Fri, 31 Dec 1999 23:59:59 GMT"),
    ],
)
def test_a_year_of_two_digits_is_near(text: str, seen: bytes) -> None:
    """What appears to be more than 50 years in the future was in the past."""
    timestamp = parse_http_date(text, now=NOW)
    assert timestamp is not None
    assert http_date(timestamp) == seen


def test_now_is_now_unless_it_is_said() -> None:
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == THE_EXAMPLE


def test_a_day_of_two_digits_in_the_asctime_format() -> None:
    assert parse_http_date("Wed Nov 16 08:49:37 1994") == THE_EXAMPLE + 10 * 86400


def test_a_leap_second_is_the_next_second() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 0６ Nov 1994 08:49:37 GMT",  # noqa: RUF001 - a digit, but not of ASCII
        b"Sun, 06 Nov 1994 08:49:3\xb2 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: bytes | str) -> None:
    assert parse_http_date(text) is None


@given(st.integers(0, 253402300799))
def test_what_is_sent_can_be_read(second: int) -> None:
    assert http_date(second).decode() == formatdate(second, usegmt=True)
    assert parse_http_date(http_date(second)) == second

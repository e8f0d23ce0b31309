"""Accept: what the client likes best (RFC 9110 section 12.5.1)."""

from __future__ import annotations

import time

import pytest

from trioframe.app.accept import MediaRange, parse_accept

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("header", "offers", "best"),
    [
        (BROWSER, ("application/json", "text/html"), "text/html"),
        ("application/json", ("text/html", "application/json"), "application/json"),
        ("*/*", ("text/html", "application/json"), "text/html"),
        (None, ("text/html", "application/json"), "text/html"),
        ("", ("text/html",), "text/html"),
        ("text/*", ("application/json", "text/plain"), "text/plain"),
        ("text/*;q=0.3, text/html;q=0.7", ("text/plain", "text/html"), "text/html"),
        ("text/html;q=0.5, text/plain", ("text/html", "text/plain"), "text/plain"),
        ("*/*, text/html;q=0", ("text/html", "text/plain"), "text/plain"),
        ("text/html;q=0", ("text/html",), None),
        ("image/png", ("text/html",), None),
        ("TEXT/HTML", ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
        ("text/html ; level=1 ; q=0.4, text/plain;q=0.5", ("text/html", "text/plain"), "text/plain"),
        ("application/json; charset=utf-8", ("text/html", "application/json"), "application/json"),
        (BROWSER, (), None),
    ],
)
def test_the_best_of_the_offers(header, offers, best) -> None:
    assert parse_accept(header).match(*offers) == best


def test_the_most_specific_range_decides() -> None:
    """The example of RFC 9110 section 12.5.1, without its parameters."""
    accept = parse_accept("text/*;q=0.3, text/plain;q=0.7, */*;q=0.5")
    assert [accept.quality(media_type) for media_type in ("text/plain", "text/html", "image/jpeg")] == [0.7, 0.3, 0.5]


def test_ranges_stand_in_the_order_of_preference() -> None:
    accept = parse_accept("*/*;q=0.5, text/*, a/b, c/d;q=0.5")
    assert [str(element) for element in accept] == ["a/b;q=1", "text/*;q=1", "c/d;q=0.5", "*/*;q=0.5"]
    assert accept[0] == MediaRange("a", "b", 1.0)


@pytest.mark.parametrize(
    "element",
    [
        "text",
        "/",
        "text/",
        "/html",
        "*/html",
        "te xt/html",
        "a/b/c",
        "a/b;q=2",
        "a/b;q=1.001",
        "a/b;q=-1",
        "a/b;q=",
        ";",
    ],
)
def test_elements_that_mean_nothing_are_left_out(element) -> None:
    accept = parse_accept(f"{element}, x/y")
    assert [str(element) for element in accept] == ["x/y;q=1"]


@pytest.mark.parametrize("piece", ["*/*,", "a/b;q=0.1,", ",", ";", '"', "a;", "*/"])
def test_reading_is_linear(piece) -> None:
    began = time.process_time()
    parse_accept(piece * (16384 // len(piece))).match("text/html", "application/json", "text/plain")
    assert time.process_time() - began < 1  # a hundred times what it takes; if it were quadratic it would take more

"""The lane of responses writes what the law would, or leaves it to the law."""

from __future__ import annotations

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.http.date import http_date
from trioframe.http.events import RequestHead
from trioframe.http.fields import Fields
from trioframe.http.response_head import compose_final
from trioframe.http.response_plain import _beginning, _start, _status_line, plain_response

NOW = 784111777.5
TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)


def request(method: str = "GET", version: str = "1.1") -> RequestHead:
    return RequestHead(method, b"/", b"/", b"", b"a", (), version, 0, False, b"")


def law(status: int, headers: Fields, body: bytes) -> bytes:
    head = compose_final(status, headers, request=request(), length=len(body), close=False, date=http_date(NOW))
    return head.data + body


def lane(status: int, headers: Fields, body: bytes, head: RequestHead | None = None) -> bytes | None:
    return plain_response(status, headers, body, head or request(), lambda: NOW)


@pytest.mark.parametrize("status", [200, 201, 205, 299, 301, 404, 418, 500, 599])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        TEXT,
        ((b"content-type", b"x/y"),),
        ((b"Content-Type", b"x/y"),),
        ((b"etag", b""),),
        (*TEXT, (b"x", b"y")),
        ((b"set-cookie", b"a"), *TEXT, (b"set-cookie", b"\xe4\t")),
    ],
)
@pytest.mark.parametrize("body", [b"", b"x", b"Hello, world!", b"\r\n\r\n" * 1000])
def test_a_plain_response_is_what_the_law_says(status: int, headers: Fields, body: bytes) -> None:
    assert lane(status, headers, body) == law(status, headers, body)


def test_the_date_is_that_of_the_moment() -> None:
    first = plain_response(200, TEXT, b"", request(), lambda: 0)
    later = plain_response(200, TEXT, b"", request(), lambda: 1)
    assert first is not None
    assert later is not None
    assert b"00:00:00 GMT" in first
    assert b"00:00:01 GMT" in later


@pytest.mark.parametrize(
    ("status", "headers", "head"),
    [
        (204, (), None),
        (304, (), None),
        (200, TEXT, request("HEAD")),
        (200, TEXT, request(version="1.0")),
        (200, ((b"content-length", b"1"),), None),
        (200, ((b"Content-Length", b"1"), *TEXT), None),
        (200, (*TEXT, (b"date", b"today")), None),
        (200, (*TEXT, (b"connection", b"x")), None),
        (304, (*TEXT, (b"etag", b"x")), None),
        (200, list(TEXT), None),
    ],
)
def test_what_is_not_plain_is_left_to_the_law(status: int, headers: Fields, head: RequestHead | None) -> None:
    assert lane(status, headers, b"x", head) is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [(99, ()), (600, ()), (200, ((b"content-type", b"a\r\nb: c"),)), (200, (*TEXT, (b"a b", b"")))],
)
def test_what_http_cannot_say_is_refused_by_the_law(status: int, headers: Fields) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            lane(status, headers, b"")


def test_no_value_of_a_field_is_kept() -> None:
    """It may be a credential, or long."""
    secret = b"session=%d" % id(object())
    assert lane(200, (*TEXT, (b"set-cookie", secret)), b"x") == law(200, (*TEXT, (b"set-cookie", secret)), b"x")
    kept = [function.cache_info().currsize for function in (_start, _beginning, _status_line)]
    for number in range(10):
        lane(200, (*TEXT, (b"set-cookie", b"%d" % number)), b"x")
    assert [function.cache_info().currsize for function in (_start, _beginning, _status_line)] == kept

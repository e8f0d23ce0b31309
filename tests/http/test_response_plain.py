"""The lane of responses writes what the law would, or leaves it to the law."""

from __future__ import annotations

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.http.date import http_date
from trioframe.http.events import RequestHead
from trioframe.http.fields import Fields
from trioframe.http.response_head import compose_final
from trioframe.http.response_plain import plain_response

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
@pytest.mark.parametrize("headers", [(), TEXT, ((b"content-type", b"x/y"),)])
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
        (200, (*TEXT, (b"x", b"y")), None),
        (200, ((b"etag", b"x"),), None),
        (200, ((b"Content-Type", b"a/b"),), None),
        (200, ((b"content-length", b"1"),), None),
        (200, list(TEXT), None),
    ],
)
def test_what_is_not_plain_is_left_to_the_law(status: int, headers: Fields, head: RequestHead | None) -> None:
    assert lane(status, headers, b"x", head) is None


@pytest.mark.parametrize(("status", "headers"), [(99, ()), (600, ()), (200, ((b"content-type", b"a\r\nb: c"),))])
def test_what_http_cannot_say_is_refused_by_the_law(status: int, headers: Fields) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            lane(status, headers, b"")

"""A response body keeps the promise of its head."""

from __future__ import annotations

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.http.response_body import BodyFraming, ResponseBody

TRAILERS = [(b"X-Sum", b"1")]


def test_nothing_is_sent_where_there_is_no_body() -> None:
    body = ResponseBody(BodyFraming.NOTHING, 0)
    assert body.encode(b"hello") == b""
    assert body.end(TRAILERS) == b""


def test_chunks() -> None:
    body = ResponseBody(BodyFraming.CHUNKED, 0)
    assert body.encode(b"hello") == b"5\r\nhello\r\n"
    assert body.encode(b"") == b"", "an empty chunk would be the end"
    assert body.end(()) == b"0\r\n\r\n"
    assert body.end(TRAILERS) == b"0\r\nX-Sum: 1\r\n\r\n"


def test_until_close() -> None:
    body = ResponseBody(BodyFraming.UNTIL_CLOSE, 0)
    data = b"hello"
    assert body.encode(data) is data
    assert body.end(TRAILERS) == b""


class TestLength:
    def test_data_goes_as_it_is(self) -> None:
        body = ResponseBody(BodyFraming.LENGTH, 7)
        data = b"hello"
        assert body.encode(data) is data
        assert body.encode(b"") == b""
        assert body.encode(b"!!") == b"!!"
        assert body.end(()) == b""

    def test_too_much(self) -> None:
        body = ResponseBody(BodyFraming.LENGTH, 7)
        body.encode(b"hello")
        with pytest.raises(LocalProtocolError, match=r"^2 bytes of body more than"):
            body.encode(b" you")
        body.encode(b"!!")  # nothing has happened
        assert body.end(()) == b""

    def test_too_little(self) -> None:
        body = ResponseBody(BodyFraming.LENGTH, 7)
        body.encode(b"hello")
        with pytest.raises(LocalProtocolError, match=r"^2 bytes of body fewer than"):
            body.end(())

    def test_trailers(self) -> None:
        with pytest.raises(LocalProtocolError, match="no trailers"):
            ResponseBody(BodyFraming.LENGTH, 0).end(TRAILERS)

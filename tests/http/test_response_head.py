"""What the head of a response says, and what an application cannot make it say."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.response_body import BodyFraming
from trioframe.http.response_head import FinalHead, compose_final, compose_interim, compose_switch

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def request(method: str = "GET", version: str = "1.1", upgrade: bytes = b"") -> RequestHead:
    return RequestHead(
        method=method,
        target=b"/",
        raw_path=b"/",
        query_string=b"",
        authority=b"a.example",
        headers=(),
        version=version,
        content_length=0,
        expect_continue=False,
        upgrade=upgrade,
    )


def compose(status: int = 200, *headers: tuple[bytes, bytes], **changes: Any) -> FinalHead:
    arguments: dict[str, Any] = {"request": request(), "length": None, "close": False, "date": DATE, **changes}
    return compose_final(status, headers, **arguments)


def lines(head: FinalHead | bytes) -> list[bytes]:
    """The lines of a head, but for Date, which every head here has."""
    data = head.data if isinstance(head, FinalHead) else head
    *all_lines, empty, nothing = data.split(b"\r\n")
    assert (empty, nothing) == (b"", b"")
    all_lines.remove(b"Date: " + DATE)
    return all_lines


def test_a_plain_head() -> None:
    head = compose(200, (b"Content-Type", b"text/plain"), length=5)
    assert head.data == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"\r\n"
    )
    assert (head.framing, head.length, head.close) == (BodyFraming.LENGTH, 5, False)


class TestStatusLine:
    @pytest.mark.parametrize(
        ("status", "line"),
        [
            (404, b"HTTP/1.1 404 Not Found"),
            (HTTPStatus.IM_A_TEAPOT, b"HTTP/1.1 418 I'm a Teapot"),
            (299, b"HTTP/1.1 299 Unknown"),
            (599, b"HTTP/1.1 599 Unknown"),
        ],
    )
    def test_standard_phrases(self, status: int, line: bytes) -> None:
        assert lines(compose(status))[0] == line

    @pytest.mark.parametrize(("reason", "phrase"), [("Fine", b"Fine"), ("", b""), ("caf\xe9 \t!", b"caf\xe9 \t!")])
    def test_a_phrase_of_ones_own(self, reason: str, phrase: bytes) -> None:
        assert lines(compose(200, reason=reason))[0] == b"HTTP/1.1 200 " + phrase

    @pytest.mark.parametrize("reason", ["a\r\nb", "a\nb", "\0", "\x1b", "\u20ac"])
    def test_a_phrase_that_cannot_be_sent(self, reason: str) -> None:
        with pytest.raises(LocalProtocolError, match="reason phrase"):
            compose(200, reason=reason)

    @pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 999, -200])
    def test_statuses_that_are_not_final(self, status: int) -> None:
        with pytest.raises(LocalProtocolError, match="use 200 to 599"):
            compose(status)


class TestFields:
    def test_they_are_sent_as_they_are_and_in_order(self) -> None:
        head = compose(200, (b"x-b", b"1"), (b"X-A", b""), (b"x-b", b"2"), length=0)
        assert lines(head)[1:4] == [b"x-b: 1", b"X-A: ", b"x-b: 2"]

    @pytest.mark.parametrize("name", [b"", b"a b", b"a\r\nSet-Cookie", b"a:"])
    def test_names_that_cannot_be_sent(self, name: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="illegal header name"):
            compose(200, (name, b"v"))

    @pytest.mark.parametrize("name", [b"X", b"Content-Length", b"Connection", b"Date"])
    @pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\rb", b"a\nb", b"\0"])
    def test_values_that_would_split_the_response(self, name: bytes, value: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="illegal value"):
            compose(200, (name, value))

    def test_a_date_that_is_given_is_kept(self) -> None:
        head = compose(200, (b"date", b"Mon, 07 Nov 1994 08:49:37 GMT"))
        assert head.data.count(b"Date: ") == 1
        assert b"\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n" in head.data

    def test_transfer_encoding_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError, match="Transfer-Encoding is chosen by the server"):
            compose(200, (b"Transfer-Encoding", b"chunked"))


class TestFraming:
    @pytest.mark.parametrize(
        ("version", "length", "framing", "line"),
        [
            ("1.1", 0, BodyFraming.LENGTH, b"Content-Length: 0"),
            ("1.1", None, BodyFraming.CHUNKED, b"Transfer-Encoding: chunked"),
            ("1.0", 7, BodyFraming.LENGTH, b"Content-Length: 7"),
            ("1.0", None, BodyFraming.UNTIL_CLOSE, b"Connection: close"),
        ],
    )
    def test_by_version(self, version: str, length: int | None, framing: BodyFraming, line: bytes) -> None:
        head = compose(200, length=length, request=request(version=version))
        assert head.framing is framing
        assert line in lines(head)
        assert head.close is (framing is BodyFraming.UNTIL_CLOSE)

    def test_to_a_peer_that_was_not_understood(self) -> None:
        head = compose(400, request=None)
        assert head.framing is BodyFraming.UNTIL_CLOSE
        assert head.close

    def test_a_length_among_the_headers_counts(self) -> None:
        head = compose(200, (b"content-length", b"7"))
        assert (head.framing, head.length) == (BodyFraming.LENGTH, 7)
        assert lines(head)[1:] == [b"Content-Length: 7"]
        assert lines(compose(200, (b"content-length", b"7"), length=7)) == lines(head)

    def test_and_must_be_true(self) -> None:
        with pytest.raises(LocalProtocolError, match="Content-Length says 7, but the body has 5 bytes"):
            compose(200, (b"content-length", b"7"), length=5)

    @pytest.mark.parametrize("value", [b"", b"x", b"-1", b"+1", b"1_0", b" 1", b"1.0", b"5, 5", b"\xb2", b"1" * 21])
    def test_and_a_number(self, value: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="one decimal number"):
            compose(200, (b"content-length", value))

    def test_and_be_there_once(self) -> None:
        with pytest.raises(LocalProtocolError, match="one decimal number"):
            compose(200, (b"content-length", b"7"), (b"Content-Length", b"7"))


class TestWithoutBody:
    """HEAD, 204, 304 and 2xx to CONNECT (RFC 9112 section 6.3)."""

    @pytest.mark.parametrize(
        ("status", "method"),
        [(200, "HEAD"), (404, "HEAD"), (204, "GET"), (304, "GET"), (204, "HEAD"), (200, "CONNECT")],
    )
    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_no_framing(self, status: int, method: str, version: str) -> None:
        head = compose(status, request=request(method, version))
        assert head.framing is BodyFraming.NOTHING
        assert not head.close
        assert {line.partition(b":")[0] for line in lines(head)[1:]} <= {b"Connection"}

    @pytest.mark.parametrize(("status", "method"), [(200, "HEAD"), (304, "GET"), (304, "HEAD")])
    def test_the_length_it_would_have(self, status: int, method: str) -> None:
        answer = request(method)
        assert b"Content-Length: 7" in lines(compose(status, length=7, request=answer))
        assert b"Content-Length: 7" in lines(compose(status, (b"content-length", b"7"), length=0, request=answer))
        assert b"Content-Length: 0" in lines(compose(status, (b"content-length", b"0"), request=answer))

    @pytest.mark.parametrize(("status", "method"), [(200, "HEAD"), (304, "GET")])
    def test_an_empty_body_tells_no_length(self, status: int, method: str) -> None:
        """It may have been left out because there is no body."""
        assert lines(compose(status, length=0, request=request(method)))[1:] == []

    @pytest.mark.parametrize(("status", "method"), [(204, "GET"), (204, "HEAD"), (200, "CONNECT")])
    def test_where_a_length_must_not_be_sent(self, status: int, method: str) -> None:
        head = compose(status, (b"Content-Length", b"7"), length=7, request=request(method))
        assert lines(head)[1:] == []

    def test_a_refused_connect_has_a_body(self) -> None:
        assert compose(405, request=request("CONNECT")).framing is BodyFraming.CHUNKED

    def test_to_a_peer_that_was_not_understood(self) -> None:
        assert lines(compose(204, request=None, close=True))[1:] == [b"Connection: close"]


class TestConnection:
    @pytest.mark.parametrize(
        ("version", "close", "given", "line", "closes"),
        [
            ("1.1", False, [], None, False),
            ("1.1", True, [], b"Connection: close", True),
            ("1.0", False, [], b"Connection: keep-alive", False),
            ("1.0", True, [], b"Connection: close", True),
            ("1.1", False, [b"close"], b"Connection: close", True),
            ("1.1", False, [b"Keep-Alive"], None, False),
            ("1.1", True, [b"keep-alive"], b"Connection: close", True),
            ("1.1", False, [b"Upgrade"], b"Connection: upgrade", False),
            ("1.1", False, [b"x-thing", b",CLOSE "], b"Connection: x-thing, close", True),
            ("1.0", False, [b"x-thing"], b"Connection: x-thing, keep-alive", False),
            ("1.1", False, [b""], None, False),
        ],
    )
    def test_options(self, version: str, close: bool, given: list[bytes], line: bytes | None, closes: bool) -> None:
        headers = [(b"Connection", value) for value in given]
        head = compose(200, *headers, length=0, close=close, request=request(version=version))
        assert [line for line in lines(head) if line.startswith(b"Connection")] == ([] if line is None else [line])
        assert head.close is closes


class TestInterim:
    def test_a_head_and_nothing_else(self) -> None:
        assert compose_interim(100, ()) == b"HTTP/1.1 100 Continue\r\n\r\n"
        early = compose_interim(103, [(b"Link", b"</a>"), (b"Date", DATE)])
        assert early == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    @pytest.mark.parametrize("status", [99, 101, 200])
    def test_statuses_that_are_not_interim(self, status: int) -> None:
        with pytest.raises(LocalProtocolError, match="not the status of an interim response"):
            compose_interim(status, ())

    @pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Connection"])
    def test_no_framing(self, name: bytes) -> None:
        with pytest.raises(LocalProtocolError):
            compose_interim(103, [(name, b"1")])


class TestSwitch:
    def test_to_an_upgrade(self) -> None:
        head = compose_switch(101, [(b"X", b"y")], request=request(upgrade=b"websocket"), date=DATE)
        assert lines(head) == [
            b"HTTP/1.1 101 Switching Protocols",
            b"X: y",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
        ]

    def test_what_is_given_is_not_doubled(self) -> None:
        headers = [(b"upgrade", b"WebSocket"), (b"connection", b"upgrade")]
        head = compose_switch(101, iter(headers), request=request(upgrade=b"websocket"), date=DATE)
        assert lines(head)[1:] == [b"upgrade: WebSocket", b"Connection: Upgrade"]

    def test_to_connect(self) -> None:
        assert lines(compose_switch(200, (), request=request("CONNECT"), date=DATE)) == [b"HTTP/1.1 200 OK"]

    @pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding"])
    def test_no_framing(self, name: bytes) -> None:
        with pytest.raises(LocalProtocolError):
            compose_switch(101, [(name, b"1")], request=request(upgrade=b"websocket"), date=DATE)

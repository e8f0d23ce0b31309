"""What a request head means, and which heads are refused that h11 would take."""

from __future__ import annotations

import pytest

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.limits import H1Limits
from trioframe.http.strict import parse_head

LIMITS = H1Limits()


def head(*lines: bytes) -> bytes:
    return b"".join(b"%b\r\n" % line for line in lines) + b"\r\n"


def get(*lines: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return head(b"%b / HTTP/%b" % (method, version), b"Host: a.example", *lines)


def parse(block: bytes, limits: H1Limits = LIMITS) -> RequestHead:
    return parse_head(block, limits)


def refusal(block: bytes, limits: H1Limits = LIMITS) -> tuple[int, str]:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_head(block, limits)
    return caught.value.status, str(caught.value)


def test_a_head_says_all_there_is_to_know() -> None:
    block = head(
        b"POST /a%20b?c=d HTTP/1.1",
        b"Host: a.example:8000",
        b"X-Name:  some\t value \t",
        b"Content-Length: 5",
        b"x-name: again",
    )
    assert parse(block) == RequestHead(
        method="POST",
        target=b"/a%20b?c=d",
        raw_path=b"/a%20b",
        query_string=b"c=d",
        authority=b"a.example:8000",
        headers=(
            (b"host", b"a.example:8000"),
            (b"x-name", b"some\t value"),
            (b"content-length", b"5"),
            (b"x-name", b"again"),
        ),
        version="1.1",
        content_length=5,
        expect_continue=False,
        upgrade=b"",
    )


class TestRequestLine:
    @pytest.mark.parametrize("method", [b"get", b"FOOBAR", b"G!#$%&'*+-.^_`|~0", b"UPDATEREDIRECTREF", b"M" * 32])
    def test_any_token_is_a_method(self, method: bytes) -> None:
        assert parse(get(method=method)).method == method.decode()

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"GET",
            b"GET /",
            b"GET  / HTTP/1.1",
            b"GET /  HTTP/1.1",
            b" GET / HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b"GET\t/ HTTP/1.1",
            b"GET / HTTP/1.1 x",
            b"GET /a b HTTP/1.1",
            b"GET: / HTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET /caf\xc3\xa9 HTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/1",
            b"GET / HTTP/1.",
            b"GET / HTTP/1.10",
            b"GET / HTTP/01.1",
            b"GET / HTTP /1.1",
            b"GET / HTTP/1.\xb2",
            b"GET / ICE/1.0",
        ],
    )
    def test_malformed(self, line: bytes) -> None:
        assert refusal(head(line, b"Host: a"))[0] == 400

    @pytest.mark.parametrize("version", [b"2.0", b"9.9", b"0.9", b"3.0"])
    def test_versions_that_are_not_ours(self, version: bytes) -> None:
        assert refusal(get(version=version))[0] == 505

    @pytest.mark.parametrize("version", [b"1.2", b"1.9"])
    def test_a_higher_minor_version_is_read_as_the_highest_known(self, version: bytes) -> None:
        assert parse(get(version=version)).version == "1.1"

    def test_too_long(self) -> None:
        limits = H1Limits(max_target_size=10)
        assert refusal(get(method=b"M" * 33))[0] == 501
        assert refusal(head(b"GET /%b HTTP/1.1" % (b"a" * 10), b"Host: a"), limits)[0] == 414
        assert parse(head(b"GET /%b HTTP/1.1" % (b"a" * 9), b"Host: a"), limits).target == b"/aaaaaaaaa"

    def test_a_refusal_does_not_echo_the_peer(self) -> None:
        assert refusal(get(b"<script>: x")) == (400, "illegal header line")


class TestFieldLines:
    def test_as_many_as_are_taken(self) -> None:
        limits = H1Limits(max_headers=3)
        assert len(parse(get(b"A: 1", b"B: 2"), limits).headers) == 3
        assert refusal(get(b"A: 1", b"B: 2", b"C: 3"), limits) == (431, "more than 3 header lines")

    @pytest.mark.parametrize(
        "line",
        [
            b"no colon",
            b"X : y",
            b"X\t: y",
            b": y",
            b"X Y: z",
            b"X[]: y",
            b"caf\xc3\xa9: y",
            b"X\xa0: y",
            b"X: a\0b",
            b"X: a\nY: b",
            b"X: a\rY: b",
            b"X: a\r",
            b"X: \x01",
            b"X: \x7f",
        ],
    )
    def test_malformed(self, line: bytes) -> None:
        assert refusal(get(line))[0] == 400

    @pytest.mark.parametrize("line", [b" X: y", b"\tX: y", b" ", b"\t"])
    def test_folded(self, line: bytes) -> None:
        assert refusal(get(line, b"X: y")) == (400, "folded header line")
        assert refusal(head(b"GET / HTTP/1.1", line, b"Host: a")) == (400, "folded header line")

    def test_opaque_octets(self) -> None:
        assert parse(get(b"X: caf\xe9 \xff")).headers[1] == (b"x", b"caf\xe9 \xff")


class TestHost:
    @pytest.mark.parametrize("version", [b"1.1", b"1.2"])
    def test_missing(self, version: bytes) -> None:
        assert refusal(head(b"GET / HTTP/" + version))[0] == 400

    def test_missing_in_http_1_0(self) -> None:
        assert parse(head(b"GET / HTTP/1.0")).authority == b""

    @pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
    def test_twice(self, version: bytes) -> None:
        assert refusal(get(b"Host: a.example", version=version))[0] == 400

    @pytest.mark.parametrize("host", [b"a b", b"u@a", b"a/b", b"a,b", b"a:x"])
    def test_invalid(self, host: bytes) -> None:
        assert refusal(head(b"GET / HTTP/1.1", b"Host: " + host))[0] == 400
        assert refusal(head(b"GET / HTTP/1.0", b"Host: " + host))[0] == 400
        assert refusal(head(b"GET http://a.example/ HTTP/1.1", b"Host: " + host))[0] == 400

    def test_empty(self) -> None:
        assert parse(head(b"GET / HTTP/1.1", b"Host:")).authority == b""

    def test_the_target_wins(self) -> None:
        """RFC 9112 section 3.2.2."""
        assert parse(head(b"GET http://b.example/ HTTP/1.1", b"Host: a.example")).authority == b"b.example"

    def test_it_is_needed_beside_an_absolute_target(self) -> None:
        assert refusal(head(b"GET http://b.example/ HTTP/1.1"))[0] == 400


class TestFraming:
    def test_no_length_is_no_body(self) -> None:
        assert parse(get(method=b"POST")).content_length == 0

    @pytest.mark.parametrize(
        ("value", "length"), [(b"0", 0), (b"5", 5), (b"0005", 5), (b"5, 5", 5), (b"9" * 20, 10**20 - 1)]
    )
    def test_length(self, value: bytes, length: int) -> None:
        assert parse(get(b"Content-Length: " + value)).content_length == length

    @pytest.mark.parametrize(
        "value", [b"", b"a", b"+5", b"-1", b"0x5", b"1_0", b"5.", b"5 5", b'"5"', b"\xb2", b"5,6", b"5,", b"9" * 21]
    )
    def test_bad_length(self, value: bytes) -> None:
        assert refusal(get(b"Content-Length: " + value))[0] == 400

    def test_lengths_that_differ(self) -> None:
        assert parse(get(b"Content-Length: 5", b"Content-Length: 5")).content_length == 5
        assert refusal(get(b"Content-Length: 5", b"Content-Length: 6"))[0] == 400

    @pytest.mark.parametrize("value", [b"chunked", b"Chunked", b" \tCHUNKED\t "])
    def test_chunked(self, value: bytes) -> None:
        assert parse(get(b"transfer-ENCODING:" + value)).content_length is None

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            (b"", 400),
            (b",", 400),
            (b"chunked,", 400),
            (b", chunked", 400),
            (b"gzip", 400),
            (b"identity", 400),
            (b"xchunked", 400),
            (b"chunked;q=1", 400),
            (b'"chunked"', 400),
            (b"\x85chunked", 400),
            (b"chunked, gzip", 400),
            (b"chunked, chunked", 400),
            (b"chunked, gzip, chunked", 400),
            (b"gzip, chunked", 501),
            (b"gzip, deflate, chunked", 501),
        ],
    )
    def test_other_codings(self, value: bytes, status: int) -> None:
        """Unknown codings are 501; where the end of the body cannot be known it is 400 (RFC 9112 section 6.3)."""
        assert refusal(get(b"Transfer-Encoding: " + value))[0] == status
        assert refusal(get(b"Transfer-Encoding: " + value, b"Content-Length: 5"))[0] == status

    def test_two_lines_are_one_list(self) -> None:
        assert refusal(get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"))[0] == 400
        assert refusal(get(b"Transfer-Encoding: gzip", b"X: y", b"Transfer-Encoding: chunked"))[0] == 501

    def test_chunked_and_a_length(self) -> None:
        block = get(b"Content-Length: 5", b"Transfer-Encoding: chunked")
        assert refusal(block) == (400, "Transfer-Encoding together with Content-Length")

    def test_chunked_in_http_1_0(self) -> None:
        block = get(b"Transfer-Encoding: chunked", version=b"1.0")
        assert refusal(block) == (400, "Transfer-Encoding in HTTP/1.0")


class TestConnection:
    @pytest.mark.parametrize(
        ("version", "lines", "keep_alive"),
        [
            (b"1.1", [], True),
            (b"1.1", [b"Connection: keep-alive"], True),
            (b"1.1", [b"Connection: close"], False),
            (b"1.1", [b"Connection: CLOSE"], False),
            (b"1.1", [b"Connection: token, close, keep-alive"], False),
            (b"1.1", [b"Connection: keep-alive", b"Connection: close"], False),
            (b"1.1", [b"Connection: closed"], True),
            (b"1.0", [], False),
            (b"1.0", [b"Connection: Keep-Alive"], True),
            (b"1.0", [b"Connection: keep-alive, close"], False),
        ],
    )
    def test_persistence(self, version: bytes, lines: list[bytes], keep_alive: bool) -> None:
        assert parse(get(*lines, version=version)).keep_alive is keep_alive

    @pytest.mark.parametrize(
        ("version", "lines", "upgrade"),
        [
            (b"1.1", [b"Connection: Upgrade", b"Upgrade: WebSocket"], b"websocket"),
            (b"1.1", [b"Connection: keep-alive, upgrade", b"Upgrade: ,h2c, websocket"], b"h2c"),
            (b"1.1", [b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"], b"h2c"),
            (b"1.1", [b"Upgrade: websocket"], b""),
            (b"1.1", [b"Connection: Upgrade"], b""),
            (b"1.1", [b"Connection: Upgrade", b"Upgrade: ,"], b""),
            (b"1.0", [b"Connection: Upgrade", b"Upgrade: websocket"], b""),
        ],
    )
    def test_upgrade(self, version: bytes, lines: list[bytes], upgrade: bytes) -> None:
        assert parse(get(*lines, version=version)).upgrade == upgrade


class TestExpect:
    @pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-continue, 100-CONTINUE"])
    def test_continue(self, value: bytes) -> None:
        assert parse(get(b"Expect: " + value, b"Content-Length: 5")).expect_continue
        assert parse(get(b"Expect: " + value, b"Transfer-Encoding: chunked")).expect_continue

    def test_without_a_body_there_is_nothing_to_wait_for(self) -> None:
        assert not parse(get(b"Expect: 100-continue")).expect_continue
        assert not parse(get(b"Expect: 100-continue", b"Content-Length: 0")).expect_continue

    @pytest.mark.parametrize("value", [b"200-ok", b"x 100-continue", b"100-continue, other"])
    def test_unknown(self, value: bytes) -> None:
        assert refusal(get(b"Expect: " + value)) == (417, "unknown expectation")

    @pytest.mark.parametrize("value", [b"100-continue", b"200-ok"])
    def test_in_http_1_0_there_is_none(self, value: bytes) -> None:
        block = get(b"Expect: " + value, b"Content-Length: 5", version=b"1.0")
        assert not parse(block).expect_continue

    def test_an_empty_one_expects_nothing(self) -> None:
        assert not parse(get(b"Expect:", b"Content-Length: 5")).expect_continue

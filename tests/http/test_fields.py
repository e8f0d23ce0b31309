"""Field lines: the grammar of names and values, received and sent (RFC 9110 section 5, RFC 9112 section 5)."""

from __future__ import annotations

import pytest

from trioframe.errors import LocalProtocolError, RemoteProtocolError
from trioframe.http.fields import encode_field, encode_trailers, field_name, parse_trailers, refuse_stray_controls


@pytest.mark.parametrize("block", [b"", b"a: b\r\nc:\td\r\n\r\n", b"\r\n", b"a: caf\xe9 \x80\xff~!", b"\r\n\r\n"])
def test_text_and_line_ends_may_stand_in_a_block(block: bytes) -> None:
    refuse_stray_controls(block)
    refuse_stray_controls(bytearray(block))


@pytest.mark.parametrize(
    "block", [b"a\nb", b"a\rb", b"a\n\rb", b"a\r\r\nb", b"a\r\n\nb", b"\r", b"\n", b"a\rb\nc", b"\0", b"\x1b[", b"\x7f"]
)
def test_no_other_control_may(block: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="control character") as caught:
        refuse_stray_controls(block)
    assert caught.value.status == 400


def test_every_octet_is_text_or_a_control() -> None:
    text = {9, *range(32, 127), *range(128, 256)}
    for octet in range(256):
        if octet in text:
            refuse_stray_controls(bytes([octet]))
        else:
            with pytest.raises(RemoteProtocolError):
                refuse_stray_controls(bytes([octet]))


class TestReceivedTrailers:
    def test_none(self) -> None:
        assert parse_trailers(b"\r\n\r\n", 10) == ()

    def test_names_are_lowered_and_values_stripped(self) -> None:
        block = b"\r\nX-Sum:abc\r\nX-Empty:\r\nx-sum: \t caf\xe9: 1 \t\r\n\r\n"
        assert parse_trailers(block, 3) == ((b"x-sum", b"abc"), (b"x-empty", b""), (b"x-sum", b"caf\xe9: 1"))

    @pytest.mark.parametrize(
        "line", [b"no colon", b": v", b"a b: c", b"a : b", b" folded: x", b"\ta: b", b"a\xe9: b", b"a(b): c"]
    )
    def test_a_malformed_line(self, line: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="malformed trailer line") as caught:
            parse_trailers(b"\r\nX: y\r\n" + line + b"\r\n\r\n", 10)
        assert caught.value.status == 400

    def test_a_bare_line_feed(self) -> None:
        with pytest.raises(RemoteProtocolError, match="bare LF"):
            parse_trailers(b"\r\nX: y\nZ: z\r\n\r\n", 10)

    @pytest.mark.parametrize("name", [b"Content-Length", b"HOST", b"transfer-encoding", b"Authorization", b"Range"])
    def test_fields_that_come_too_late(self, name: bytes) -> None:
        """They would have had their effect, or been checked, before (RFC 9110 section 6.5.1)."""
        with pytest.raises(RemoteProtocolError, match=f"^{name.decode().lower()} must not come in a trailer"):
            parse_trailers(b"\r\n" + name + b": 1\r\n\r\n", 10)

    def test_too_many(self) -> None:
        with pytest.raises(RemoteProtocolError, match="more than 2 trailer lines") as caught:
            parse_trailers(b"\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", 2)
        assert caught.value.status == 431

    def test_long_whitespace_costs_no_more_than_its_length(self) -> None:
        block = b"\r\nX:" + b" a" * 5000 + b" " * 5000 + b"b\r\n\r\n"
        ((_, value),) = parse_trailers(block, 1)
        assert len(value) == 9999 + 5000 + 1


class TestSentFields:
    def test_a_name_keeps_its_case_on_the_wire(self) -> None:
        assert field_name(b"X-Thing") == b"x-thing"
        assert encode_field(b"X-Thing", b"a b\tc\xe9") == b"X-Thing: a b\tc\xe9\r\n"

    @pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"caf\xe9", b"a\0", b"a\n"])
    def test_a_name_that_is_no_token(self, name: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="illegal header name"):
            field_name(name)

    @pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\n", b"\r", b"a\0b", b"\x1b", b"\x7f"])
    def test_a_value_that_could_split_the_response(self, value: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="illegal value for header X-Thing"):
            encode_field(b"X-Thing", value)

    def test_trailers(self) -> None:
        assert encode_trailers([(b"X-A", b"1"), (b"x-b", b"2")]) == b"X-A: 1\r\nx-b: 2\r\n"
        assert encode_trailers([]) == b""

    def test_a_trailer_that_must_be_a_header(self) -> None:
        with pytest.raises(LocalProtocolError, match="Content-Length must not be sent in a trailer"):
            encode_trailers([(b"Content-Length", b"1")])

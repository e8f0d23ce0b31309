"""The body of a close frame: which codes there are, and what the peer and the application may get wrong."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioframe.errors import LocalProtocolError
from trioframe.ws.close_codes import (
    CloseCode,
    answer_code,
    check_reason,
    decode_close,
    encode_close,
    fitting_reason,
    may_receive,
    may_send,
)
from trioframe.ws.events import WebSocketError

SENT = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, *range(3000, 5000)}
RECEIVED = SENT | {1010}
EVERY = range(1 << 16)


class TestCodes:
    def test_what_a_server_sends(self) -> None:
        assert {code for code in EVERY if may_send(code)} == SENT

    def test_what_a_client_sends(self) -> None:
        assert {code for code in EVERY if may_receive(code)} == RECEIVED

    @pytest.mark.parametrize("code", [-1, 1 << 16, 1000 + (1 << 16)])
    def test_what_is_no_code(self, code: int) -> None:
        assert not may_send(code)
        assert not may_receive(code)

    def test_an_answer_repeats_the_code_unless_it_is_only_for_clients(self) -> None:
        answers = {code: answer_code(code) for code in RECEIVED | {CloseCode.NO_STATUS}}
        assert {code: answer for code, answer in answers.items() if answer != code} == {1010: 1000}


class TestReason:
    @pytest.mark.parametrize("reason", ["", "a" * 123, "\u00e9" * 61, "\u20ac" * 41, "\U0001f600" * 30, "\0\n"])
    def test_what_fits(self, reason: str) -> None:
        assert check_reason(reason) == reason.encode()

    @pytest.mark.parametrize("reason", ["a" * 124, "\u00e9" * 62, "\U0001f600" * 31])
    def test_what_does_not(self, reason: str) -> None:
        with pytest.raises(LocalProtocolError, match="has 124 bytes in UTF-8, and there is room for 123"):
            check_reason(reason)

    @pytest.mark.parametrize("reason", ["\ud83d", "ok\udfff"])
    def test_half_a_pair(self, reason: str) -> None:
        with pytest.raises(LocalProtocolError, match="surrogate"):
            check_reason(reason)


class TestFitting:
    @pytest.mark.parametrize("text", ["", "a" * 123, "\u00e9" * 61, "\u20ac" * 41])
    def test_what_fits_is_left_alone(self, text: str) -> None:
        assert fitting_reason(text) == text

    @pytest.mark.parametrize(
        ("text", "fitting"),
        [
            ("a" * 124, "a" * 123),
            ("\u00e9" * 62, "\u00e9" * 61),  # no character is cut
            ("a" + "\U0001f600" * 40, "a" + "\U0001f600" * 30),
            ("half \ud83d of a pair", "half ? of a pair"),
        ],
    )
    def test_what_does_not_is_cut(self, text: str, fitting: str) -> None:
        assert fitting_reason(text) == fitting

    @given(st.text(st.characters(exclude_categories=()), max_size=200))
    def test_whatever_it_is_it_can_be_sent_then(self, text: str) -> None:
        check_reason(fitting_reason(text))


class TestSent:
    def test_code_and_reason(self) -> None:
        assert encode_close(1000) == b"\x03\xe8"
        assert encode_close(4999, "caf\u00e9") == b"\x13\x87caf\xc3\xa9"

    def test_no_code_is_no_body(self) -> None:
        assert encode_close(CloseCode.NO_STATUS) == b""

    def test_a_reason_needs_a_code(self) -> None:
        with pytest.raises(LocalProtocolError, match=r"^1005 cannot be sent in a close frame"):
            encode_close(CloseCode.NO_STATUS, "why")

    @pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1010, 1015, 1016, 2999, 5000, 65536])
    def test_a_code_that_servers_do_not_send(self, code: int) -> None:
        with pytest.raises(LocalProtocolError, match=f"^{code} cannot be sent in a close frame: use 1000"):
            encode_close(code)

    def test_a_reason_that_is_too_long(self) -> None:
        with pytest.raises(LocalProtocolError, match="has 200 bytes"):
            encode_close(1000, "a" * 200)


class TestReceived:
    def test_code_and_reason(self) -> None:
        assert decode_close(b"\x03\xe8") == (CloseCode.NORMAL_CLOSURE, "")
        assert decode_close(b"\x03\xf2caf\xc3\xa9") == (CloseCode.MANDATORY_EXTENSION, "caf\u00e9")

    def test_no_body_is_no_status(self) -> None:
        """RFC 6455 section 7.1.5."""
        assert decode_close(b"") == (CloseCode.NO_STATUS, "")

    @pytest.mark.parametrize(
        "body", [b"\x03", b"\0", b"\0\0", b"\x03\xe7", b"\x03\xec", b"\x03\xed", b"\x03\xee", b"\x03\xf7", b"\xff\xff"]
    )
    def test_a_code_that_clients_do_not_send(self, body: bytes) -> None:
        with pytest.raises(WebSocketError, match=r"^invalid code in a close frame$") as caught:
            decode_close(body)
        assert caught.value.code == CloseCode.PROTOCOL_ERROR

    @pytest.mark.parametrize("reason", [b"\xff", b"caf\xe9", b"\xc0\x80", b"\xed\xa0\xbd", b"ok\xe2\x82"])
    def test_a_reason_that_is_no_utf_8(self, reason: bytes) -> None:
        with pytest.raises(WebSocketError, match=r"^the reason in a close frame is no UTF-8$") as caught:
            decode_close(b"\x03\xe8" + reason)
        assert caught.value.code == CloseCode.INVALID_DATA
        assert caught.value.__suppress_context__


@given(code=st.sampled_from(sorted(SENT)), reason=st.text(max_size=30))
@example(CloseCode.NO_STATUS, "")
def test_what_is_sent_is_what_is_received(code: int, reason: str) -> None:
    assert decode_close(encode_close(code, reason)) == (code, reason)


def answer_to(body: bytes) -> tuple[int, str]:
    try:
        code, reason = decode_close(body)
    except WebSocketError as error:
        return error.code, str(error)
    return answer_code(code), reason


@given(st.binary(max_size=125))
def test_whatever_comes_can_be_answered(body: bytes) -> None:
    code, reason = answer_to(body)
    assert decode_close(encode_close(code, reason)) == (code, reason)

"""The slower half of the lane reads a message as it comes, right, and refuses what the law refuses.

That the law says the same is proved in tests/fuzz/test_frames_fuzz.py.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_frames import BINARY, KEY, PING, TEXT, frame, header, masked

from trioframe.ws.close_codes import CloseCode
from trioframe.ws.events import WebSocketError
from trioframe.ws.long_message import LongMessage, announced


def received(octets: bytes, *cuts: int) -> list[str | bytes]:
    """What is read of one frame that comes in pieces."""
    message = announced(octets, math.inf)
    assert message is not None
    places = [message.start, *(message.start + cut for cut in cuts), len(octets)]
    pieces = [message.take(octets[begin:end]) for begin, end in pairwise(places)]
    assert message.missing == 0
    return pieces


class TestAnnouncing:
    @pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 2**40])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_a_header_is_all_it_takes(self, opcode: int, size: int) -> None:
        octets = header(opcode, size)
        message = announced(octets, math.inf)
        assert message is not None
        assert (message.start, message.missing) == (len(octets), size)

    @pytest.mark.parametrize("size", [1, 126, 65536])
    def test_of_a_header_that_has_not_come_whole_nothing_is_said(self, size: int) -> None:
        octets = header(TEXT, size)
        assert [announced(octets[:end], math.inf) for end in range(len(octets))] == [None] * len(octets)

    @pytest.mark.parametrize(
        "octets",
        [
            frame(PING, b"abc"),
            frame(TEXT, b"abc", fin=False),
            frame(TEXT, b"abc", reserved=4),
            frame(TEXT, b"abc", key=None) + bytes(10),
            b"\x81\xfe\0\x05" + KEY + b"hello",
            b"\x81\xff\0\0\0\0\0\0\xff\xff" + KEY,
            b"\x81\xff\x80\0\0\0\0\0\0\0" + KEY,
        ],
        ids=["control", "fragment", "reserved", "unmasked", "126 for few", "127 for few", "a length below zero"],
    )
    def test_what_is_not_plain_is_left(self, octets: bytes) -> None:
        assert announced(octets, math.inf) is None

    def test_what_is_too_large_is_left(self) -> None:
        octets = header(BINARY, 1000)
        assert announced(octets, 1000) is not None
        assert announced(octets, 999) is None


class TestTaking:
    @given(st.binary(min_size=1, max_size=99), st.lists(st.integers(0, 99), max_size=9))
    def test_octets_are_unmasked_however_they_are_cut(self, data: bytes, cuts: list[int]) -> None:
        places = sorted(min(cut, len(data)) for cut in cuts)
        assert b"".join(piece for piece in received(frame(BINARY, data), *places) if isinstance(piece, bytes)) == data

    @given(st.text(min_size=1, max_size=40), st.lists(st.integers(0, 200), max_size=9))
    def test_text_is_never_cut_within_a_character(self, text: str, cuts: list[int]) -> None:
        octets = text.encode()
        places = sorted(min(cut, len(octets)) for cut in cuts)
        assert "".join(map(str, received(frame(TEXT, octets), *places))) == text

    def test_what_is_no_text_is_found_where_it_comes(self) -> None:
        message = LongMessage(text=True, start=6, size=100, key=KEY)
        assert message.take(masked(b"abcd", KEY)) == "abcd"
        with pytest.raises(WebSocketError, match="not UTF-8") as refused:
            message.take(masked(b"\xff", KEY))
        assert refused.value.code == CloseCode.INVALID_DATA

    def test_text_must_not_end_within_a_character(self) -> None:
        message = LongMessage(text=True, start=6, size=2, key=KEY)
        with pytest.raises(WebSocketError, match="not UTF-8"):
            message.take(masked("ü".encode()[:1] * 2, KEY))

    def test_a_view_is_as_good_as_octets(self) -> None:
        message = LongMessage(text=False, start=6, size=5, key=KEY)
        assert message.take(memoryview(masked(b"abc", KEY))) == b"abc"

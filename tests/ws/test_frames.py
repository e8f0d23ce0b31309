"""The lane takes what is plain, reads it right, and leaves everything else alone.

That the law would have said the same is proved in tests/fuzz/test_frames_fuzz.py.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_frames import BINARY, KEY, PING, PONG, TEXT, frame, header
from wsproto.frame_protocol import FrameProtocol

from trioframe.errors import LocalProtocolError
from trioframe.ws.frames import recognise, write, write_control

SIZES = [0, 1, 3, 4, 125, 126, 127, 255, 256, 16384]


class TestReading:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("behind", [b"", frame(TEXT, b"next"), b"\0"])
    def test_plain(self, size: int, behind: bytes) -> None:
        for opcode, data in ((TEXT, "x" * size), (BINARY, b"\xff" * size)):
            octets = frame(opcode, data.encode() if isinstance(data, str) else data)
            assert recognise(octets + behind, math.inf) == (data, len(octets))
            assert recognise(bytearray(octets + behind), math.inf) == (data, len(octets))

    def test_the_examples_of_the_rfc(self) -> None:
        assert recognise(bytes.fromhex("818537fa213d7f9f4d5158"), math.inf) == ("Hello", 11)

    def test_binary_is_bytes_whatever_was_read(self) -> None:
        taken = recognise(bytearray(frame(BINARY, b"abc")), math.inf)
        assert taken is not None
        assert type(taken[0]) is bytes

    @pytest.mark.parametrize("size", SIZES)
    def test_not_whole(self, size: int) -> None:
        octets = frame(BINARY, bytes(size))
        for end in [*range(min(len(octets), 20)), len(octets) - 1]:
            assert recognise(octets[:end], math.inf) is None

    @pytest.mark.parametrize("opcode", [opcode for opcode in range(16) if opcode not in (TEXT, BINARY)])
    def test_no_message_of_its_own(self, opcode: int) -> None:
        assert recognise(frame(opcode, b"abcd"), math.inf) is None

    @pytest.mark.parametrize(
        "octets",
        [
            frame(TEXT, b"abc", fin=False),
            frame(TEXT, b"abc", reserved=4),
            frame(TEXT, b"abc", reserved=2),
            frame(TEXT, b"abc", reserved=1),
            frame(TEXT, b"abc", key=None) + bytes(10),
            frame(TEXT, b"a" * 126, key=None),
            frame(BINARY, bytes(65536)),
            frame(BINARY, bytes(65536), key=None),
            bytes([0x82, 0x80 | 126, 0, 125]) + KEY + bytes(125),
            bytes([0x82, 0x80 | 127, *bytes(7), 5]) + KEY + bytes(5),
            frame(TEXT, b"\xff"),
            frame(TEXT, "é".encode()[:1]),
            frame(TEXT, b"\xed\xa0\x80"),
        ],
    )
    def test_not_plain(self, octets: bytes) -> None:
        assert recognise(octets, math.inf) is None

    def test_too_large(self) -> None:
        octets = frame(BINARY, bytes(1000))
        assert recognise(octets, 1000) is not None
        assert recognise(octets, 999) is None


class TestWriting:
    @given(st.one_of(st.text(), st.binary(max_size=300)))
    def test_as_wsproto_writes(self, data: str | bytes) -> None:
        assert write(data) == FrameProtocol(client=False, extensions=[]).send_data(data)

    @pytest.mark.parametrize("size", [*SIZES, 65535, 65536])
    def test_each_form_of_length(self, size: int) -> None:
        assert write(bytes(size)) == header(BINARY, size, key=None) + bytes(size)

    def test_text_that_is_not_unicode(self) -> None:
        with pytest.raises(UnicodeEncodeError):
            write("\ud800")

    @given(st.binary(max_size=125))
    def test_control_frames_as_wsproto_writes_them(self, payload: bytes) -> None:
        law = FrameProtocol(client=False, extensions=[])
        assert write_control(PING, payload) == law.ping(payload)
        assert write_control(PONG, payload) == law.pong(payload)

    def test_a_control_frame_that_is_too_large(self) -> None:
        with pytest.raises(LocalProtocolError, match="125 bytes, not 126"):
            write_control(PING, bytes(126))

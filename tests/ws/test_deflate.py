"""Compressed messages are read within the limits, and written so that others read them (RFC 7692)."""

from __future__ import annotations

import math
import random
import tracemalloc
import zlib

import damage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_deflated import COMPRESSED, deflated
from written_frames import BINARY, CONTINUATION, PING, TEXT, frame
from written_requests import cuts, pieces
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, RsvBits

from trioframe.ws.bounds import WebSocketLimits
from trioframe.ws.deflate import DeflateExtension
from trioframe.ws.deflate_terms import Deflate
from trioframe.ws.events import CLOSED, NEED_DATA, Event, Fragment, Message, Ping, WebSocketError
from trioframe.ws.protocol import WebSocketProtocol

ALONE = Deflate()
TAKEN_OVER = Deflate(server_no_context_takeover=False, client_no_context_takeover=False)


def server(limit: float = 1 << 20, terms: Deflate = ALONE) -> WebSocketProtocol:
    limits = WebSocketLimits(max_message_size=limit)
    return WebSocketProtocol(limits, [DeflateExtension(limits, terms)])


def sends(protocol: WebSocketProtocol, *received: bytes) -> list[Event]:
    events: list[Event] = []
    for octets in received:
        protocol.receive_data(octets)
        while (event := protocol.next_event()) is not NEED_DATA:
            events.append(event)
    return events


def refusal(octets: bytes, limit: float = 1 << 20, terms: Deflate = ALONE) -> int:
    with pytest.raises(WebSocketError) as error:
        sends(server(limit, terms), octets)
    return error.value.code


class TestReading:
    def test_the_examples_of_the_rfc(self) -> None:
        hello = bytes.fromhex("f248cdc9c90700")
        one = frame(TEXT, hello, reserved=COMPRESSED)
        two = frame(TEXT, hello[:3], fin=False, reserved=COMPRESSED) + frame(CONTINUATION, hello[3:])
        stored = frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), reserved=COMPRESSED)
        last_block = frame(TEXT, bytes.fromhex("f348cdc9c9070000"), reserved=COMPRESSED)
        two_blocks = frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), reserved=COMPRESSED)
        for octets in (one, two, stored, last_block, two_blocks):
            assert sends(server(), octets) == [Message("Hello")]

    def test_what_is_not_compressed_may_stand_between(self) -> None:
        octets = frame(TEXT, deflated(b"a"), reserved=COMPRESSED) + frame(TEXT, b"b")
        assert sends(server(), octets * 2) == [Message("a"), Message("b")] * 2

    def test_a_ping_within_a_message(self) -> None:
        payload = deflated(b"abcdefgh" * 10)
        octets = frame(TEXT, payload[:5], fin=False, reserved=COMPRESSED) + frame(PING, b"p")
        assert sends(server(), octets + frame(CONTINUATION, payload[5:])) == [Ping(b"p"), Message("abcdefgh" * 10)]

    def test_an_empty_message(self) -> None:
        assert sends(server(), frame(TEXT, b"\x00", reserved=COMPRESSED)) == [Message("")]

    def test_the_last_block(self) -> None:
        deflater = zlib.compressobj(wbits=-15)
        payload = deflater.compress(b"abc") + deflater.flush()
        assert sends(server(), frame(BINARY, payload, reserved=COMPRESSED)) == [Message(b"abc")]
        assert sends(server(), frame(BINARY, payload + b"\x00", reserved=COMPRESSED)) == [Message(b"abc")]
        assert refusal(frame(BINARY, payload + b"\x00\x00", reserved=COMPRESSED)) == 1007
        assert refusal(frame(BINARY, payload + b"a", reserved=COMPRESSED)) == 1007

    @pytest.mark.parametrize("payload", [b"", b"\xff", deflated(b"abc") + b"\x07"])
    def test_malformed(self, payload: bytes) -> None:
        assert refusal(frame(BINARY, payload, reserved=COMPRESSED)) == 1007

    @pytest.mark.parametrize("data", [b"Hello", b"abc" * 100, bytes(range(256)) * 2])
    def test_what_has_no_end(self, data: bytes) -> None:
        payload = deflated(data)
        assert sends(server(), frame(BINARY, payload, reserved=COMPRESSED)) == [Message(data)]
        for end in range(len(payload)):
            assert refusal(frame(BINARY, payload[:end], reserved=COMPRESSED)) == 1007

    def test_only_a_message_begins_compressed(self) -> None:
        assert refusal(frame(PING, reserved=COMPRESSED)) == 1002
        assert refusal(frame(TEXT, fin=False) + frame(CONTINUATION, reserved=COMPRESSED)) == 1002
        assert refusal(frame(TEXT, reserved=2)) == 1002

    def test_text_that_is_not_utf8(self) -> None:
        assert refusal(frame(TEXT, deflated(b"\xff"), reserved=COMPRESSED)) == 1007

    @given(st.one_of(st.binary(max_size=300), st.binary(max_size=9).map(lambda data: data * 500)), cuts)
    def test_what_another_compressed(self, data: bytes, lengths: list[int]) -> None:
        client = FrameProtocol(client=True, extensions=[wsproto_deflate()])
        octets = bytes(client.send_data(data[:10], fin=False) + client.send_data(data[10:]))
        assert sends(server(), *pieces(octets, lengths)) == [Message(data)]


def told(protocol: WebSocketProtocol, received: list[bytes]) -> list[object]:
    """The events, and whether what follows is refused."""
    events: list[object] = []
    for octets in received:
        protocol.receive_data(octets)
        try:
            while (event := protocol.next_event()) is not NEED_DATA and event is not CLOSED:
                events.append(event)
        except WebSocketError:
            return [*events, "refused"]
    return events


compressed_frames = st.builds(
    lambda data, fin: frame(BINARY, deflated(data), fin=fin, reserved=COMPRESSED),
    st.binary(max_size=30).map(lambda data: data * 3),
    st.sampled_from([True, True, True, False]),
)


@given(st.lists(st.one_of(compressed_frames, damage.damaged(compressed_frames)), max_size=4), cuts)
def test_whatever_comes_is_read_or_refused(frames: list[bytes], lengths: list[int]) -> None:
    octets = b"".join(frames)
    assert told(server(60), list(pieces(octets, lengths))) == told(server(60), [octets])


class TestLimit:
    @pytest.mark.parametrize("size", [100, 1000, 100_000])
    def test_the_size_is_that_of_what_is_inflated(self, size: int) -> None:
        octets = frame(BINARY, deflated(bytes(size)), reserved=COMPRESSED)
        assert sends(server(size), octets) == [Message(bytes(size))]
        assert refusal(octets, size - 1) == 1009

    def test_fragments_are_inflated_together(self) -> None:
        payload = deflated(bytes(1000))
        octets = frame(BINARY, payload[:4], fin=False, reserved=COMPRESSED) + frame(CONTINUATION, payload[4:])
        assert sends(server(1000), octets * 2) == [Message(bytes(1000))] * 2
        assert refusal(octets, 999) == 1009

    def test_no_limit(self) -> None:
        octets = frame(BINARY, deflated(bytes(1 << 20)), reserved=COMPRESSED)
        assert sends(server(math.inf), octets) == [Message(bytes(1 << 20))]

    def test_no_more_is_allocated(self) -> None:
        limit = 1 << 16
        octets = frame(BINARY, deflated(bytes(1 << 24)), reserved=COMPRESSED)
        protocol = server(limit)
        tracemalloc.start()
        try:
            with pytest.raises(WebSocketError):
                sends(protocol, octets)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * limit + 4 * len(octets)

    @pytest.mark.parametrize("size", [65535, 65536, 65537, 131072, 500_000])
    @pytest.mark.parametrize("fragments", [1, 3])
    def test_much_comes_piece_by_piece(self, size: int, fragments: int) -> None:
        payload = deflated(bytes(size))
        cut = len(payload) // fragments + 1
        parts = [payload[start : start + cut] for start in range(0, len(payload), cut)]
        octets = frame(BINARY, parts[0], reserved=COMPRESSED, fin=fragments == 1)
        for place, part in enumerate(parts[1:], start=2):
            octets += frame(PING, b"") + frame(CONTINUATION, part, fin=place == fragments)
        protocol = server()
        protocol.receive_data(octets + frame(TEXT, b"behind"))
        pieces: list[Fragment] = []
        while not pieces or not pieces[-1].final:
            event = protocol.next_fragment()
            if isinstance(event, Fragment):
                pieces.append(event)
        assert b"".join(piece.data for piece in pieces if isinstance(piece.data, bytes)) == bytes(size)
        assert max(len(piece.data) for piece in pieces) <= 65536 + 64
        assert protocol.next_event() == Message("behind")

    @pytest.mark.parametrize("size", [1 << 10, 1 << 16])
    def test_a_bomb_takes_no_more_than_a_message_may(self, size: int) -> None:
        """In frames of that size, of which each would inflate to a thousand times as much."""
        bomb = deflated(bytes(64 << 20))
        parts = [bomb[start : start + size] for start in range(0, len(bomb), size)]
        octets = frame(BINARY, parts[0], reserved=COMPRESSED, fin=False)
        octets += b"".join(frame(CONTINUATION, part, fin=False) for part in parts[1:])
        tracemalloc.start()
        try:
            assert refusal(octets) == 1009
            assert tracemalloc.get_traced_memory()[1] < 3 << 19  # one and a half
        finally:
            tracemalloc.stop()


class TestWriting:
    @given(st.one_of(st.text(), st.text(min_size=1, max_size=9).map(lambda text: text * 100)), st.integers(9, 15))
    def test_what_is_written_is_read(self, text: str, bits: int) -> None:
        protocol = server(terms=Deflate(server_max_window_bits=bits))
        client = FrameProtocol(client=True, extensions=[wsproto_deflate()])
        client.receive_bytes(
            protocol.send_message(text)
            + protocol.send_fragment(text, final=False)
            + protocol.send_fragment("", final=True)
            + protocol.send_message("last")
        )
        received = [str(frame.payload) for frame in client.received_frames()]
        assert "".join(received) == text + text + "last"

    def test_what_is_small_is_left_alone(self) -> None:
        assert server().send_message("a" * 127) == frame(TEXT, b"a" * 127, key=None)
        assert server().send_message("a" * 128) == frame(TEXT, deflated(b"a" * 128), reserved=COMPRESSED, key=None)

    def test_the_empty_end_of_a_message(self) -> None:
        protocol = server()
        protocol.send_fragment("abc", final=False)
        assert protocol.send_fragment("", final=True) == frame(CONTINUATION, b"\x00", key=None)  # section 7.2.3.6

    def test_control_frames_are_left_alone(self) -> None:
        no_bits = RsvBits(rsv1=False, rsv2=False, rsv3=False)
        law = FrameProtocol(client=False, extensions=[])
        data = bytes(125)
        extension = DeflateExtension(WebSocketLimits(), ALONE)
        assert extension.frame_outbound(law, Opcode.PING, no_bits, data, True) == (no_bits, data)


class TestTakingOver:
    """Messages may refer back to those before them."""

    # RFC 7692 section 7.2.3.2
    HELLO = frame(TEXT, bytes.fromhex("f248cdc9c90700"), reserved=COMPRESSED)
    HELLO_AGAIN = frame(TEXT, bytes.fromhex("f200110000"), reserved=COMPRESSED)

    def test_the_example_of_the_rfc(self) -> None:
        for between in (b"", frame(TEXT, b"Hello"), frame(PING)):
            events = sends(server(terms=TAKEN_OVER), self.HELLO + between + self.HELLO_AGAIN)
            assert events[0] == events[-1] == Message("Hello")
        assert refusal(self.HELLO + self.HELLO_AGAIN) == 1007

    @given(st.lists(st.text(max_size=9).map(lambda text: text * 20), max_size=5), cuts, st.integers(9, 15))
    def test_what_another_compressed(self, texts: list[str], lengths: list[int], bits: int) -> None:
        terms = Deflate(client_no_context_takeover=False, client_max_window_bits=bits)
        client = FrameProtocol(client=True, extensions=[wsproto_deflate(terms)])
        octets = b"".join(client.send_data(text[:7], fin=False) + client.send_data(text[7:]) for text in texts)
        received = pieces(octets, lengths) if octets else []
        assert sends(server(terms=terms), *received) == list(map(Message, texts))

    def test_one_that_ends_with_a_last_block_is_not_referred_back_to(self) -> None:
        deflater = zlib.compressobj(wbits=-15)
        last = frame(TEXT, deflater.compress(b"Hello") + deflater.flush(), reserved=COMPRESSED)
        assert sends(server(terms=TAKEN_OVER), last + self.HELLO + self.HELLO_AGAIN) == [Message("Hello")] * 3
        assert refusal(last + self.HELLO_AGAIN, terms=TAKEN_OVER) == 1007

    def test_what_has_no_end(self) -> None:
        payload = deflated(b"abc" * 100)
        for end in range(len(payload)):
            octets = self.HELLO + frame(BINARY, payload[:end], reserved=COMPRESSED)
            assert refusal(octets, terms=TAKEN_OVER) == 1007

    def test_each_message_has_the_limit_for_itself(self) -> None:
        deflater = zlib.compressobj(wbits=-15)
        one, two = (deflater.compress(bytes(1000)) + deflater.flush(zlib.Z_SYNC_FLUSH) for _ in range(2))
        octets = b"".join(frame(BINARY, payload[:-4], reserved=COMPRESSED) for payload in (one, two))
        assert sends(server(1000, TAKEN_OVER), octets) == [Message(bytes(1000))] * 2
        assert refusal(octets, 999, TAKEN_OVER) == 1009

    @given(st.lists(st.text(max_size=9).map(lambda text: text * 20), max_size=5), st.integers(9, 15))
    def test_what_is_written_is_read(self, texts: list[str], bits: int) -> None:
        terms = Deflate(server_no_context_takeover=False, server_max_window_bits=bits)
        protocol = server(terms=terms)
        client = FrameProtocol(client=True, extensions=[wsproto_deflate(terms)])
        for text in texts:
            client.receive_bytes(
                protocol.send_message(text)
                + protocol.send_fragment(text, final=False)
                + protocol.send_fragment("", final=True)
            )
            assert "".join(str(frame.payload) for frame in client.received_frames()) == text * 2

    def test_what_was_sent_before_is_not_sent_again(self) -> None:
        protocol, text = server(terms=TAKEN_OVER), '{"symbol": "ABC", "price": 100}'
        sizes = [len(protocol.send_message(text)) for _ in range(3)]
        assert max(sizes[1:]) < 10 < len(text) < sizes[0]

    def test_the_window_is_kept_to(self) -> None:
        noise = random.Random(1).randbytes(1 << 9)
        protocol = server(terms=Deflate(server_no_context_takeover=False, server_max_window_bits=9))
        assert all(len(protocol.send_message(noise)) > 1 << 9 for _ in range(2))
        protocol = server(terms=Deflate(server_no_context_takeover=False, server_max_window_bits=11))
        assert [len(protocol.send_message(noise)) > 1 << 9 for _ in range(2)] == [True, False]

    def test_who_says_nothing_holds_no_context(self) -> None:
        tracemalloc.start()
        try:
            idle = [DeflateExtension(WebSocketLimits(), TAKEN_OVER) for _ in range(10)]
            assert tracemalloc.get_traced_memory()[1] < 1024 * len(idle)
        finally:
            tracemalloc.stop()


def wsproto_deflate(terms: Deflate = ALONE) -> PerMessageDeflate:
    """The extension of wsproto, agreed upon as ours."""
    extension = PerMessageDeflate(
        client_no_context_takeover=terms.client_no_context_takeover,
        server_no_context_takeover=terms.server_no_context_takeover,
        client_max_window_bits=terms.client_max_window_bits,
        server_max_window_bits=terms.server_max_window_bits,
    )
    extension.finalize("permessage-deflate")
    return extension

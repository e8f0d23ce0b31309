"""What a driver is told of the peer's octets, and what it has to send (RFC 6455 sections 5 to 8)."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, header
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from trioframe.errors import LocalProtocolError
from trioframe.ws.events import CLOSED, NEED_DATA, Close, Event, Fragment, Message, Ping, Pong, WebSocketError
from trioframe.ws.protocol import WebSocketLimits, WebSocketProtocol


class Peer:
    """A protocol, and what it says of what it is given."""

    def __init__(self, *extensions: Extension, **limits: int) -> None:
        self.protocol = WebSocketProtocol(WebSocketLimits(**limits), extensions)

    def sends(self, *received: bytes, fragments: bool = False) -> list[Event]:
        """The events of `received`, as far as there are any now."""
        ask = self.protocol.next_fragment if fragments else self.protocol.next_event
        events: list[Event] = []
        for octets in received:
            self.protocol.receive_data(octets)
            while (event := ask()) is not NEED_DATA and event is not CLOSED:
                events.append(event)
        return events


def bytewise(octets: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in octets]


def refusal(octets: bytes, *extensions: Extension, **limits: int) -> tuple[int, str]:
    """How `octets` are refused, which is the same when they come one by one and when fragments are asked for."""
    refusals = set()
    for received in ([octets], bytewise(octets)):
        for fragments in (False, True):
            peer = Peer(*extensions, **limits)
            with pytest.raises(WebSocketError) as error:
                peer.sends(*received, fragments=fragments)
            refusals.add((error.value.code, str(error.value)))
    [refused] = refusals
    return refused


class TestMessages:
    @pytest.mark.parametrize("data", ["", "Hello", b"", b"\0\xff", "κόσμε" * 30, b"ab" * 33000, "é" * 200])
    def test_in_one_frame(self, data: str | bytes) -> None:
        octets = frame(TEXT, data.encode()) if isinstance(data, str) else frame(BINARY, data)
        assert Peer().sends(octets) == [Message(data)]
        assert Peer().sends(*bytewise(octets)) == [Message(data)]

    def test_in_fragments(self) -> None:
        octets = frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo", fin=False) + frame(CONTINUATION)
        assert Peer().sends(octets) == [Message("Hello")]
        assert Peer().sends(*bytewise(octets)) == [Message("Hello")]
        octets = frame(BINARY, fin=False) + frame(CONTINUATION, b"a", fin=False) + frame(CONTINUATION, b"b")
        assert Peer().sends(octets) == [Message(b"ab")]

    def test_a_character_in_two_frames(self) -> None:
        first, second = "a€".encode()[:2], "a€".encode()[2:]
        octets = frame(TEXT, first, fin=False) + frame(CONTINUATION, second)
        assert Peer().sends(octets) == [Message("a€")]
        assert Peer().sends(octets, fragments=True) == [Fragment("a", final=False), Fragment("€", final=True)]

    def test_line_ends_are_left_alone(self) -> None:
        octets = frame(TEXT, b"a\r", fin=False) + frame(CONTINUATION, b"\nb\rc\n")
        assert Peer().sends(octets) == [Message("a\r\nb\rc\n")]

    def test_control_frames_stand_between(self) -> None:
        octets = frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"b") + frame(PONG, b"q")
        assert Peer().sends(octets) == [Ping(b"p"), Message("ab"), Pong(b"q")]

    def test_one_behind_the_other(self) -> None:
        octets = frame(TEXT, b"1") + frame(BINARY, b"2") + frame(PING) + frame(TEXT, b"3") + frame(TEXT, b"4")[:-1]
        peer = Peer()
        assert peer.sends(octets) == [Message("1"), Message(b"2"), Ping(b""), Message("3")]
        assert peer.sends(frame(TEXT, b"4")[-1:] + frame(TEXT, b"5"), frame(TEXT, b"6")) == [
            *(Message("4"), Message("5"), Message("6"))
        ]

    def test_while_extensions_were_agreed_upon(self) -> None:
        assert Peer(Rot13()).sends(frame(TEXT, b"Uryyb")) == [Message("Hello")]
        assert Peer(Rot13()).sends(frame(TEXT, b"Uryyb"), frame(TEXT, b"nop")) == [Message("Hello"), Message("abc")]


class TestFragments:
    def test_as_they_come(self) -> None:
        peer = Peer()
        assert peer.sends(header(BINARY, 4) + frame(BINARY, b"abcd")[6:8], fragments=True) == [Fragment(b"ab", False)]
        assert peer.sends(frame(BINARY, b"abcd")[8:], fragments=True) == [Fragment(b"cd", True)]

    def test_a_whole_message_is_one(self) -> None:
        assert Peer().sends(frame(TEXT, b"abc"), fragments=True) == [Fragment("abc", final=True)]

    def test_only_the_last_may_be_empty(self) -> None:
        octets = frame(TEXT, fin=False) + frame(CONTINUATION, b"a", fin=False) + frame(CONTINUATION)
        assert Peer().sends(octets, fragments=True) == [Fragment("a", final=False), Fragment("", final=True)]

    def test_what_was_held_back_is_the_first(self) -> None:
        peer = Peer()
        assert peer.sends(frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False)) == []
        assert peer.sends(frame(CONTINUATION, b"c"), fragments=True) == [Fragment("ab", False), Fragment("c", True)]
        assert peer.sends(frame(TEXT, b"d")) == [Message("d")]

    def test_the_rest_of_one_is_not_a_message(self) -> None:
        peer = Peer()
        assert peer.sends(frame(TEXT, b"a", fin=False), fragments=True) == [Fragment("a", final=False)]
        with pytest.raises(LocalProtocolError, match="next_fragment"):
            peer.sends(frame(CONTINUATION, b"b"))
        assert peer.protocol.next_fragment() == Fragment("b", final=True)
        assert peer.protocol.next_event() is NEED_DATA

    def test_the_error_of_the_peer_comes_before_that_of_the_application(self) -> None:
        peer = Peer()
        with pytest.raises(WebSocketError):
            peer.sends(frame(TEXT, b"a", fin=False) + frame(TEXT), fragments=True)
        with pytest.raises(WebSocketError):
            peer.protocol.next_event()


class TestClosing:
    @pytest.mark.parametrize("code", [1000, 1001, 1010, 1012, 1014, 3000, 4999])
    def test_code_and_reason(self, code: int) -> None:
        assert Peer().sends(frame(CLOSE, struct.pack("!H", code) + "dé".encode())) == [Close(code, "dé")]

    def test_without_a_code(self) -> None:
        assert repr(Peer().sends(frame(CLOSE))) == "[Close(code=1005, reason='')]"

    def test_what_follows_is_dropped(self) -> None:
        peer = Peer()
        assert peer.sends(frame(CLOSE) + frame(TEXT, b"a"), frame(TEXT, b"b"), b"\xff\xff") == [Close(1005, "")]
        assert peer.protocol.next_event() is CLOSED
        assert peer.protocol.next_fragment() is CLOSED

    def test_within_a_message(self) -> None:
        assert Peer().sends(frame(TEXT, b"a", fin=False) + frame(CLOSE)) == [Close(1005, "")]
        peer = Peer()
        octets = frame(TEXT, b"a", fin=False) + frame(CLOSE)
        assert peer.sends(octets, fragments=True) == [Fragment("a", final=False), Close(1005, "")]
        assert peer.protocol.next_event() is CLOSED

    @pytest.mark.parametrize("octets", [b"", frame(TEXT, b"abc")[:-1], frame(TEXT, b"a", fin=False), frame(TEXT)[:1]])
    def test_the_stream_just_ends(self, octets: bytes) -> None:
        peer = Peer()
        assert peer.sends(frame(TEXT, b"before") + octets, b"") == [Message("before")]
        assert peer.protocol.next_event() is CLOSED

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"\x03", 1002),
            *((struct.pack("!H", code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)),
            (struct.pack("!H", 1000) + b"\xff", 1007),
        ],
    )
    def test_wrong(self, body: bytes, code: int) -> None:
        assert refusal(frame(CLOSE, body))[0] == code


class TestWhatIsRefused:
    @pytest.mark.parametrize("reserved", [1, 2, 3, 4, 7])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
    def test_reserved_bits(self, opcode: int, reserved: int) -> None:
        assert refusal(frame(opcode, reserved=reserved)) == (1002, "Reserved bit set unexpectedly")

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_unknown_opcodes(self, opcode: int) -> None:
        assert refusal(frame(opcode)) == (1002, f"Invalid opcode {opcode:#x}")

    @pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
    def test_frames_without_a_mask(self, opcode: int) -> None:
        assert refusal(frame(opcode, key=None)) == (1002, "server received unexpected unmasked frame")

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_control_frames_that_are_large_or_in_fragments(self, opcode: int) -> None:
        assert refusal(frame(opcode, bytes(126))) == (1002, "Control frame with payload len > 125")
        assert refusal(frame(opcode, fin=False)) == (1002, "Invalid attempt to fragment control frame")

    @pytest.mark.parametrize("fin", [True, False])
    def test_a_continuation_of_nothing(self, fin: bool) -> None:
        assert refusal(frame(CONTINUATION, fin=fin)) == (1002, "unexpected CONTINUATION")
        assert refusal(frame(TEXT) + frame(CONTINUATION, fin=fin)) == (1002, "unexpected CONTINUATION")

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_a_beginning_within_a_message(self, opcode: int) -> None:
        assert refusal(frame(TEXT, fin=False) + frame(opcode))[0] == 1002

    @pytest.mark.parametrize(
        "octets",
        [
            bytes([0x82, 0xFE, 0, 125, *bytes(4 + 125)]),
            bytes([0x82, 0xFF, *bytes(7), 126, *bytes(4 + 126)]),
            bytes([0x82, 0xFF, *bytes(6), 255, 255]),
            bytes([0x82, 0xFF, 0x80, *bytes(7)]),
        ],
    )
    def test_lengths_that_are_not_the_shortest(self, octets: bytes) -> None:
        assert refusal(octets)[0] == 1002

    @pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xce", b"a\x80"])
    def test_text_that_is_not_utf8(self, text: bytes) -> None:
        expected = (1007, "text that is not UTF-8")
        assert refusal(frame(TEXT, text)) == expected
        assert refusal(frame(TEXT, text[:1], fin=False) + frame(CONTINUATION, text[1:])) == expected

    def test_text_is_refused_as_soon_as_it_is_wrong(self) -> None:
        """RFC 6455 section 8.1; neither the rest of the frame nor that of the message is waited for."""
        wrong = frame(TEXT, b"a" * 100 + b"\xff" + b"a" * 100)
        assert refusal(wrong[:-100])[0] == 1007
        assert refusal(frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90", fin=False))[0] == 1007

    def test_messages_that_are_too_large(self) -> None:
        assert refusal(frame(BINARY, bytes(11)), max_message_size=10) == (1009, "a message larger than 10 octets")
        assert refusal(header(BINARY, 11), max_message_size=10)[0] == 1009
        assert refusal(frame(BINARY, bytes(6), fin=False) + header(CONTINUATION, 5), max_message_size=10)[0] == 1009
        assert Peer(max_message_size=10).sends(frame(BINARY, bytes(10))) == [Message(bytes(10))]

    def test_messages_that_are_cut_too_finely(self) -> None:
        octets = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False)
        assert refusal(octets + frame(CONTINUATION), max_fragments=2)[0] == 1008
        assert Peer(max_fragments=3).sends(octets + frame(CONTINUATION)) == [Message("")]

    def test_what_an_extension_refuses(self) -> None:
        assert refusal(frame(TEXT, b"uryyb!"), Rot13()) == (1003, "error in extension")

    def test_what_comes_before_is_told(self) -> None:
        peer = Peer()
        peer.protocol.receive_data(frame(TEXT, b"a") + frame(PING) + frame(3))
        assert peer.protocol.next_event() == Message("a")
        assert peer.protocol.next_event() == Ping(b"")
        with pytest.raises(WebSocketError):
            peer.protocol.next_event()

    def test_it_is_final(self) -> None:
        peer = Peer()
        for octets in (frame(TEXT, b"\xff"), frame(TEXT, b"good"), b""):
            with pytest.raises(WebSocketError, match="text that is not UTF-8") as error:
                peer.sends(octets)
            assert error.value.code == 1007
        with pytest.raises(WebSocketError):
            peer.protocol.next_fragment()


class TestTheShortWay:
    """`receive_message`, and whether the wire is drained."""

    @pytest.mark.parametrize(
        ("octets", "message"),
        [(frame(TEXT, "é".encode()), "é"), (frame(BINARY, b"\0" * 300), bytes(300)), (frame(TEXT), "")],
    )
    def test_a_plain_message_is_given_at_once(self, octets: bytes, message: str | bytes) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        assert protocol.drained
        for _ in range(3):
            assert protocol.receive_message(octets) == message
            assert protocol.drained
        assert protocol.next_event() is NEED_DATA

    def test_what_is_behind_it_is_kept(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        assert protocol.receive_message(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING) + frame(TEXT)[:3]) == "1"
        assert not protocol.drained
        assert protocol.receive_message(frame(TEXT)[3:]) is None  # it is not at the front
        assert [protocol.next_event() for _ in range(4)] == [Message("2"), Ping(b""), Message(""), NEED_DATA]
        assert protocol.drained
        assert protocol.receive_message(frame(TEXT, b"3")) == "3"

    @pytest.mark.parametrize(
        ("octets", "event"),
        [
            (frame(PING, b"p"), Ping(b"p")),
            (frame(CLOSE), Close(1005, "")),
            (frame(TEXT, b"abc")[:-1], NEED_DATA),
            (frame(TEXT, b"a", fin=False), NEED_DATA),
            (b"", CLOSED),
        ],
    )
    def test_all_else_is_left_to_the_long_way(self, octets: bytes, event: Event) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        assert protocol.receive_message(octets) is None
        assert not protocol.drained
        assert protocol.next_event() == event
        assert protocol.drained is (event is NEED_DATA)

    def test_an_error_is_found_there(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits(max_message_size=2))
        assert protocol.receive_message(frame(TEXT, b"abc")) is None
        for _ in range(2):
            with pytest.raises(WebSocketError, match="larger than 2 octets"):
                protocol.next_event()
            assert not protocol.drained
        assert protocol.receive_message(frame(TEXT, b"a")) is None

    def test_within_a_message_and_behind_the_end_nothing_is_plain(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        protocol.receive_data(frame(TEXT, b"a", fin=False))
        assert protocol.next_event() is NEED_DATA
        assert protocol.receive_message(frame(TEXT, b"b")) is None
        with pytest.raises(WebSocketError):
            protocol.next_event()
        protocol = WebSocketProtocol(WebSocketLimits())
        assert protocol.receive_message(frame(CLOSE)) is None
        assert protocol.next_event() == Close(1005, "")
        assert protocol.receive_message(frame(TEXT, b"late")) is None
        assert protocol.next_event() is CLOSED

    def test_where_extensions_were_agreed_upon_nothing_is(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits(), [Rot13()])
        assert protocol.receive_message(frame(TEXT, b"Uryyb")) is None
        assert protocol.next_event() == Message("Hello")


class TestStepByStep:
    def test_a_step_for_each_frame(self) -> None:
        """For whoever shares the time with others."""
        octets = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * 2 + frame(CONTINUATION, b"c")
        protocol = WebSocketProtocol(WebSocketLimits())
        protocol.receive_data(octets)
        steps = [protocol.next_step() for _ in range(5)]
        assert [step for step in steps if step is not None] == [Message("abbc"), NEED_DATA]
        protocol.receive_data(octets + frame(CONTINUATION)[:1])
        fragments = [protocol.next_step(fragments=True) for _ in range(5)]
        assert [step.data for step in fragments if isinstance(step, Fragment)] == ["a", "b", "b", "c"]

    def test_empty_fragments_are_a_step_each_too(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        protocol.receive_data(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 3)
        assert [protocol.next_step(fragments=True) for _ in range(5)] == [None, None, None, None, NEED_DATA]


class TestWork:
    """What a peer can make us do is in proportion to what it sends."""

    def test_a_message_octet_by_octet(self) -> None:
        size = 50_000
        peer = Peer(max_fragments=size)
        octets = frame(BINARY, b"a", fin=False) + frame(CONTINUATION, b"a", fin=False) * (size - 2)
        began = time.process_time()
        assert peer.sends(octets) == []
        assert peer.sends(frame(CONTINUATION, b"a")) == [Message(b"a" * size)]
        assert time.process_time() - began < MOMENT

    def test_many_messages_in_one_read(self) -> None:
        peer = Peer()
        began = time.process_time()
        assert len(peer.sends(frame(TEXT, b"a") * 100_000)) == 100_000
        assert time.process_time() - began < MOMENT

    def test_nothing_is_kept_for_what_is_only_declared(self) -> None:
        peer = Peer(max_message_size=2**62)
        assert peer.sends(header(BINARY, 2**62, key=bytes(4)), b"a") == []
        assert peer.protocol.next_fragment() == Fragment(b"a", final=False)


MOMENT = 5.0  # seconds of CPU, some ten times what it takes; what is quadratic takes minutes


class Client:
    """Reads what a server sends, as wsproto does."""

    def __init__(self, *extensions: Extension) -> None:
        self.protocol = FrameProtocol(client=True, extensions=list(extensions))

    def reads(self, octets: bytes) -> list[tuple[int, object, bool]]:
        self.protocol.receive_bytes(octets)
        return [(frame.opcode, frame.payload, frame.message_finished) for frame in self.protocol.received_frames()]


class TestSending:
    @given(st.one_of(st.text(), st.binary(), st.just("é" * 40000), st.just(bytes(70000))))
    def test_messages(self, data: str | bytes) -> None:
        octets = WebSocketProtocol(WebSocketLimits()).send_message(data)
        assert type(octets) is bytes
        assert Client().reads(octets) == [(TEXT if isinstance(data, str) else BINARY, data, True)]

    def test_fragments_with_control_frames_between(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        octets = protocol.send_fragment("a", final=False) + protocol.send_ping(b"p") + protocol.send_fragment("", True)
        assert Client().reads(octets) == [(TEXT, "a", False), (PING, b"p", True), (TEXT, "", True)]
        octets = protocol.send_fragment(b"b", final=False) + protocol.send_fragment(b"c", final=True)
        assert Client().reads(octets) == [(BINARY, b"b", False), (BINARY, b"c", True)]

    def test_fragments_of_two_types(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        protocol.send_fragment("a", final=False)
        with pytest.raises(LocalProtocolError, match="all str or all bytes"):
            protocol.send_fragment(b"a", final=True)
        assert protocol.send_fragment("b", final=True) == frame(CONTINUATION, b"b", key=None)
        assert protocol.send_message(b"c") == frame(BINARY, b"c", key=None)

    def test_a_message_within_another(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        protocol.send_fragment("a", final=False)
        with pytest.raises(LocalProtocolError, match="final fragment"):
            protocol.send_message("b")
        protocol.send_fragment("c", final=True)
        assert protocol.send_message("b") == frame(TEXT, b"b", key=None)

    def test_text_that_is_not_unicode(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        with pytest.raises(LocalProtocolError, match="surrogate"):
            protocol.send_message("\ud800")
        with pytest.raises(LocalProtocolError, match="surrogate"):
            protocol.send_fragment("\ud800", final=False)
        assert protocol.send_message("good") == frame(TEXT, b"good", key=None)

    def test_control_frames(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        octets = protocol.send_ping() + protocol.send_pong(b"p" * 125) + protocol.send_close(1001, "dé")
        assert Client().reads(octets) == [(PING, b"", True), (PONG, b"p" * 125, True), (CLOSE, (1001, "dé"), True)]
        assert Client().reads(protocol.send_close(1005)) == [(CLOSE, (1005, ""), True)]

    def test_control_frames_that_cannot_be_sent(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits())
        for send in (protocol.send_ping, protocol.send_pong):
            with pytest.raises(LocalProtocolError, match="125"):
                send(bytes(126))
        with pytest.raises(LocalProtocolError):
            protocol.send_close(1006)

    def test_while_extensions_were_agreed_upon(self) -> None:
        protocol = WebSocketProtocol(WebSocketLimits(), [Rot13()])
        assert Client().reads(protocol.send_message("Hello")) == [(TEXT, "Uryyb", True)]


class Rot13(Extension):
    """An extension that turns letters, and takes no exclamation marks."""

    name = "rot13"
    TURNED = bytes.maketrans(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", b"NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
    )

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        return CloseReason.UNSUPPORTED_DATA if b"!" in data else data.translate(self.TURNED)

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        return rsv, data.translate(self.TURNED)

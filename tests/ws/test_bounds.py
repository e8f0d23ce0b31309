"""A peer that declares or sends too much is refused with the code that says why (RFC 6455 section 7.4.1)."""

from __future__ import annotations

import math

import pytest
from written_frames import BINARY, CONTINUATION, PING, TEXT, frame, header
from wsproto.extensions import Extension
from wsproto.frame_protocol import FrameDecoder, FrameProtocol

from trioframe.ws.bounds import Bounds, WebSocketLimits
from trioframe.ws.events import WebSocketError


class Peer:
    """A frame decoder of wsproto that keeps to the bounds."""

    def __init__(self, *others: Extension, **limits: float) -> None:
        self.decoder = FrameDecoder(client=False, extensions=[*others, Bounds(WebSocketLimits(**limits))])  # type: ignore[arg-type]

    def sends(self, octets: bytes) -> int:
        """How many frames, or parts of one, `octets` were."""
        self.decoder.receive_bytes(octets)
        count = 0
        while self.decoder.process_buffer() is not None:
            count += 1
        return count

    def is_refused(self, octets: bytes) -> int:
        """The code with which `octets` are refused."""
        with pytest.raises(WebSocketError) as error:
            self.sends(octets)
        return error.value.code


class TestSize:
    @pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
    def test_up_to_the_limit(self, size: int) -> None:
        assert Peer(max_message_size=size).sends(frame(BINARY, bytes(size))) == 1
        assert Peer(max_message_size=size).is_refused(frame(BINARY, bytes(size + 1))) == 1009

    def test_what_is_declared_is_refused_before_it_comes(self) -> None:
        assert Peer(max_message_size=1000).is_refused(header(BINARY, 1001)) == 1009
        assert Peer(max_message_size=1000).is_refused(header(BINARY, 2**62, key=None)) == 1009

    def test_all_fragments_count(self) -> None:
        peer = Peer(max_message_size=10)
        assert peer.sends(frame(TEXT, bytes(6), fin=False) + header(CONTINUATION, 4, fin=False)) == 1
        assert peer.sends(bytes(3)) == 1
        assert peer.sends(bytes(1)) == 1
        assert peer.is_refused(header(CONTINUATION, 1)) == 1009

    def test_each_message_begins_anew(self) -> None:
        peer = Peer(max_message_size=10)
        for _ in range(3):
            assert peer.sends(frame(TEXT, bytes(6), fin=False) + frame(CONTINUATION, bytes(4))) == 2

    def test_control_frames_do_not_count(self) -> None:
        peer = Peer(max_message_size=10)
        between = frame(PING, bytes(125))
        assert peer.sends(between + frame(TEXT, bytes(6), fin=False) + between + frame(CONTINUATION, bytes(4))) == 4

    def test_a_header_that_comes_in_pieces_counts_once(self) -> None:
        peer = Peer(max_message_size=300, max_fragments=2)
        octets = frame(TEXT, bytes(150), fin=False) + frame(CONTINUATION, bytes(150))
        assert sum(peer.sends(bytes([octet])) for octet in octets) == 300

    def test_no_limit(self) -> None:
        assert Peer(max_message_size=math.inf).sends(header(BINARY, 2**62) + b"a") == 1

    def test_what_an_extension_made_longer_is_judged_again(self) -> None:
        assert Peer(Doubling(), max_message_size=10).sends(frame(TEXT, bytes(5))) == 1
        assert Peer(Doubling(), max_message_size=10).is_refused(frame(TEXT, bytes(6))) == 1009


class TestFragments:
    def test_up_to_the_limit(self) -> None:
        peer = Peer(max_fragments=3)
        for _ in range(2):
            assert peer.sends(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION)) == 3
        peer.sends(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 2)
        assert peer.is_refused(header(CONTINUATION, 0)) == 1008

    def test_coarse_ones_may_be_as_many_as_there_is_room_for(self) -> None:
        """A browser cuts what is large, too."""
        piece = frame(CONTINUATION, bytes(1024), fin=False)
        peer = Peer(max_message_size=1 << 20, max_fragments=2)
        assert peer.sends(frame(BINARY, fin=False) + piece * 1024 + frame(CONTINUATION)) == 1026
        peer.sends(frame(BINARY, fin=False) + piece * 100 + frame(CONTINUATION, fin=False))
        assert peer.is_refused(header(CONTINUATION, 1023)) == 1008

    def test_no_matter_which_of_them_are_coarse(self) -> None:
        peer = Peer(max_message_size=1 << 20, max_fragments=2)
        octets = frame(BINARY, bytes(10 * 1024), fin=False) + frame(CONTINUATION, fin=False) * 10
        assert peer.sends(octets + frame(CONTINUATION)) == 12
        peer.sends(octets + frame(CONTINUATION, fin=False))
        assert peer.is_refused(header(CONTINUATION, 0)) == 1008

    def test_control_frames_are_none(self) -> None:
        peer = Peer(max_fragments=1)
        assert peer.sends(frame(PING) * 3 + frame(TEXT)) == 4


def test_it_is_not_negotiated() -> None:
    bounds = Bounds(WebSocketLimits())
    assert not bounds.offer()
    assert not bounds.enabled()


class Doubling(Extension):
    """An extension that makes payloads longer."""

    name = "doubling"

    def offer(self) -> bool:
        return False

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes:
        return data * 2

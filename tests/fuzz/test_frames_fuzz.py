"""The differential proof of the fast lane of WebSockets: nobody can tell whether it was there.

Streams of frames, lawful ones and damaged ones, cut anywhere, are asked what `frame_agreement` asks of them: whether
the lane, the cuts or the law make a difference, whether compression keeps to its limit, and whether what we write is
read as what it was.

A proof in which the lane never says yes proves nothing, so it has a least share of the messages.  The same holds for
the questions: each of them has to find what it is there to find.

Here it is asked of fixed examples; `fuzz/frames_target.py` searches for the same disagreements without an end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import damage
import pytest
from frame_agreement import (
    ALONE,
    DEFLATED,
    LIMITS,
    SMALL,
    TAKEN_OVER,
    Lane,
    deflate_disagreements,
    disagreements,
    takes_the_lane,
    told,
    written_disagreements,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from written_deflated import COMPRESSED, compressed_messages, deflated
from written_frames import BINARY, PING, TEXT, any_frames, frame, messages, plain_frames, reads, streams

from trioframe.ws import frames
from trioframe.ws.deflate import DeflateExtension
from trioframe.ws.deflate_terms import Deflate
from trioframe.ws.events import Event, Fragment, Message
from trioframe.ws.protocol import WebSocketLimits, WebSocketProtocol

damaged = st.one_of(damage.damaged(plain_frames), damage.damaged(messages()), any_frames)
received = reads(st.one_of(streams(), streams(damaged)))
compressed = st.one_of(compressed_messages(), compressed_messages(), damage.damaged(compressed_messages()))


@settings(max_examples=200)
@given(received, st.sampled_from([LIMITS, LIMITS, SMALL]))
def test_neither_the_lane_nor_the_cuts_make_a_difference(received: list[bytes], limits: WebSocketLimits) -> None:
    assert list(disagreements(received, limits)) == []


@settings(max_examples=200)
@given(reads(streams(compressed)), st.sampled_from([DEFLATED, SMALL]), st.sampled_from([ALONE, TAKEN_OVER]))
def test_compression_keeps_to_the_limit(received: list[bytes], limits: WebSocketLimits, terms: Deflate) -> None:
    assert list(deflate_disagreements(received, limits, terms)) == []


@settings(max_examples=100)
@given(st.lists(st.one_of(received.map(b"".join).filter(bool), st.binary(min_size=1, max_size=300)), max_size=8))
def test_what_is_written_is_read(parts: list[bytes]) -> None:
    assert list(written_disagreements(parts)) == []


def test_the_lane_is_taken() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=200)
    @given(received)
    def count(received: list[bytes]) -> None:
        lane, closed = Lane(is_open=True), Lane(is_open=False)
        counts["messages"] += sum(isinstance(event, Message) for event in told(received, LIMITS, lane=lane))
        told(received, LIMITS, lane=closed)
        counts["plain"] += lane.taken
        counts["asked in vain"] += closed.asked
        assert takes_the_lane(received, LIMITS) is (lane.taken > 0)

    count()
    assert counts["plain"] > 0.3 * counts["messages"] > 0
    assert counts["asked in vain"] > 0


class TestEachQuestionFinds:
    """What is wrong on purpose is found."""

    PLAIN = frame(TEXT, b"Hello")
    BOMB = frame(BINARY, deflated(bytes(1 << 20)), reserved=COMPRESSED)

    def test_a_lane_that_takes_too_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = frames.recognise

        def recognise(data: bytes, largest: float) -> Any:
            plain = read(data, largest)
            return plain and (plain[0], plain[1] - 1)

        monkeypatch.setattr("frame_agreement._RECOGNISE", recognise)
        assert any(found.startswith("without the lane") for found in disagreements([self.PLAIN * 2], LIMITS))

    def test_a_message_that_does_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ask = WebSocketProtocol.next_fragment

        def next_fragment(protocol: WebSocketProtocol) -> Event:
            event = ask(protocol)
            return Fragment(event.data, final=False) if isinstance(event, Fragment) else event

        monkeypatch.setattr(WebSocketProtocol, "next_fragment", next_fragment)
        found = " ".join(disagreements([self.PLAIN], LIMITS))
        assert "the law" in found
        assert "in messages and in fragments" in found

    def test_octets_that_are_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        receive = WebSocketProtocol.receive_data
        monkeypatch.setattr(WebSocketProtocol, "receive_data", lambda protocol, data: receive(protocol, data[:15]))
        cut = [self.PLAIN, self.PLAIN]
        assert any(found.startswith("not cut at all") for found in disagreements(cut, LIMITS))
        assert any(found.startswith("deflated, not cut") for found in deflate_disagreements(cut, LIMITS))

    def test_inflating_without_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(DeflateExtension, "_inflate", lambda extension, inflater, data: inflater.decompress(data))
        assert any("are allocated" in found for found in deflate_disagreements([self.BOMB], DEFLATED))

    def test_a_ping_that_is_written_as_a_pong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(WebSocketProtocol, "send_ping", WebSocketProtocol.send_pong)
        assert any(written_disagreements([frame(PING)]))

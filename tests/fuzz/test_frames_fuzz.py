"""The differential proof of the fast lane of WebSockets: nobody can tell whether it was there.

Three questions are asked of the same streams of frames, lawful ones and damaged ones, cut anywhere:

* Does a whole protocol tell the same with the lane and without it?
* Does it tell the same however the octets are cut?
* Does it tell what wsproto tells, asked by itself?

A proof in which the lane never says yes proves nothing, so it has a least share of the messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import damage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_frames import any_frames, messages, plain_frames, reads, streams
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from trioframe.ws import frames
from trioframe.ws.events import CLOSED, NEED_DATA, Close, Fragment, Message, Ping, Pong, WebSocketError
from trioframe.ws.protocol import WebSocketLimits, WebSocketProtocol

LIMITS = WebSocketLimits(max_message_size=10**9, max_fragments=10**9)
SMALL = WebSocketLimits(max_message_size=20, max_fragments=3)

damaged = st.one_of(damage.damaged(plain_frames), damage.damaged(messages()), any_frames)
received = reads(st.one_of(streams(), streams(damaged)))


def told(received: Iterable[bytes], limits: WebSocketLimits, *, fragments: bool = False) -> Iterator[Any]:
    """All that a driver is told of `received`."""
    protocol = WebSocketProtocol(limits)
    ask = protocol.next_fragment if fragments else protocol.next_event
    for data in received:
        protocol.receive_data(data)
        while True:
            try:
                event = ask()
            except WebSocketError as error:
                yield error.code, str(error)
                return
            yield repr(event)  # so that types show: a buffer is equal to its bytes
            if event is NEED_DATA:
                break
            if event is CLOSED:
                return


def is_end_of_message(event: object) -> bool:
    return str(event).startswith("Message") or str(event).endswith("final=True)")


@pytest.mark.parametrize("fragments", [False, True], ids=["messages", "fragments"])
def test_a_protocol_is_the_same_without_the_lane(monkeypatch: pytest.MonkeyPatch, fragments: bool) -> None:
    recognise = frames.recognise
    counts: Counter[str] = Counter()

    def lane(data: bytes | bytearray, largest: float) -> tuple[Message, int] | None:
        plain = recognise(data, largest)
        counts["plain"] += plain is not None
        return plain

    def no_lane(data: bytes | bytearray, largest: float) -> None:
        counts["asked in vain"] += 1

    @settings(max_examples=200)
    @given(received, st.sampled_from([LIMITS, LIMITS, SMALL]))
    def compare(received: list[bytes], limits: WebSocketLimits) -> None:
        seen = []
        for recognise_ in (lane, no_lane):
            monkeypatch.setattr(frames, "recognise", recognise_)
            seen.append(list(told([*received, b""], limits, fragments=fragments)))
        assert seen[0] == seen[1]
        counts["messages"] += sum(is_end_of_message(event) for event in seen[0])

    compare()
    assert counts["plain"] > 0.3 * counts["messages"] > 0
    assert counts["asked in vain"] > 0


@settings(max_examples=200)
@given(received, st.sampled_from([LIMITS, SMALL]))
def test_it_does_not_matter_how_the_octets_are_cut(received: list[bytes], limits: WebSocketLimits) -> None:
    def without_pauses(received: list[bytes]) -> list[Any]:
        return [event for event in told([*received, b""], limits) if event != repr(NEED_DATA)]

    assert without_pauses(received) == without_pauses([b"".join(received)])


# --- wsproto by itself ------------------------------------------------------------------------------------------------


def law(received: Iterable[bytes]) -> Iterator[Any]:
    """What wsproto tells of `received`."""
    protocol = FrameProtocol(client=False, extensions=[])
    try:
        for data in received:
            protocol.receive_bytes(data)
            for frame in protocol.received_frames():
                match frame.opcode, frame.payload:
                    case Opcode.CLOSE, (code, reason):
                        yield Close(int(code), reason)
                        return
                    case Opcode.PING, bytes(payload):
                        yield Ping(payload)
                    case Opcode.PONG, bytes(payload):
                        yield Pong(payload)
                    case _, part if part or frame.message_finished:
                        yield Fragment(cast("str | bytes", part), frame.message_finished)
    except ParseFailed as failure:
        yield int(failure.code)


@settings(max_examples=200)
@given(received)
def test_it_tells_what_wsproto_tells(received: list[bytes]) -> None:
    expected = [event if isinstance(event, int) else repr(event) for event in law(received)]
    said = [event[0] if isinstance(event, tuple) else event for event in told(received, LIMITS, fragments=True)]
    events = [event for event in said if event not in (repr(NEED_DATA), repr(CLOSED))]
    if events and str(events[-1]).startswith("Close(code=1014"):  # registered later than the others
        events[-1] = 1002
    assert events == expected

"""Whether frames mean the same to all who read them: what every differential test of them asks.

The law is wsproto and our bounds.  Streams of octets, cut anywhere, are asked about in three ways:

* `disagreements`: a protocol tells the same with the fast lane and without it, in messages and in fragments, however
  the octets are cut; and that is what the law tells.
* `deflate_disagreements`: with compression agreed upon it tells the same however the octets are cut, raises nothing but
  `WebSocketError`, and allocates no more than the limit allows.
* `written_disagreements`: what we write is read by wsproto as what it was.

What is compared is not only equal but of the same type: a buffer in the place of bytes would go wrong only later.

It knows no test framework, so that a fuzzer can use it too.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, cast

from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import Frame, FrameProtocol, Opcode, ParseFailed

from trioframe.ws import frames, long_message
from trioframe.ws.bounds import Bounds
from trioframe.ws.deflate import DeflateExtension
from trioframe.ws.deflate_terms import Deflate
from trioframe.ws.events import CLOSED, NEED_DATA, Close, Event, Fragment, Message, Ping, Pong, WebSocketError
from trioframe.ws.protocol import WebSocketLimits, WebSocketProtocol

__all__ = [
    "ALONE",
    "DEFLATED",
    "LIMITS",
    "SMALL",
    "TAKEN_OVER",
    "Lane",
    "deflate_disagreements",
    "disagreements",
    "takes_the_lane",
    "told",
    "written_disagreements",
]

LIMITS = WebSocketLimits(max_message_size=10**9, max_fragments=10**9)
SMALL = WebSocketLimits(max_message_size=20, max_fragments=3)
"""Limits that a short message can be beyond."""

DEFLATED = WebSocketLimits(max_message_size=4096)
"""Limits that a short message can be beyond when it is inflated, and that leave room for others."""

ALONE = Deflate()
TAKEN_OVER = Deflate(server_no_context_takeover=False, client_no_context_takeover=False)
"""Each message is compressed for itself, or may refer back to those before it."""

Asking = Literal["messages", "at once", "fragments", "in turn"]
Told = list[object]
"""Events, and behind them code and words of the error that ended them."""


# --- the lane ---------------------------------------------------------------------------------------------------------

_RECOGNISE: Final = frames.recognise
_ANNOUNCED: Final = long_message.announced


class Lane:
    """Stands where the two halves of the fast lane do: the same, or closed."""

    def __init__(self, is_open: bool) -> None:
        self.is_open = is_open
        self.asked = 0
        self.taken = 0

    def recognise(self, data: bytes | bytearray, largest: float) -> Any:
        return self._ask(_RECOGNISE, data, largest)

    def announced(self, data: bytes | bytearray, largest: float) -> Any:
        return self._ask(_ANNOUNCED, data, largest)

    def _ask(self, half: Callable[[bytes | bytearray, float], Any], data: bytes | bytearray, largest: float) -> Any:
        plain = half(data, largest) if self.is_open else None
        self.asked += 1
        self.taken += plain is not None
        return plain


@contextmanager
def _standing(lane: Lane) -> Iterator[None]:
    before = frames.recognise, long_message.announced
    frames.recognise, long_message.announced = lane.recognise, lane.announced
    try:
        yield
    finally:
        frames.recognise, long_message.announced = before


def takes_the_lane(received: Iterable[bytes], limits: WebSocketLimits) -> bool:
    """Whether some message of `received` is plain enough for the lane."""
    lane = Lane(is_open=True)
    told(received, limits, lane=lane)
    return lane.taken > 0


# --- what is told -----------------------------------------------------------------------------------------------------


def told(
    received: Iterable[bytes],
    limits: WebSocketLimits,
    *,
    asking: Asking = "messages",
    lane: Lane | None = None,
    extensions: Sequence[Extension] = (),
) -> Told:
    """All that a driver is told of `received` and of the end of the stream behind it.

    Parameters:
      asking: for what; "at once" takes a plain message as it is received, "in turn" asks for messages after one read,
        and for fragments after the next.
    """
    with _standing(lane or Lane(is_open=True)):
        return list(_tell(WebSocketProtocol(limits, extensions), received, asking))


def _tell(protocol: WebSocketProtocol, received: Iterable[bytes], asking: Asking) -> Iterator[object]:
    within = False  # a message of which a fragment was given away: only fragments of it may be asked for
    for number, data in enumerate([*received, b""]):
        if asking != "at once":
            protocol.receive_data(data)
        elif (plain := protocol.receive_message(data)) is not None:
            yield Message(plain)
        by_fragments = asking == "fragments" or (asking == "in turn" and number % 2 == 1)
        event: Event | None = None
        while event is not NEED_DATA:
            try:
                event = protocol.next_fragment() if by_fragments or within else protocol.next_event()
            except WebSocketError as error:
                yield int(error.code), str(error)
                return
            yield event
            if event is CLOSED:
                return
            if isinstance(event, Fragment):
                within = not event.final


def _joined(events: Told) -> Told:
    """The same, with whole messages in the place of fragments."""
    whole: Told = []
    parts: Any = []
    for event in events:
        if isinstance(event, Fragment):
            parts.append(event.data)
            if event.final:
                whole.append(Message(parts[0][:0].join(parts)))
                parts.clear()
        else:
            whole.append(event)
    return whole


def _without_pauses(events: Told) -> Told:
    return [event for event in events if event is not NEED_DATA]


def _without_reason(events: Told) -> Told:
    return ["refused" if isinstance(event, tuple) else event for event in events]


def _differ(question: str, one: Told, other: Told) -> Iterator[str]:
    if repr(one) != repr(other):  # so that types show: a buffer is equal to its bytes
        yield f"{question}: {one} is not {other}"


# --- the questions ----------------------------------------------------------------------------------------------------


def disagreements(received: Sequence[bytes], limits: WebSocketLimits) -> Iterator[str]:
    """Where the lane, the cuts or the law make a difference; nothing if all is well."""
    closed = Lane(is_open=False)
    messages = told(received, limits)
    fragments = told(received, limits, asking="fragments")
    in_turn = told(received, limits, asking="in turn")
    yield from _differ("at once", messages, told(received, limits, asking="at once"))
    yield from _differ("without the lane", messages, told(received, limits, lane=closed))
    yield from _differ("without the lane", fragments, told(received, limits, asking="fragments", lane=closed))
    yield from _differ("the law", _as_the_law_has_it(fragments), list(_law(received, limits)))
    for parts in (fragments, in_turn):
        yield from _differ("in messages and in fragments", messages, _joined(parts))
        if any(isinstance(event, Fragment) and not event.data and not event.final for event in parts):
            yield f"a fragment that is empty, and not the last: {parts}"
    once = told([b"".join(received)], limits)
    yield from _differ("not cut at all", _without_pauses(messages), _without_pauses(once))


def deflate_disagreements(received: Sequence[bytes], limits: WebSocketLimits, terms: Deflate = ALONE) -> Iterator[str]:
    """Where compression was agreed upon and the cuts make a difference, or too much is allocated.

    Why something is refused may depend on the cuts: of a part that is too large and no UTF-8, only a beginning may
    have been inflated.
    """
    messages = told(received, limits, extensions=[DeflateExtension(limits, terms)])
    parts = told(received, limits, asking="fragments", extensions=[DeflateExtension(limits, terms)])
    yield from _differ("deflated, in messages and in fragments", messages, _joined(parts))
    at_once = [b"".join(received)]
    once = told(at_once, limits, extensions=[DeflateExtension(limits, terms)], lane=Lane(is_open=False))
    one, other = (_without_reason(_without_pauses(events)) for events in (messages, once))
    yield from _differ("deflated, not cut at all", one, other)
    if repr(messages) != repr(told(received, limits)):  # something was inflated
        most, peak = _may_be_allocated(received, limits), _is_allocated(received, limits, terms)
        if peak > most:
            yield f"{peak} octets are allocated, and {most} would be enough"


def written_disagreements(parts: Iterable[bytes]) -> Iterator[str]:
    """Where wsproto reads something else than was written.

    Parameters:
      parts: what is written.  The first octet of each tells how, as it does in a frame; the others are the payload.
    """
    parts = list(parts)
    yield from _written_otherwise(parts, None)
    yield from _written_otherwise(parts, ALONE)
    yield from _written_otherwise(parts, TAKEN_OVER)


def _written_otherwise(parts: Iterable[bytes], terms: Deflate | None) -> Iterator[str]:
    protocol = WebSocketProtocol(LIMITS, [] if terms is None else [DeflateExtension(LIMITS, terms)])
    client = FrameProtocol(client=True, extensions=[] if terms is None else [_deflate_of_wsproto(terms)])
    # wsproto does not inflate what comes after a control frame within a message.
    other = FrameProtocol(client=True, extensions=[])
    for octets, opcode, data, final in _written(protocol, parts, at_length=terms is None):
        reader = other if terms is not None and Opcode(opcode).iscontrol() else client
        reader.receive_bytes(octets)
        read = [(frame.opcode, frame.payload, frame.message_finished) for frame in reader.received_frames()]
        yield from _differ("read by wsproto", [(Opcode(opcode), data, final)], [*map(_without_names, read)])


# --- the law ----------------------------------------------------------------------------------------------------------


class _AgreedBounds(Bounds):
    def enabled(self) -> bool:
        return True


class _Law(FrameProtocol):
    """wsproto, which does not know 1014: that was registered later than the others."""

    def _process_close(self, frame: Frame) -> Frame:
        body = cast("bytes", frame.payload)
        if body[:2] != b"\x03\xf6":
            return super()._process_close(frame)
        read = super()._process_close(frame._replace(payload=b"\x03\xf5" + body[2:]))
        return read._replace(payload=(1014, cast("tuple[int, str]", read.payload)[1]))


def _law(received: Iterable[bytes], limits: WebSocketLimits) -> Iterator[object]:
    """What wsproto tells of `received` within our bounds."""
    protocol = _Law(client=False, extensions=[_AgreedBounds(limits)])
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
    except (ParseFailed, WebSocketError) as failure:
        yield int(failure.code)


def _as_the_law_has_it(events: Told) -> Told:
    """Of an error the code alone: the words are ours."""
    facts = [event for event in events if event is not NEED_DATA and event is not CLOSED]
    return [event[0] if isinstance(event, tuple) else event for event in facts]


# --- memory -----------------------------------------------------------------------------------------------------------


def _may_be_allocated(received: Sequence[bytes], limits: WebSocketLimits) -> int:
    # An inflater takes some 40 KiB and may be copied; a character of text takes up to four octets.
    return (3 << 15) + 8 * int(limits.max_message_size) + 8 * sum(map(len, received))


def _is_allocated(received: Sequence[bytes], limits: WebSocketLimits, terms: Deflate) -> int:
    protocol = WebSocketProtocol(limits, [DeflateExtension(limits, terms)])
    tracemalloc.start()
    try:
        for _ in _tell(protocol, received, "messages"):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- writing ----------------------------------------------------------------------------------------------------------

_Written = tuple[bytes, int, object, bool]
"""Octets, and what they are: opcode, payload, whether a message ends."""


def _written(protocol: WebSocketProtocol, parts: Iterable[bytes], *, at_length: bool) -> Iterator[_Written]:
    text: bool | None = None  # whether the message that was begun is text
    for part in parts:
        final, opcode, payload = part[0] >= 0x80, part[0] & 0x0F, part[1:]
        if at_length and part[0] & 0x10:  # a length that takes eight octets
            payload = (payload * (70_000 // max(len(payload), 1) + 1))[:70_000]
        match opcode:
            case Opcode.PING:
                yield protocol.send_ping(payload[:125]), opcode, payload[:125], True
            case Opcode.PONG:
                yield protocol.send_pong(payload[:125]), opcode, payload[:125], True
            case Opcode.CLOSE:
                code, reason = 3000 + len(payload) % 2000, payload[:123].decode(errors="ignore")
                yield protocol.send_close(code, reason), opcode, (code, reason), True
                return
            case _:
                within, text = text is not None, opcode == Opcode.TEXT if text is None else text
                kind = Opcode.TEXT if text else Opcode.BINARY
                data = payload.decode(errors="replace") if text else payload
                octets = protocol.send_fragment(data, final) if within or not final else protocol.send_message(data)
                text = None if final else text
                yield octets, kind, data, final


def _without_names(read: tuple[Opcode, Any, bool]) -> tuple[Opcode, Any, bool]:
    """A close code that has a name is a number of another type."""
    opcode, payload, final = read
    return (opcode, (int(payload[0]), payload[1]), final) if opcode is Opcode.CLOSE else read


def _deflate_of_wsproto(terms: Deflate) -> PerMessageDeflate:
    """Agreed upon as ours is."""
    extension = PerMessageDeflate(
        client_no_context_takeover=terms.client_no_context_takeover,
        server_no_context_takeover=terms.server_no_context_takeover,
    )
    extension.finalize("permessage-deflate")
    return extension

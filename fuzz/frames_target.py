"""Searches for WebSocket frames which the fast lane and the law read differently, guided by coverage.

    make fuzz                                          a minute, and another one for request heads
    make fuzz FUZZ="-max_total_time=600"               ten of them each; all options of libFuzzer
    python fuzz/frames_target.py [OPTION...] [CORPUS]  frames alone; see `searching`

It starts from the streams of `tests/written_frames.py` and `written_deflated.py`, and asks what
`tests/fuzz/test_frames_fuzz.py` asks: `disagreements` and its two sisters.  What it finds becomes a case of that test.

An input is a row of reads, each behind its size in two octets.  So the cuts are searched like everything else, and any
octets are an input: what a size is too large for is the last read.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from searching import atheris, search

with atheris.instrument_imports(include=["trioframe.ws", "wsproto"]):
    import frame_agreement
    from frame_agreement import ALONE, DEFLATED, LIMITS, SMALL, TAKEN_OVER

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_deflated import COMPRESSED, compressed_messages, deflated
from written_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    any_frames,
    frame,
    masked,
    reads,
    streams,
)


def ask(octets: bytes) -> bool:
    """Whether some message in `octets` takes the lane; raises if there is a disagreement."""
    received = list(taken_apart(octets))
    for limits in (LIMITS, SMALL):
        refuse(frame_agreement.disagreements(received, limits), received)
    for terms in (ALONE, TAKEN_OVER):
        refuse(frame_agreement.deflate_disagreements(received, DEFLATED, terms), received)
    refuse(frame_agreement.written_disagreements(received), received)
    return frame_agreement.takes_the_lane(received, LIMITS)


def refuse(disagreements: Iterable[str], received: list[bytes]) -> None:
    for disagreement in disagreements:
        raise AssertionError(f"{disagreement}, of {received}")


def taken_apart(octets: bytes) -> Iterator[bytes]:
    """The reads of an input; none is empty, which would be the end of the stream."""
    while len(octets) > 2:
        end = 2 + int.from_bytes(octets[:2])
        if end > 2:
            yield octets[2:end]
        octets = octets[end:]


def put_together(received: Iterable[bytes]) -> bytes:
    return b"".join(len(read).to_bytes(2) + read for read in received if read)


# --- how reads are changed --------------------------------------------------------------------------------------------


HELLO = deflated(b"Hello")
USUAL_FRAMES = [
    *(frame(TEXT, b"Hello"), frame(BINARY, b"\0\xff"), frame(TEXT), frame(BINARY, bytes(126)), frame(TEXT, b"a" * 125)),
    *(frame(TEXT, b"a\xc3", fin=False), frame(CONTINUATION, b"\xa9", fin=False), frame(CONTINUATION, b"b")),
    *(frame(BINARY, b"a", fin=False), frame(CONTINUATION), frame(PING, b"p"), frame(PONG), frame(CLOSE, b"\x03\xe8ok")),
    *(frame(TEXT, HELLO, reserved=COMPRESSED), frame(BINARY, HELLO[:3], fin=False, reserved=COMPRESSED)),
    *(frame(CONTINUATION, HELLO[3:]), frame(BINARY, deflated(bytes(5000)), reserved=COMPRESSED)),
]
ODD_OCTETS = b"\x00\x01\x02\x08\x7d\x7e\x7f\x80\x81\x82\x88\x89\x8a\xc1\xc2\xfd\xfe\xff"


def change(octets: bytes, max_size: int, seed: int) -> bytes:
    """As libFuzzer changes octets, or as little as leaves most frames what they are."""
    chance = random.Random(seed)
    received = list(taken_apart(octets)) or [chance.choice(USUAL_FRAMES)]
    place = chance.randrange(len(received))
    read = received[place]
    match chance.randrange(12):
        case 0:
            return bytes(atheris.Mutate(octets, max_size))
        case 1:
            received.insert(place, chance.choice(received))
        case 2 | 3:
            received.insert(place + chance.randrange(2), chance.choice(USUAL_FRAMES))
        case 4:
            del received[place]
        case 5 | 6:
            middle = chance.choice([chance.randint(0, len(read)), chance.randint(0, min(len(read), 15))])
            received[place : place + 1] = [read[:middle], read[middle:]]
        case 7:
            received[place : place + 2] = [b"".join(received[place : place + 2])]
        case 8:
            middle = chance.randrange(min(len(read), 15))  # most that can be odd is in the header
            received[place] = read[:middle] + bytes([chance.choice(ODD_OCTETS)]) + read[middle + 1 :]
        case 9:
            received[place] = bytes(atheris.Mutate(read, len(read) + 20))
        case _:
            received[place] = change_frame(read, chance)
    return put_together(read[:0xFFFF] for read in received)[:max_size]


def change_frame(read: bytes, chance: random.Random) -> bytes:
    """The payload beneath the mask, or what the first octet tells, of the frame that `read` begins with."""
    start = 8 if read[1:2] == b"\xfe" else 6
    size = int.from_bytes(read[2:4]) if start == 8 else read[1] & 0x7F if len(read) > 1 else 0
    key, payload = read[start - 4 : start], read[start : start + size]
    if len(key) < 4:
        return bytes(atheris.Mutate(read, len(read) + 20))
    payload = masked(payload, key)
    opcode, fin, reserved = read[0] & 0x0F, read[0] >= 0x80, read[0] >> 4 & 7
    match chance.randrange(8):
        case 0:
            fin = not fin
        case 1:
            opcode = chance.choice([CONTINUATION, TEXT, BINARY, PING, PONG])
        case 2:
            payload, reserved = deflated(payload), COMPRESSED
        case 3:
            key = chance.randbytes(4)
        case _:
            payload = bytes(atheris.Mutate(payload, len(payload) + 20))
    return frame(opcode, payload, fin=fin, reserved=reserved, key=key) + read[start + size :]


def seeds() -> Iterator[bytes]:
    """What clients send, and what they should not."""
    written: list[list[bytes]] = [[one, *USUAL_FRAMES[:2]] for one in USUAL_FRAMES]
    written.append([frame(BINARY, deflated(bytes(1 << 20)), reserved=COMPRESSED)])

    @settings(max_examples=300, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(reads(st.one_of(streams(), streams(any_frames), streams(compressed_messages()))))
    def write(received: list[bytes]) -> None:
        written.append(received)

    write()
    return map(put_together, written)


if __name__ == "__main__":
    search("streams", ask, change, seeds, "-max_len=2000")

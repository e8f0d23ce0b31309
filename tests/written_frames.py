"""Frames as a client writes them, and as it should not: for the tests of whatever reads them (RFC 6455 section 5.2)."""

from __future__ import annotations

import struct
from itertools import cycle

from hypothesis import strategies as st
from written_requests import cuts, pieces

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "any_frames",
    "frame",
    "header",
    "masked",
    "messages",
    "plain_frames",
    "reads",
    "streams",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = b"\x37\xfa\x21\x3d"  # of the examples in section 5.7


def header(opcode: int, size: int, *, fin: bool = True, reserved: int = 0, key: bytes | None = KEY) -> bytes:
    """What stands before a payload of `size` octets; without the mask bit if there is no key."""
    mask = 0 if key is None else 0x80
    first = fin << 7 | reserved << 4 | opcode
    if size <= 125:
        start = struct.pack("!BB", first, mask | size)
    elif size <= 0xFFFF:
        start = struct.pack("!BBH", first, mask | 126, size)
    else:
        start = struct.pack("!BBQ", first, mask | 127, size)
    return start + (key or b"")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, key: bytes | None = KEY) -> bytes:
    """A frame that has come whole."""
    return header(opcode, len(payload), fin=fin, reserved=reserved, key=key) + masked(payload, key or bytes(4))


def masked(payload: bytes, key: bytes) -> bytes:
    """As the RFC words it: octet by octet."""
    return bytes(octet ^ mask for octet, mask in zip(payload, cycle(key), strict=False))


keys = st.binary(min_size=4, max_size=4)
sizes = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 20, 125, 126, 127, 300])
binaries = st.one_of(
    st.binary(max_size=20), st.builds(lambda data, size: (data * size)[:size], st.binary(min_size=1), sizes)
)
texts = st.one_of(st.text(max_size=10), st.sampled_from(["", "κόσμε", "\U0010ffff", "a" * 125, "é" * 63])).map(
    str.encode
)

plain_frames = st.builds(
    lambda kind, key: frame(*kind, key=key),
    st.one_of(st.tuples(st.just(TEXT), texts), st.tuples(st.just(BINARY), binaries)),
    keys,
)
"""Messages of one frame."""

control_frames = st.builds(
    lambda opcode, payload, key: frame(opcode, payload, key=key),
    st.sampled_from([PING, PONG]),
    st.binary(max_size=125),
    keys,
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message in some fragments, cut anywhere, with control frames between them."""
    opcode, payload = draw(st.one_of(st.tuples(st.just(TEXT), texts), st.tuples(st.just(BINARY), binaries)))
    ends = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    octets, start = b"", 0
    for end in ends:
        octets += frame(opcode, payload[start:end], fin=False, key=draw(keys))
        octets += draw(st.one_of(st.just(b""), control_frames))
        opcode, start = CONTINUATION, end
    return octets + frame(opcode, payload[start:], key=draw(keys))


closes = st.builds(
    lambda code, reason: frame(CLOSE, struct.pack("!H", code) + reason),
    st.one_of(
        st.sampled_from([999, 1000, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000]), st.integers(0, 65535)
    ),
    st.one_of(texts, st.just(b"\xff")).map(lambda reason: reason[:123]),
) | st.sampled_from([frame(CLOSE), frame(CLOSE, b"\x03")])

odd_frames = st.builds(
    lambda opcode, payload, fin, reserved, key: frame(opcode, payload, fin=fin, reserved=reserved, key=key),
    st.integers(0, 15),
    st.one_of(binaries, texts),
    st.booleans(),
    st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
    st.one_of(keys, keys, keys, st.none()),
)

long_lengths = st.builds(
    lambda first, payload, key: (
        first + len(payload).to_bytes(2 if first[1] == 0xFE else 8) + key + masked(payload, key)
    ),
    st.sampled_from([b"\x81\xfe", b"\x82\xfe", b"\x82\xff"]),
    binaries,
    keys,
)
"""Frames whose length is written in more octets than it needs, most of them (RFC 6455 section 5.2)."""

any_frames = st.one_of(odd_frames, odd_frames, long_lengths)
"""Frames of any kind, most of them unlawful in some place."""


def streams(damage: st.SearchStrategy[bytes] | None = None) -> st.SearchStrategy[list[bytes]]:
    """What one client sends: messages one behind the other, most of them plain, and control frames.

    Parameters:
      damage: what else may stand among them.
    """
    parts = [plain_frames, plain_frames, plain_frames, plain_frames, messages(), control_frames]
    others = [closes] if damage is None else [closes, damage]
    return st.tuples(
        st.lists(st.one_of(*parts), max_size=6), st.lists(st.one_of(*others, *parts[:3]), min_size=1, max_size=4)
    ).map(lambda both: [*both[0], *both[1]])


@st.composite
def reads(draw: st.DrawFn, streams: st.SearchStrategy[list[bytes]]) -> list[bytes]:
    """A stream as it is received: part by part, all at once, or cut anywhere."""
    parts = draw(streams)
    how = draw(st.sampled_from(["part by part", "part by part", "at once", "cut"]))
    if how == "part by part":
        return [part for part in parts if part]
    octets = b"".join(parts)
    return list(pieces(octets, [100_000] if how == "at once" else draw(cuts)))

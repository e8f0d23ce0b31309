"""Compressed messages as a client writes them, for the tests of whatever reads them (RFC 7692)."""

from __future__ import annotations

import zlib

from hypothesis import strategies as st
from written_frames import BINARY, CONTINUATION, PING, TEXT, frame

__all__ = ["COMPRESSED", "compressed_messages", "deflated"]

COMPRESSED = 4  # the first of the reserved bits


def deflated(data: bytes) -> bytes:
    """As section 7.2.1 has it."""
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


@st.composite
def compressed_messages(draw: st.DrawFn) -> bytes:
    """One message, in one frame or in two with a ping between them; some are long, and some no UTF-8."""
    opcode, data = draw(
        st.one_of(
            st.tuples(st.just(TEXT), st.text(max_size=30).map(str.encode)),
            st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=30)),
        )
    )
    payload = deflated(data * draw(st.sampled_from([1, 3, 1000])))
    if draw(st.booleans()):
        return frame(opcode, payload, reserved=COMPRESSED)
    middle = draw(st.integers(0, len(payload)))
    begin = frame(opcode, payload[:middle], fin=False, reserved=COMPRESSED) + frame(PING, b"p")
    return begin + frame(CONTINUATION, payload[middle:])

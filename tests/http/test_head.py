"""The fast lane says yes only where the law says the same, and does say yes to what is plain."""

from __future__ import annotations

import random

import pytest
from corpora_reader import load
from hypothesis import given
from hypothesis import strategies as st

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.head import recognise
from trioframe.http.limits import H1Limits
from trioframe.http.strict import parse_head

LIMITS = H1Limits()

PLAIN = [
    b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    b"GET /hello/w%20rld?x=1&y=/?z HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\nContent-Type: a/json\r\nConnection: keep-alive\r\n\r\n",
    b"PUT //x? HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX_y: a  b\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\nX: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:32768\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost:60999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Same: 1\r\nX-Same: 2\r\n\r\n",
    b"DELETE /a;b,c HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\n\r\n",
]

# What is not plain, one step away from it; some of it is good and some is bad: h11 will tell.
DOUBTFUL = [
    b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?a#x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nAccept: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:  a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1234567890123456\r\n\r\n",
]


def law(block: bytes, limits: H1Limits = LIMITS) -> RequestHead | None:
    try:
        return parse_head(block, limits)
    except RemoteProtocolError:
        return None


def agrees(block: bytes, limits: H1Limits = LIMITS) -> bool:
    recognised = recognise(block, limits)
    return recognised is None or recognised == law(block, limits)


@pytest.mark.parametrize("block", PLAIN)
def test_a_plain_head_is_recognised_as_h11_would(block: bytes) -> None:
    recognised = recognise(block, LIMITS)
    assert recognised is not None
    assert recognised == law(block)


@pytest.mark.parametrize("block", DOUBTFUL)
def test_anything_else_is_left_to_h11(block: bytes) -> None:
    assert recognise(block, LIMITS) is None


@pytest.mark.parametrize("limits", [H1Limits(max_headers=1), H1Limits(max_target_size=5)], ids=["fields", "target"])
def test_what_is_beyond_a_limit_is_left_to_h11(limits: H1Limits) -> None:
    assert recognise(b"GET /12345 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", limits) is None


def test_the_corpora() -> None:
    seen = 0
    for case in load("http1"):
        for start in (0, case.octets.find(b"\r\n\r\n") + 4):
            end = case.octets.find(b"\r\n\r\n", start)
            if end > 0:
                seen += 1
                assert agrees(case.octets[start : end + 4]), case
    assert seen > 300


SPLINTERS = [bytes([octet]) for octet in range(256)] + [b"\r\n", b"\r\n ", b": ", b" ", b"\r\n\r\n", b"\r\nHost: b"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    block = draw(st.sampled_from(PLAIN + DOUBTFUL))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(block)))
        stop = min(len(block), start + draw(st.sampled_from([0, 0, 1, 1, 2, 10])))
        block = block[:start] + draw(st.sampled_from(SPLINTERS)) + block[stop:]
    end = block.find(b"\r\n\r\n")
    return block[: end + 4] if end > 0 else block + b"\r\n\r\n"


@given(damaged())
def test_damaged_heads(block: bytes) -> None:
    assert agrees(block)


def test_every_byte_at_every_place() -> None:
    chance = random.Random(1)
    for block in PLAIN:
        for place in range(len(block) - 4):
            for octet in (0x00, 0x09, 0x0A, 0x0D, 0x20, 0x23, 0x2C, 0x3A, 0x3F, 0x7F, 0x80, chance.randrange(256)):
                changed = block[:place] + bytes([octet]) + block[place + 1 :]
                inserted = block[:place] + bytes([octet]) + block[place:]
                assert agrees(changed[: changed.find(b"\r\n\r\n") + 4])
                assert agrees(inserted[: inserted.find(b"\r\n\r\n") + 4])

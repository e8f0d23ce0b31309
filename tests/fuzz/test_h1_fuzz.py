"""What no page of the corpora says in particular: properties of HTTP/1 reading that hold for any octets.

* What a client writes by the grammar is what we read, however it is cut.
* Of anything else we make the same, however it is cut; there is no exception but a refusal, and never more is kept than
  the limits allow (`converse` sees to both).
* h11 is the law: what we take, h11 takes, and reads the same in it.  The other way round does not hold: we refuse more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

import h11
import pytest
from corpora_reader import Case, load
from h1_transcript import Ended, Refused, State, Step, converse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trioframe.http.events import Data, EndOfMessage, RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits

CASES = load("http1")
SMALL = H1Limits(
    max_head_size=150, max_target_size=12, max_headers=3, max_chunk_overhead=40, max_trailer_size=60, max_leading_crlf=1
)

# The search is the same each time and starts from the corpora, so that a few examples are enough.
few = settings(max_examples=80)


# How octets are cut


cuts = st.lists(st.integers(1, 60), min_size=1, max_size=8)
"""Lengths of the pieces, taken in turn."""


def pieces(octets: bytes, lengths: list[int]) -> Iterator[bytes]:
    start = 0
    for length in cycle(lengths):
        if start >= len(octets):
            return
        yield octets[start : start + length]
        start += length


# What a client may write


TCHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PCHARS = "-._~!$&'()*+,;=:@/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SPOKEN_FOR = {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
NOT_IN_TRAILERS = {"authorization", "cookie", "range", "pragma"}

tokens = st.text(TCHARS, min_size=1, max_size=12).map(str.encode)
names = st.text(TCHARS, min_size=1, max_size=12).filter(lambda name: name.lower() not in SPOKEN_FOR | NOT_IN_TRAILERS)
values = st.text([chr(octet) for octet in (0x09, *range(0x20, 0x7F), *range(0x80, 0x100))], max_size=30)
blanks = st.text(" \t", max_size=3).map(str.encode)
fields = st.lists(
    st.tuples(names.map(str.encode), values.map(lambda value: value.strip(" \t").encode("latin-1")), blanks, blanks),
    max_size=5,
)
paths = st.lists(st.one_of(st.text(PCHARS, max_size=8), st.just("%2F"), st.just("%00")), max_size=4).map("".join)
queries = st.one_of(st.just(""), paths.map("?{}".format))
targets = st.builds(lambda path, query: f"/{path}{query}".encode(), paths, queries)
methods = st.one_of(st.sampled_from([b"GET", b"POST", b"HEAD"]), tokens.filter(lambda method: method != b"CONNECT"))
extensions = st.lists(
    st.one_of(
        st.builds(b";%b".__mod__, tokens),
        st.builds(lambda name, value: b";%b=%b" % (name, value), tokens, tokens),
        st.builds(lambda name: b';%b="\\" ;"' % name, tokens),
    ),
    max_size=2,
).map(b"".join)
chunks = st.lists(st.tuples(st.binary(min_size=1, max_size=40), extensions), max_size=5)

Fields = list[tuple[bytes, bytes, bytes, bytes]]


def lines(written: Fields) -> bytes:
    return b"".join(b"%b:%b%b%b\r\n" % (name, before, value, behind) for name, value, before, behind in written)


def plain(written: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value, _, _ in written]


@dataclass
class Request:
    """A request as its author sees it."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes | None = None
    chunks: list[tuple[bytes, bytes]] | None = None
    trailers: Fields = field(default_factory=list)

    def write(self) -> bytes:
        head = b"%b %b HTTP/1.1\r\nHost: a.example\r\n%b" % (self.method, self.target, lines(self.fields))
        if self.chunks is not None:
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + self.write_chunks()
        if self.body is not None:
            return head + b"Content-Length: %d\r\n\r\n%b" % (len(self.body), self.body)
        return head + b"\r\n"

    def write_chunks(self) -> bytes:
        assert self.chunks is not None
        written = b"".join(b"%x%b\r\n%b\r\n" % (len(data), extension, data) for data, extension in self.chunks)
        return b"%b0\r\n%b\r\n" % (written, lines(self.trailers))

    def check(self, head: Step, body: bytes, end: Step) -> None:
        """Whether this is what was read."""
        assert isinstance(head, RequestHead)
        assert isinstance(end, Ended)
        assert (head.method.encode(), head.target, head.authority) == (self.method, self.target, b"a.example")
        assert head.raw_path + (b"?" + head.query_string if b"?" in self.target else b"") == self.target
        assert list(head.headers[1:])[: len(self.fields)] == plain(self.fields)
        data = self.body or b"" if self.chunks is None else b"".join(data for data, _ in self.chunks)
        assert body == data
        assert head.content_length == (None if self.chunks is not None else len(data))
        assert end == Ended(EndOfMessage(tuple(plain(self.trailers))), closes=False)


requests = st.one_of(
    st.builds(Request, methods, targets, fields),
    st.builds(Request, methods, targets, fields, body=st.binary(max_size=100)),
    st.builds(Request, methods, targets, fields, chunks=chunks, trailers=fields),
)


@few
@given(written=st.lists(requests, min_size=1, max_size=3), lengths=cuts)
def test_what_is_written_is_what_is_read(written: list[Request], lengths: list[int]) -> None:
    octets = b"".join(request.write() for request in written)
    steps = converse(H1Connection(H1Limits()), pieces(octets, lengths))
    assert steps.pop() is State.IDLE
    read = iter(steps)
    for request in written:
        head, after = next(read), next(read)
        if isinstance(after, Data):
            request.check(head, after.data, next(read))
        else:
            request.check(head, b"", after)
    assert list(read) == []


# What anybody may send


HEADS = [case.octets for case in CASES if len(case.octets) < 300]
BODIES = [case.octets for case in CASES if case.page in ("chunked", "trailers") and len(case.octets) < 300]
SPLINTERS = [
    *(bytes([octet]) for octet in b'\r\n\t \0\x0b\x7f\x85\xff:,;="\\/?#*@[]%-+05f'),
    *(b"\r\n", b"\r\n\r\n", b" folded\r\n", b"0\r\n\r\n", b"5;a=b\r\nhello\r\n"),
    *(b"chunked", b"close", b"HTTP/1.0", b"HTTP/2.0", b"CONNECT ", b"OPTIONS ", b"http://b.example"),
    *(b"Host: b.example\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
]


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals with a few octets lost, doubled, replaced or put in."""
    octets = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(octets)))
        stop = min(len(octets), start + draw(st.sampled_from([0, 0, 1, 1, 2, 10])))
        middle = draw(st.one_of(st.sampled_from(SPLINTERS), st.binary(max_size=2), st.just(octets[start:stop] * 2)))
        octets = octets[:start] + middle + octets[stop:]
    return octets


anything = st.one_of(damaged(HEADS), damaged(BODIES), st.binary(max_size=60))


@few
@given(octets=anything, lengths=cuts, limits=st.sampled_from([H1Limits(), SMALL]), eof=st.booleans())
@example(octets=b"GET / HTTP/2.0\r\nHost: a\nb\r\n\r\n", lengths=[1], limits=H1Limits(), eof=False)
@example(octets=b"GET /\x01 HTTP/9.9\r\n\r\n", lengths=[1], limits=H1Limits(), eof=False)
@example(octets=b"GET / HTTP/1.1\r\nX: a\nY: %b\r\n\r\n" % (b"x" * 150), lengths=[1], limits=SMALL, eof=False)
@example(octets=b"GET /%b HTTP/1.1\nX: a\r\n\r\n" % (b"x" * 20), lengths=[1], limits=SMALL, eof=False)
def test_how_it_is_cut_makes_no_difference(octets: bytes, lengths: list[int], limits: H1Limits, eof: bool) -> None:
    whole = converse(H1Connection(limits), [octets], eof=eof)
    assert converse(H1Connection(limits), pieces(octets, lengths), eof=eof) == whole
    assert converse(H1Connection(limits), pieces(octets, [1]), eof=eof) == whole


# What h11 makes of it


@dataclass
class Reading:
    """One message as h11 reads it, as far as it comes."""

    request: h11.Request | None = None
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] | None = None
    closes: bool | None = None  # None while another protocol may follow
    refused: bool = False


def read_with_h11(octets: bytes) -> Reading:
    # Empty lines before a request, which h11 does not ignore, are not a question to h11.
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(octets) + 1)
    connection.receive_data(re.sub(rb"\A(?:\r\n)*", b"", octets))
    reading = Reading()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            reading.refused = True
            return reading
        if isinstance(event, h11.Request):
            reading.request = event
        elif isinstance(event, h11.Data):
            reading.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            reading.trailers = list(event.headers)
            reading.closes = {h11.DONE: False, h11.MUST_CLOSE: True}.get(connection.their_state)
            return reading
        else:
            return reading


# Where an RFC asks for more than h11 takes: whitespace before a chunk extension (RFC 9112 section 7.1.1).
BEYOND_H11 = re.compile(rb"^[0-9A-Fa-f]+[ \t]+;", re.MULTILINE)


def check_against_h11(octets: bytes) -> None:
    """What we take of the first message is what h11 takes; where we refuse, h11 may or may not."""
    head, *rest = converse(H1Connection(H1Limits()), [octets])
    if not isinstance(head, RequestHead):
        return
    theirs = read_with_h11(octets)
    assert theirs.request is not None
    assert head.method.encode() == theirs.request.method
    assert head.target == theirs.request.target
    assert head.headers == tuple(theirs.request.headers)
    body = rest.pop(0).data if isinstance(rest[0], Data) else b""
    if BEYOND_H11.search(octets):
        return
    match rest[0]:
        case Ended(message, closes):
            assert theirs.trailers == list(message.trailers)
            assert body == theirs.body
            # HTTP/1.0 is kept alive by us, if it asks, and never by h11.
            assert theirs.closes in (closes, None) or head.version == "1.0"
        case Refused():
            assert theirs.body.startswith(body)
        case _:
            assert (theirs.body, theirs.trailers, theirs.refused) == (body, None, False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_h11_reads_the_corpora_as_we_do(case: Case) -> None:
    check_against_h11(case.octets)


@few
@given(octets=damaged(HEADS))
def test_h11_reads_heads_as_we_do(octets: bytes) -> None:
    check_against_h11(octets)


@few
@given(octets=damaged(BODIES))
def test_h11_reads_chunks_as_we_do(octets: bytes) -> None:
    check_against_h11(octets)


@few
@given(written=st.builds(Request, methods, targets, fields, chunks=chunks, trailers=fields))
def test_h11_reads_what_is_written_as_we_do(written: Request) -> None:
    check_against_h11(written.write())

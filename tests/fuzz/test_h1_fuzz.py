"""What no page of the corpora says in particular: properties of HTTP/1 reading that hold for any octets.

* What a client writes by the grammar is what we read, however it is cut.
* Of anything else we make the same, however it is cut; there is no exception but a refusal, and never more is kept than
  the limits allow (`converse` sees to both).
* h11 is the law: what we take, h11 takes, and reads the same in it.  The other way round does not hold: we refuse more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11
import pytest
from corpora_reader import Case, load
from damage import damaged
from h1_transcript import Ended, Refused, State, Step, converse
from head_agreement import SMALL
from hypothesis import example, given, settings
from hypothesis import strategies as st
from written_requests import Fields, Request, chunked_requests, cuts, pieces, requests

from trioframe.http.events import Data, EndOfMessage, RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits

CASES = load("http1")

# The search is the same each time and starts from the corpora, so that a few examples are enough.
few = settings(max_examples=80)


# What a client may write


def plain(written: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value, _, _ in written]


def check(request: Request, head: Step, body: bytes, end: Step) -> None:
    """Whether `request` is what was read."""
    assert isinstance(head, RequestHead)
    assert isinstance(end, Ended)
    assert (head.method.encode(), head.target, head.authority) == (request.method, request.target, b"a.example")
    assert head.raw_path + (b"?" + head.query_string if b"?" in request.target else b"") == request.target
    assert list(head.headers[1:])[: len(request.fields)] == plain(request.fields)
    data = request.body or b"" if request.chunks is None else b"".join(data for data, _ in request.chunks)
    assert body == data
    assert head.content_length == (None if request.chunks is not None else len(data))
    assert end == Ended(EndOfMessage(tuple(plain(request.trailers))), closes=False)


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
            check(request, head, after.data, next(read))
        else:
            check(request, head, b"", after)
    assert list(read) == []


# What anybody may send


SHORT = [case for case in CASES if len(case.octets) < 300]
HEADS = st.sampled_from([case.octets for case in SHORT])
BODIES = st.sampled_from([case.octets for case in SHORT if case.page in ("chunked", "trailers")])
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
@given(written=chunked_requests)
def test_h11_reads_what_is_written_as_we_do(written: Request) -> None:
    check_against_h11(written.write())

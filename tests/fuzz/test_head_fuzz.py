"""The differential proof of the fast lane: where it says yes, the law says the same.

Heads are written by the grammar - plain ones, and lawful ones that take every liberty - and then damaged in all the
ways that could make two readers differ.  Of each, the lane and the law are asked (`head_agreement`).

A proof that never hears a yes proves nothing.  So each way of writing heads has a least share that must take the lane;
the shares are about half of what they were when this was written.

The last part asks at the front door: a whole connection, with the lane and without it, is given the same stream of
messages in the same pieces.  Nobody may be able to tell which of the two it was: not by the events, nor by the errors,
nor by a byte that is answered.  `fuzz/head_target.py` searches for the same disagreements without an end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import damage
import pytest
from corpora_reader import CORPORA, load
from head_agreement import SMALL, agrees, block_of, facts, is_lawful, takes_the_lane
from hypothesis import given, settings
from hypothesis import strategies as st
from written_requests import cuts, lawful_heads, pieces, plain_heads, plain_requests, requests

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import CLOSED, NEED_DATA, EndOfMessage, Event, RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.head import recognise
from trioframe.http.limits import H1Limits
from trioframe.http.response_state import State

CASES = [case for path in CORPORA.iterdir() if path.is_dir() for case in load(path.name)]
LIMITS = H1Limits()


# --- the corpora ------------------------------------------------------------------------------------------------------


def heads_in(octets: bytes) -> Iterator[bytes]:
    """`octets` as far as the first empty line, and what stands before each of the others."""
    yield block_of(octets)
    start = 0
    while (end := octets.find(b"\r\n\r\n", start)) >= 0:
        yield octets[start : end + 4]
        start = end + 4


CORPUS_HEADS = sorted({head for case in CASES for head in heads_in(case.octets)})


def test_the_corpora() -> None:
    for head in CORPUS_HEADS:
        assert agrees(head, LIMITS)
        assert agrees(head, SMALL)
    assert sum(takes_the_lane(head, LIMITS) for head in CORPUS_HEADS) > 50


# --- heads ------------------------------------------------------------------------------------------------------------

PLAIN = plain_heads()
LAWFUL = lawful_heads()
READY_MADE = st.sampled_from([head for head in CORPUS_HEADS if len(head) < 300])
ANY = st.one_of(PLAIN, LAWFUL, READY_MADE)

# What is written, within which limits, and how much of it takes the lane at the least.
WRITTEN: dict[str, tuple[st.SearchStrategy[bytes], H1Limits, float]] = {
    "plain": (PLAIN, LIMITS, 1.0),
    "lawful": (LAWFUL, LIMITS, 0.25),
    "damaged": (damage.damaged(PLAIN), LIMITS, 0.05),
    "damaged, lawful or from the corpora": (damage.damaged(st.one_of(LAWFUL, READY_MADE)), LIMITS, 0.01),
    "an odd octet": (damage.with_odd_octet(PLAIN), LIMITS, 0.04),
    "lines": (damage.with_changed_lines(ANY), LIMITS, 0.05),
    "case": (damage.with_changed_case(ANY), LIMITS, 0.1),
    "spliced": (damage.with_spliced_heads(ANY), LIMITS, 0.1),
    "blanks": (damage.with_blanks(PLAIN), LIMITS, 0.02),
    "odd meaning": (damage.with_odd_meaning(PLAIN), LIMITS, 0.08),
    "doubled meaning": (damage.with_doubled_meaning(PLAIN), LIMITS, 0.0),  # the law alone knows what is doubled
    "at the limits": (damage.at_the_limits(PLAIN, LIMITS), LIMITS, 0.3),
    "at small limits": (damage.at_the_limits(PLAIN, SMALL), SMALL, 0.05),
}


@pytest.mark.parametrize(("written", "limits", "least"), WRITTEN.values(), ids=WRITTEN)
def test_the_lane_says_what_the_law_says(written: st.SearchStrategy[bytes], limits: H1Limits, least: float) -> None:
    taken: Counter[bool] = Counter()

    @settings(max_examples=200)
    @given(written)
    def compare(octets: bytes) -> None:
        block = block_of(octets)
        assert agrees(block, limits)
        taken[takes_the_lane(block, limits)] += 1

    compare()
    assert taken[True] >= least * taken.total()


@pytest.mark.parametrize(("name", "values"), damage.MEANINGS.items(), ids=damage.MEANINGS)
def test_every_meaning_alone_and_twice(name: bytes, values: list[bytes]) -> None:
    others = b"" if name == b"Host" else b"Host: a\r\n"
    for one, other in product(values, [None, *values]):
        lines = b"".join(b"%b: %b\r\n" % (name, value) for value in (one, other) if value is not None)
        assert agrees(b"POST / HTTP/1.1\r\n%b%b\r\n" % (others, lines), LIMITS)


@given(LAWFUL)
def test_what_is_lawful_is_taken_by_the_law(head: bytes) -> None:
    """So that the lane was asked what it could have been asked."""
    assert is_lawful(head, LIMITS)


# --- time -------------------------------------------------------------------------------------------------------------

PLACES = {
    "method": b"%b / HTTP/1.1\r\nHost: a\r\n\r\n",
    "target": b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n",
    "version": b"GET / HTTP/1.1%b\r\nHost: a\r\n\r\n",
    "fields": b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n",
    "value": b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n",
    "host": b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n",
    "length": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\n",
    "connection": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n",
}
FILLINGS = [
    b"a",
    b"0",
    b" ",
    b"a ",
    b":",
    b"a:",
    b"a: ",
    b": ",
    b"a\r\n",
    b"a: a\r\n",
    b"a:\r\n",
    b"a: \r\n",
    b"/?",
    b"a,",
]
ENDS = [b"", b"\0", b" ", b":", b"\r\nHost: a"]
SIZE = 100_000  # bytes; far more than a head may have
MOMENT = 2.0  # seconds of CPU; the lane needs milliseconds, and where it went over the bytes again and again, a minute


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("filling", FILLINGS, ids=repr)
def test_no_head_takes_the_lane_long(place: bytes, filling: bytes) -> None:
    """Each byte is looked at a few times, whatever stands before and behind it."""
    limits = H1Limits(max_head_size=2 * SIZE, max_target_size=2 * SIZE, max_headers=SIZE)
    for end in ENDS:
        block = place % (filling * (SIZE // len(filling)) + end)
        began = time.process_time()
        recognise(block, limits)
        assert time.process_time() - began < MOMENT


# --- the front door ---------------------------------------------------------------------------------------------------

messages = st.one_of(
    plain_requests(), plain_requests(), requests.map(lambda request: request.write()), LAWFUL, READY_MADE
)
streams = st.builds(
    lambda messages, times: b"".join(messages) * times,
    st.lists(st.one_of(messages, messages, damage.damaged(messages)), min_size=1, max_size=5),
    st.sampled_from([1, 1, 1, 40]),
)
"""Messages one behind the other; some of them damaged, after which everything is possible."""


@dataclass(frozen=True)
class Head:
    facts: str


Answer = Callable[[H1Connection], Iterator[Any]]


def whole(connection: H1Connection) -> Iterator[Any]:
    yield connection.send_response(200, [(b"x", b"y")], b"whole")


def streamed(connection: H1Connection) -> Iterator[Any]:
    yield connection.send_head(200, [], content_length=None)
    yield connection.send_data(b"streamed")
    yield connection.send_end()


def last(connection: H1Connection) -> Iterator[Any]:
    yield connection.send_response(404, [], b"last", close=True)


answers = st.lists(st.sampled_from([whole, whole, streamed, last]), min_size=1, max_size=4)


def told(connection: H1Connection, received: Iterable[bytes], answers: list[Answer]) -> Iterator[Any]:
    """All that a driver is told by `connection`, and all that it has to send.

    Parameters:
      answers: how the requests are answered, in turn.
    """
    turn = cycle(answers)
    between = True  # two requests
    for data in received:
        event: Any = None
        while event is not NEED_DATA and event is not CLOSED:
            try:
                event = receive(connection, data, between) if event is None else connection.next_event()
            except RemoteProtocolError as error:
                yield type(error), error.status, str(error), connection.must_close
                if connection.response_state in (State.IDLE, State.AWAITED):
                    yield connection.send_response(error.status, [], b"refused", close=True)
                break
            yield Head(facts(event)) if isinstance(event, RequestHead) else event
            yield connection.must_close, connection.expects_continue, connection.body_complete, connection.announced
            between = between and event is NEED_DATA
            if isinstance(event, EndOfMessage):
                yield from next(turn)(connection)
                yield connection.must_close, connection.ends_with_close
                if connection.must_close:
                    break
                connection.start_next_cycle()
                between = True


def receive(connection: H1Connection, data: bytes, between: bool) -> Event:
    if between:
        return connection.receive_head(data)
    connection.receive_data(data)
    return connection.next_event()


def test_a_connection_is_the_same_without_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def lane(block: bytes, limits: H1Limits) -> RequestHead | None:
        head = recognise(block, limits)
        counts["plain heads"] += head is not None
        return head

    def no_lane(block: bytes, limits: H1Limits) -> None:
        counts["asked in vain"] += 1

    @settings(max_examples=200)
    @given(streams, st.one_of(cuts, st.just([100_000])), answers, st.sampled_from([LIMITS, LIMITS, SMALL]))
    def compare(octets: bytes, lengths: list[int], answers: list[Answer], limits: H1Limits) -> None:
        received = [*pieces(octets, lengths), b""]
        seen = []
        for recognise_ in (lane, no_lane):
            monkeypatch.setattr("trioframe.http.h1.recognise", recognise_)
            seen.append(list(told(H1Connection(limits, clock=epoch), received, answers)))
        assert seen[0] == seen[1]
        counts["heads"] += sum(isinstance(event, Head) for event in seen[0])

    compare()
    assert counts["asked in vain"] >= counts["heads"]
    assert counts["plain heads"] > 0.15 * counts["heads"] > 0


def epoch() -> float:
    return 0.0

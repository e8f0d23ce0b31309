"""What an `H1Connection` makes of what a peer sends, as a list that can be compared.

`converse` is the smallest driver there can be: it feeds pieces, asks for events until there are none, answers each
complete request and starts the next cycle.  Data that comes in several events is joined, so that the transcript of the
same octets is the same however they were cut.  On its way it checks what holds always: that a connection which refused
or closed stays so, and that little is kept while waiting.  `describe` spells a step as the pages of `tests/corpora` do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain

import pytest
from corpora_reader import encode

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    IncompleteMessage,
    RawHeaders,
    RequestHead,
)
from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits

__all__ = ["Ended", "Leftover", "Refused", "State", "Step", "converse", "cut", "describe"]


@dataclass(frozen=True)
class Ended:
    """The end of a message, and whether the connection ends with it."""

    message: EndOfMessage
    closes: bool


@dataclass(frozen=True)
class Refused:
    """The peer's fault."""

    status: int
    incomplete: bool


@dataclass(frozen=True)
class Leftover:
    """What was kept for the next protocol."""

    data: bytes


class State(Enum):
    """How a transcript ends when nothing was wrong."""

    IDLE = "idle"
    WAITING = "need data"
    CLOSED = "closed"


MOST_KEPT = max(H1Limits().max_head_size, H1Limits().max_trailer_size, H1Limits().max_chunk_overhead)
"""Octets that may be held while waiting: an incomplete head, chunk line or trailer section."""

Step = RequestHead | Data | Ended | Refused | Leftover | State


def cut(octets: bytes, seed: int) -> Iterator[bytes]:
    """`octets` in pieces of random length: for one seed the same, for some seeds all short, for others mostly long."""
    rng = random.Random(seed)
    longest = rng.choice((2, 7, 40, 3000))
    start = 0
    while start < len(octets):
        stop = start + rng.randint(1, longest)
        yield octets[start:stop]
        start = stop


def converse(
    connection: H1Connection,
    pieces: Iterable[bytes],
    *,
    eof: bool = False,
    answer: int = 200,
    switch: int | None = None,
) -> list[Step]:
    """The transcript of `pieces`.

    Parameters:
      eof: whether the peer ends its stream behind them.
      answer: the status each complete request is answered with.
      switch: answer the first complete request with this status instead, and leave HTTP.
    """
    steps: list[Step] = []
    body = bytearray()
    waiting = chain(filter(None, pieces), [b""] if eof else [])
    for piece in waiting:
        connection.receive_data(piece)
        for step in _ask(connection, answer, switch):
            if isinstance(step, Data):
                assert step.data, "an event that says nothing could be repeated for ever"
                body += step.data
                continue
            if body:
                steps.append(Data(bytes(body)))
                body.clear()
            steps.append(step)
        if steps and isinstance(steps[-1], Leftover):
            return [*steps[:-1], Leftover(steps[-1].data + b"".join(waiting))]
        if steps and isinstance(steps[-1], Refused):
            return steps
        if steps and steps[-1] is State.CLOSED:
            _check_stays_closed(connection, waiting)
            return steps
        assert connection.buffered <= MOST_KEPT
    if body:
        steps.append(Data(bytes(body)))
    between = not steps or isinstance(steps[-1], Ended)
    return [*steps, State.IDLE if between and not connection.buffered else State.WAITING]


def _ask(connection: H1Connection, answer: int, switch: int | None) -> Iterator[Step]:
    """All that can be said before more octets arrive."""
    while True:
        try:
            event = connection.next_event()
        except RemoteProtocolError as error:
            _check_stays_refused(connection, error)
            yield Refused(error.status, isinstance(error, IncompleteMessage))
            return
        if event is NEED_DATA:
            return
        if event is CLOSED:
            yield State.CLOSED
            return
        assert event is not PAUSED, "the request was answered and the next cycle started"
        if isinstance(event, (RequestHead, Data)):
            yield event
            continue
        assert isinstance(event, EndOfMessage)
        if switch is not None:
            assert connection.send_switch(switch, []).startswith(b"HTTP/1.1 %d " % switch)
            yield Ended(event, closes=True)
            yield Leftover(connection.leftover())
            return
        assert connection.send_response(answer, [], b"ok").startswith(b"HTTP/1.1 %d " % answer)
        yield Ended(event, connection.must_close)
        if not connection.must_close:
            connection.start_next_cycle()


def _check_stays_refused(connection: H1Connection, error: RemoteProtocolError) -> None:
    """Whoever asks again is told the same."""
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$") as again:
        connection.next_event()
    assert again.value.status == error.status


def _check_stays_closed(connection: H1Connection, waiting: Iterable[bytes]) -> None:
    """Whatever comes behind the end is ignored."""
    for piece in waiting:
        connection.receive_data(piece)
        assert connection.next_event() is CLOSED


def describe(step: Step) -> tuple[str, frozenset[str]]:
    """The line that stands for `step` in a block `events`, and all claims about it that are true."""
    match step:
        case RequestHead():
            return f"head {step.method} {encode(step.target)} {step.version}", frozenset(_facts_of_head(step))
        case Data():
            return f'data {len(step.data)} "{encode(step.data)}"', frozenset()
        case Ended():
            return "end", frozenset(_facts_of_end(step))
        case Refused():
            return f"error {step.status}", frozenset(["incomplete"] if step.incomplete else [])
        case Leftover():
            return f'leftover "{encode(step.data)}"', frozenset()
        case State():
            return step.value, frozenset()


def _facts_of_head(head: RequestHead) -> Iterator[str]:
    yield _fact("path", head.raw_path)
    yield _fact("query", head.query_string)
    yield _fact("authority", head.authority)
    yield _fact("upgrade", head.upgrade)
    yield "expects continue" if head.expect_continue else "no expectation"
    yield "length unknown" if head.content_length is None else f"length {head.content_length}"
    yield from _facts_of_fields("header", head.headers)


def _facts_of_end(end: Ended) -> Iterator[str]:
    yield "closes" if end.closes else "persists"
    yield from _facts_of_fields("trailer", end.message.trailers)


def _facts_of_fields(kind: str, fields: RawHeaders) -> Iterator[str]:
    yield f"{kind}s {len(fields)}" if fields else f"no {kind}s"
    for name, value in fields:
        yield f"{kind} {encode(name)}: {encode(value)}".rstrip()


def _fact(name: str, value: bytes) -> str:
    return f"{name} {encode(value)}" if value else f"no {name}"

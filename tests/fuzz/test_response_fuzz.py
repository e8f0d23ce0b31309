"""The differential proof of the fast lane of responses: it writes what would be written without it.

A connection that has been asked something answers twice, once with the lane and once without it; the bytes, what they
mean for the connection, and what is refused, must be the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioframe.errors import LocalProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits
from trioframe.http.response_plain import plain_response

Headers = Sequence[tuple[bytes, bytes]]

METHODS = [b"GET /", b"GET /", b"GET /", b"POST /", b"HEAD /", b"CONNECT a:1"]
VERSIONS = [b"1.1", b"1.1", b"1.1", b"1.1", b"1.0"]
FIELDS = [b"", b"", b"", b"", b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n"]

requests = st.builds(
    lambda method, version, field: b"%b HTTP/%b\r\nHost: a\r\nContent-Length: 5\r\n%b\r\n" % (method, version, field),
    *map(st.sampled_from, (METHODS, VERSIONS, FIELDS)),
)

TYPES = [b"text/plain", b"text/html; charset=utf-8", b"application/json", b"\xe9"]
ODD_VALUES = [b"", b" ", b"a\r\nb: c", b"a\nb", b"\0", b"5", b"close"]
OTHERS = [b"Content-Type", b"content-length", b"connection", b"date", b"x", b"transfer-encoding", b"content-type ", b""]

types = st.tuples(st.just(b"content-type"), st.sampled_from(TYPES))
others = st.tuples(st.sampled_from([b"content-type", *OTHERS]), st.sampled_from([*TYPES, *ODD_VALUES]))
headers = st.one_of(
    st.just(()),
    types.map(lambda field: (field,)),
    others.map(lambda field: (field,)),
    st.lists(st.one_of(types, others), max_size=3).map(tuple),
    st.lists(types, max_size=2),
)
statuses = st.sampled_from([*[200] * 12, 201, 404, 500, 199, 204, 206, 299, 304, 599, 600, 0, -1, 101])
closes = st.sampled_from([False, False, False, True])
reasons = st.sampled_from([*[None] * 6, "", "OK", "Fine", "a\r\nb: c"])


@dataclass(frozen=True)
class Response:
    status: int
    headers: Headers
    body: bytes
    close: bool
    reason: str | None


responses = st.builds(Response, statuses, headers, st.binary(max_size=9), closes, reasons)


def answered(request: bytes, whole: bool, response: Response) -> list[Any]:
    """What a connection answers to `request`, of which the body has come or not; and what this makes of it."""
    connection = H1Connection(H1Limits(), clock=lambda: 1e9)
    connection.receive_data(request + b"12345" * whole)
    assert isinstance(connection.next_event(), RequestHead)
    try:
        answer: Any = connection.send_response(
            response.status, response.headers, response.body, close=response.close, reason=response.reason
        )
    except LocalProtocolError as error:
        answer = str(error)
    return [answer, connection.must_close, connection.ends_with_close, connection.response_state]


def test_a_response_is_the_same_without_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: Counter[bool] = Counter()

    def lane(*args: Any) -> bytes | None:
        response = plain_response(*args)
        taken[response is not None] += 1
        return response

    def no_lane(*args: Any) -> None:
        pass

    @settings(max_examples=500)
    @given(requests, st.booleans(), responses)
    def compare(request: bytes, whole: bool, response: Response) -> None:
        seen = []
        for plain_response_ in (lane, no_lane):
            monkeypatch.setattr("trioframe.http.h1.plain_response", plain_response_)
            seen.append(answered(request, whole, response))
        assert seen[0] == seen[1]

    compare()
    assert taken[True] > 15

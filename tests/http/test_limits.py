"""A plain head that is short enough need not be measured: it is within every limit of a head, whatever these are.

That it is plain matters: its field lines have a blank and a value, so that it cannot have too many of them.  A head
that is only lawful may have lines like "a:", and is measured.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_requests import lawful_heads, plain_heads

from trioframe.http.events import RequestHead
from trioframe.http.head import recognise
from trioframe.http.limits import H1Limits
from trioframe.http.strict import parse_head

FAR = 10**6
GENEROUS = H1Limits(max_head_size=FAR, max_target_size=FAR, max_headers=FAR)
SHORTEST = b"a: b\r\n"  # the shortest field line of a plain head


def is_within(head: RequestHead, block: bytes, limits: H1Limits) -> bool:
    return (
        len(block) <= limits.max_head_size
        and len(head.target) <= limits.max_target_size
        and len(head.headers) <= limits.max_headers
    )


def field_lines(block: bytes) -> list[bytes]:
    return block[:-2].splitlines(keepends=True)[1:]


@st.composite
def limits_near(draw: st.DrawFn, block: bytes) -> H1Limits:
    """Limits that `block` just meets, or just does not; any of them may be far away, or far below."""

    def near(*sizes: int) -> int:
        size = draw(st.sampled_from(sizes))
        return draw(st.sampled_from([FAR, max(1, size + draw(st.integers(-2, 2))), draw(st.integers(1, 2 * size))]))

    return H1Limits(
        max_head_size=near(len(block)),
        max_target_size=near(len(block), len(block.split(b" ", 2)[1])),
        max_headers=near(len(field_lines(block)) or 1, len(block) // len(SHORTEST)),
    )


@st.composite
def short_lines(draw: st.DrawFn) -> bytes:
    """A head of nothing but the shortest lines: as many of them as so many bytes can hold."""
    line = draw(st.sampled_from([b"GET / HTTP/1.1\r\n", b"PUT /a?b HTTP/1.1\r\n"]))
    return line + b"Host: a\r\n" + SHORTEST * draw(st.integers(0, 200)) + b"\r\n"


heads = st.one_of(plain_heads(), lawful_heads(), short_lines())


@given(heads, st.data())
def test_a_head_that_is_harmless_is_within_all_limits(block: bytes, data: st.DataObject) -> None:
    limits = data.draw(limits_near(block))
    head = parse_head(block, GENEROUS)
    if len(block) <= limits.harmless_head_size and all(len(line) >= len(SHORTEST) for line in field_lines(block)):
        assert is_within(head, block, limits)


@given(heads, st.data())
def test_the_lane_takes_nothing_beyond_a_limit(block: bytes, data: st.DataObject) -> None:
    limits = data.draw(limits_near(block))
    recognised = recognise(block, limits)
    assert recognised is None or is_within(parse_head(block, GENEROUS), block, limits)


@given(heads, st.data())
def test_the_lane_takes_all_it_knows_that_is_within_them(block: bytes, data: st.DataObject) -> None:
    limits = data.draw(limits_near(block))
    if recognise(block, GENEROUS) is not None and is_within(parse_head(block, GENEROUS), block, limits):
        assert recognise(block, limits) is not None


def test_so_many_lines_and_no_more() -> None:
    """The densest head there is, beside a limit that it meets and one that it does not."""
    block = b"GET / HTTP/1.1\r\nHost: a\r\n" + SHORTEST * 99 + b"\r\n"
    assert recognise(block, H1Limits(max_headers=100)) is not None
    assert recognise(block, H1Limits(max_headers=99)) is None


@pytest.mark.parametrize("name", ["max_head_size", "max_target_size", "max_headers"])
def test_each_limit_of_a_head_bounds_what_is_harmless(name: str) -> None:
    usual = H1Limits()
    assert 0 < replace(usual, **{name: 10}).harmless_head_size < usual.harmless_head_size


def test_the_usual_limits_find_the_usual_head_harmless() -> None:
    """A browser sends some five hundred bytes, and twice as much with its cookies."""
    assert H1Limits().harmless_head_size >= 512

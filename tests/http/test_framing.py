"""Heads are cut out of the stream at the right place, at the same verdict however the bytes come, in linear time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from trioframe.errors import RemoteProtocolError
from trioframe.http.framing import EndFinder, HeadCutter
from trioframe.http.inbox import Inbox
from trioframe.http.limits import H1Limits

SMALL = H1Limits(max_head_size=120, max_target_size=20)
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def whole(octets: bytes) -> Iterable[bytes]:
    return [octets]


def bytewise(octets: bytes) -> Iterable[bytes]:
    return (octets[at : at + 1] for at in range(len(octets)))


in_any_pieces = pytest.mark.parametrize("pieces", [whole, bytewise])
Pieces = Callable[[bytes], Iterable[bytes]]


def cut(pieces: Iterable[bytes], limits: H1Limits = SMALL) -> list[bytes]:
    """All heads of a stream of nothing but heads, and last what is left."""
    cutter, inbox, heads = HeadCutter(limits), Inbox(), []
    for piece in pieces:
        inbox.append(piece)
        while head := cutter.cut(inbox):
            heads.append(head)
    return [*heads, bytes(inbox.data)]


@in_any_pieces
def test_a_head_ends_with_an_empty_line(pieces: Pieces) -> None:
    assert cut(pieces(HEAD)) == [HEAD, b""]
    assert cut(pieces(HEAD[:-1])) == [HEAD[:-1]]


@in_any_pieces
def test_one_head_behind_the_other(pieces: Pieces) -> None:
    other = b"POST /x HTTP/1.1\r\nHost: b\r\n\r\n"
    assert cut(pieces(HEAD + other + HEAD + b"GET")) == [HEAD, other, HEAD, b"GET"]


@in_any_pieces
def test_empty_lines_before_a_head_are_ignored_up_to_a_number(pieces: Pieces) -> None:
    assert cut(pieces(b"\r\n\r\n" + HEAD)) == [HEAD, b""]
    assert cut(pieces((b"\r\n\r\n" + HEAD) * 3)) == [HEAD, HEAD, HEAD, b""]
    with pytest.raises(RemoteProtocolError, match="too many empty lines"):
        cut(pieces(b"\r\n\r\n\r\n" + HEAD))


@in_any_pieces
@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\rHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\rGET / HTTP/1.1", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r", 505),
    ],
)
def test_what_cannot_become_a_head_is_refused_at_once(octets: bytes, status: int, pieces: Pieces) -> None:
    """A peer that speaks something else must not wait for our patience to end.  (Whole heads are judged elsewhere.)"""
    with pytest.raises(RemoteProtocolError) as caught:
        cut(pieces(octets))
    assert caught.value.status == status


@in_any_pieces
class TestSizes:
    def test_a_head_of_the_largest_size(self, pieces: Pieces) -> None:
        head = b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"x" * (120 - 23))
        assert len(head) == 120
        assert cut(pieces(head)) == [head, b""]

    @pytest.mark.parametrize("end", [b"", b"\r", b"\r\n\r\n", b"\n", b"\0"])
    def test_one_byte_more(self, end: bytes, pieces: Pieces) -> None:
        head = b"GET / HTTP/1.1\r\nX: %b" % (b"x" * (121 - 19))
        with pytest.raises(RemoteProtocolError, match="head larger than 120 bytes") as caught:
            cut(pieces(head + end))
        assert caught.value.status == 431

    @pytest.mark.parametrize("method", [b"A" * 33, b"A" * 33 + b" / HTTP/1.1\r\n", b"A" * 1000, b"A" * 33 + b"\n"])
    def test_a_method_without_end(self, method: bytes, pieces: Pieces) -> None:
        with pytest.raises(RemoteProtocolError, match="method longer than") as caught:
            cut(pieces(method))
        assert caught.value.status == 501

    @pytest.mark.parametrize("end", [b" HTTP/1.1\r\nHost: a\r\n", b"a" * 100, b"a" * 1000 + b"\n"])
    def test_a_target_that_is_too_long(self, end: bytes, pieces: Pieces) -> None:
        with pytest.raises(RemoteProtocolError, match="target longer than 20 bytes") as caught:
            cut(pieces(b"GET /%b" % (b"a" * 20) + end))
        assert caught.value.status == 414

    def test_a_version_that_is_too_long(self, pieces: Pieces) -> None:
        with pytest.raises(RemoteProtocolError, match="malformed request line"):
            cut(pieces(b"GET / HTTP/1.%b" % (b"1" * 60)))

    def test_the_longest_request_line(self, pieces: Pieces) -> None:
        head = b"%b /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"M" * 32, b"a" * 19)
        assert cut(pieces(head)) == [head, b""]

    def test_a_line_that_could_still_end_is_waited_for(self, pieces: Pieces) -> None:
        for line in (b"M" * 32, b"M" * 32 + b"\r", b"%b /%b HTTP/1.1\r" % (b"M" * 32, b"a" * 19)):
            assert cut(pieces(line)) == [line]

    def test_a_control_before_the_limit_counts_and_behind_it_does_not(self, pieces: Pieces) -> None:
        with pytest.raises(RemoteProtocolError, match="control"):
            cut(pieces(b"GET / HTTP/1.1\r\nX: \0%b" % (b"x" * 200)))
        with pytest.raises(RemoteProtocolError, match="control"):
            cut(pieces(b"GET /\0%b" % (b"x" * 200)))
        with pytest.raises(RemoteProtocolError, match="control"):
            cut(pieces(b"GET\0%b" % (b"x" * 200)))


class TestEndFinder:
    def test_it_finds_the_end_behind_a_start(self) -> None:
        finder = EndFinder(b"\r\n", 10)
        assert finder.find(b"ab\r\ncd\r\n", 4) == 8

    def test_an_end_beyond_the_limit_is_none(self) -> None:
        finder = EndFinder(b"\r\n", 4)
        assert finder.find(b"ab\r\n") == 4
        assert finder.find(b"abc\r\n") == 0
        assert finder.examine(b"abc\r\n")

    def test_every_byte_is_looked_at_once(self) -> None:
        """What was seen is not searched again, except where it may be the first half of the end."""
        finder = EndFinder(b"\r\n\r\n", 100)
        assert finder.find(b"a: b\r\n\r") == 0
        assert not finder.examine(b"a: b\r\n\r")
        assert finder.seen == 6
        assert finder.find(b"a: b\r\n\r\n") == 8
        assert finder.seen == 0

    def test_a_start_at_the_end_of_the_data(self) -> None:
        finder = EndFinder(b"\r\n", 100)
        assert finder.find(b"ab\r", 3) == 0
        assert not finder.examine(b"ab\r", 3)
        assert finder.seen == 0

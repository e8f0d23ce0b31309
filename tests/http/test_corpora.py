"""Every case of `tests/corpora/http1`, played whole, byte by byte, and cut at random places, with the same outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from corpora_reader import CORPORA, Case, CorpusError, decode, encode, load, read_page
from h1_transcript import Refused, State, Step, converse, cut, describe

from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits

CASES = [*read_page(CORPORA / "README.md"), *load("http1")]
every_case = pytest.mark.parametrize("case", CASES, ids=str)

SEEDS = (1, 2, 3, 4, 5)
LIMITS = {field.name for field in dataclasses.fields(H1Limits)}

REQUEST = b"GET /behind HTTP/1.1\r\nHost: a.example\r\n\r\n"
JUNK = (b"\0", b"\r\n", b"x: y\r\n\r\n", b"0\r\n\r\n", REQUEST)


def left(*states: str) -> list[Case]:
    """The cases that leave the connection in one of these states, other than by the end of the stream."""
    return [case for case in CASES if case.left in states and not case.eof]


def new_connection(case: Case) -> H1Connection:
    return H1Connection(H1Limits(**{name: size for name, size in case.settings.items() if name in LIMITS}))


def play(case: Case, pieces: Iterable[bytes], *, eof: bool | None = None) -> list[Step]:
    return converse(
        new_connection(case),
        pieces,
        eof=case.eof if eof is None else eof,
        answer=case.settings.get("answer", 200),
        switch=case.settings.get("switch"),
    )


def check(case: Case, steps: list[Step]) -> None:
    described = [describe(step) for step in steps]
    expected = [event.line for event in case.expected]
    lines = ["data any" if "data any" in expected and line.startswith("data") else line for line, _ in described]
    assert lines == expected, case.rule
    for event, (_, facts) in zip(case.expected, described, strict=True):
        assert facts.issuperset(event.claims), f"{event.line}: {case.rule}"


def bytewise(octets: bytes) -> Iterable[bytes]:
    return (octets[at : at + 1] for at in range(len(octets)))


class TestCases:
    """What must come out, however the octets come in."""

    @every_case
    def test_whole(self, case: Case) -> None:
        check(case, play(case, [case.octets]))

    @every_case
    def test_in_pieces(self, case: Case) -> None:
        check(case, play(case, bytewise(case.octets)))
        for seed in SEEDS:
            check(case, play(case, cut(case.octets, seed)))


@pytest.mark.parametrize("case", left("error", "closed"), ids=str)
def test_what_comes_behind_the_end_changes_nothing(case: Case) -> None:
    """Behind an error, and behind the last request of a connection, nothing is read (RFC 9112 section 9.6)."""
    steps = play(case, [case.octets])
    for junk in JUNK:
        assert play(case, [case.octets + junk]) == steps
        assert play(case, [case.octets, junk]) == steps


@pytest.mark.parametrize("case", left("idle"), ids=str)
def test_the_next_request_is_read_behind_a_complete_one(case: Case) -> None:
    """Where a message ends is where the next one begins (RFC 9112 section 9.3.2)."""
    followed = [describe(step)[0] for step in play(case, [case.octets + REQUEST])]
    assert followed == [event.line for event in case.expected[:-1]] + ["head GET /behind 1.1", "end", "idle"]


@pytest.mark.parametrize("case", left("idle"), ids=str)
def test_between_messages_the_end_of_the_stream_is_a_farewell(case: Case) -> None:
    *steps, last = play(case, [case.octets])
    assert last is State.IDLE
    assert play(case, [case.octets], eof=True) == [*steps, State.CLOSED]


@pytest.mark.parametrize("case", left("need"), ids=str)
def test_inside_a_message_the_end_of_the_stream_is_a_fault(case: Case) -> None:
    """What is incomplete must not be taken for the whole (RFC 9112 section 8)."""
    *steps, last = play(case, [case.octets])
    assert last is State.WAITING
    assert play(case, [case.octets], eof=True) == [*steps, Refused(400, incomplete=True)]


@pytest.mark.parametrize("case", left("error"), ids=str)
def test_a_refusal_can_be_answered(case: Case) -> None:
    """The status goes out in a complete response that ends the connection (RFC 9112 section 9.6)."""
    connection = new_connection(case)
    *_, last = converse(connection, [case.octets])
    assert isinstance(last, Refused)
    response = connection.send_response(last.status, [], b"no", close=True)
    assert response.startswith(b"HTTP/1.1 %d " % last.status)
    assert b"\r\nconnection: close\r\n" in response.lower()
    assert response.endswith(b"no")
    assert connection.must_close


class TestPages:
    """The corpora are as their README says."""

    def test_there_are_many(self) -> None:
        assert len(CASES) >= 150

    def test_titles_are_unique_on_a_page(self) -> None:
        names = [str(case) for case in CASES]
        assert sorted(set(names)) == sorted(names)

    def test_words_on_the_fence_are_known(self) -> None:
        words = {word.partition("=")[:2] for case in CASES for word in case.words}
        assert words <= {("eof", "")} | {(name, "=") for name in LIMITS | {"answer", "switch"}}


class TestReader:
    """The reader refuses what it does not understand, and says where."""

    PAGE = """\
# Title

## Case

A sentence (RFC 9112 section 3).

```http
GET / HTTP/1.1

```

```events
error 400
```
"""

    def read(self, tmp_path: Path, page: str) -> list[Case]:
        path = tmp_path / "page.md"
        path.write_text(page)
        return list(read_page(path))

    def test_a_case(self, tmp_path: Path) -> None:
        (case,) = self.read(tmp_path, self.PAGE)
        assert str(case) == "page: Case"
        assert case.rule == "A sentence (RFC 9112 section 3)."
        assert case.octets == b"GET / HTTP/1.1\r\n\r\n"
        assert [event.line for event in case.expected] == ["error 400"]
        assert not case.eof

    @pytest.mark.parametrize(
        ("good", "bad", "words"),
        [
            ("A sentence (RFC 9112 section 3).", "A sentence.", "no section of an RFC"),
            ("```events", "```event", "a case is"),
            ("error 400", "eror 400\nerror 400", "unknown event: eror 400"),
            ("error 400", "  incomplete", "begin with an event"),
            ("error 400", "end", "the state in which the connection is left"),
            ("error 400", "closed\nerror 400", "behind 'closed'"),
            ("error 400", 'data 4 "hello"\nerror 400', "5 octets of data, not 4"),
            ("error 400", 'data 1 "a"\ndata 1 "b"\nerror 400', "not joined"),
            ("GET /", r"GET \q", r"unknown escape \\q"),
            ("GET /", "GET /\xe9", "only ASCII"),
        ],
    )
    def test_a_slip(self, tmp_path: Path, good: str, bad: str, words: str) -> None:
        with pytest.raises(CorpusError, match=rf"page\.md:3: Case: .*{words}"):
            self.read(tmp_path, self.PAGE.replace(good, bad))

    @pytest.mark.parametrize(
        ("text", "octets"),
        [
            ("a\nb\n", b"a\r\nb\r\n"),
            ("a\\\nb\\\n", b"ab"),
            (r"\r\n\t\s\0\\", b"\r\n\t \0\\"),
            (r"\x00\x7f\xff\xFF", b"\x00\x7f\xff\xff"),
            (r"\(ab*3)c", b"abababc"),
            (r"\(a\r\n*2)", b"a\r\na\r\n"),
            (r"\((*2)\()*2)", b"(())"),
            (r"(a*3)", b"(a*3)"),
        ],
    )
    def test_escapes(self, text: str, octets: bytes) -> None:
        assert decode(text) == octets
        assert decode(encode(octets)) == octets

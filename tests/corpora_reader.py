"""Reads the pages of `tests/corpora`; `tests/corpora/README.md` is the definition of the format.

The reader is strict: a page that says something it does not understand is a `CorpusError` with file and line, so that
no case is ever silently weaker than it looks.  It knows the format only, and nothing of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORPORA", "Case", "CorpusError", "Expected", "decode", "encode", "load", "read_page"]

CORPORA = Path(__file__).parent / "corpora"

FENCE = "```"
SOURCE = re.compile(r"\(RFC \d{4} (?:section|appendix) [\w.]+")
EVENT = re.compile(r'head \S+ \S+ \d\.\d|data \d+ ".*"|data any|end|leftover ".*"|error \d{3}|closed|idle|need data')
REPEATED_LINES = re.compile(r"^\\\((.*?)\*(\d+)\)\\\n", re.MULTILINE)
LAST = ("error", "closed", "leftover", "idle", "need")

# One escape, or the end of a line.  The order matters: a repetition is tried before the single characters.
ESCAPE = re.compile(r"\\\((?P<text>.*?)\*(?P<times>\d+)\)|\\x(?P<octet>[0-9a-fA-F]{2})|\\(?P<letter>.|\n)|(?P<line>\n)")
LETTERS = {"r": "\r", "n": "\n", "t": "\t", "s": " ", "0": "\0", "\\": "\\", "\n": ""}
SPELLED = {octet: f"\\x{octet:02x}" for octet in (*range(0x20), *range(0x7F, 0x100))} | {
    ord(octet): f"\\{letter}" for letter, octet in LETTERS.items() if octet not in ("", " ")
}


class CorpusError(Exception):
    """A page does not keep to the format; the message begins with its place."""


@dataclass(frozen=True)
class Expected:
    """One line of a block `events` and the claims below it, in the spelling of `encode`."""

    line: str
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One heading of a page."""

    page: str
    title: str
    rule: str
    octets: bytes
    words: tuple[str, ...]
    expected: tuple[Expected, ...]

    @property
    def eof(self) -> bool:
        """Whether the peer ends its stream behind the octets."""
        return "eof" in self.words

    @property
    def left(self) -> str:
        """The state in which the connection is left: the first word of the last event."""
        return self.expected[-1].line.partition(" ")[0]

    @property
    def settings(self) -> dict[str, int]:
        """The words ``name=N``."""
        return {name: int(number) for name, _, number in (word.partition("=") for word in self.words if "=" in word)}

    def __str__(self) -> str:
        return f"{self.page}: {self.title}"


def decode(text: str) -> bytes:
    """The octets that `text` stands for; every line of it ends in CRLF."""

    def one(match: re.Match[str]) -> str:
        if match["line"]:
            return "\r\n"
        if match["times"]:
            return ESCAPE.sub(one, match["text"]) * int(match["times"])
        if match["octet"]:
            return chr(int(match["octet"], 16))
        if match["letter"] not in LETTERS:
            raise ValueError(f"unknown escape \\{match['letter']}")
        return LETTERS[match["letter"]]

    if not text.isascii():
        raise ValueError("only ASCII; write other octets as \\xNN")
    return ESCAPE.sub(one, text).encode("latin-1")


def encode(octets: bytes) -> str:
    """The one spelling of `octets` by which events are compared."""
    return octets.decode("latin-1").translate({**SPELLED, ord("\\"): "\\\\"})


def load(folder: str) -> list[Case]:
    """All cases of the pages in `folder`, in the order of the pages' names."""
    return [case for path in sorted((CORPORA / folder).glob("*.md")) for case in read_page(path)]


def read_page(path: Path) -> Iterator[Case]:
    """The cases of one page."""
    sections = re.split(r"^## (.*)\n", path.read_text("utf-8"), flags=re.MULTILINE)
    line = 1 + sections[0].count("\n")
    for title, body in zip(sections[1::2], sections[2::2], strict=True):
        try:
            yield _read_case(path.stem, title, body)
        except ValueError as error:
            raise CorpusError(f"{path.name}:{line}: {title}: {error}") from error
        line += 1 + body.count("\n")


def _read_case(page: str, title: str, body: str) -> Case:
    body = re.split(r"^# ", body, maxsplit=1, flags=re.MULTILINE)[0]
    match = re.fullmatch(r"\n(.+?)\n\n```http(.*?)\n(.*?)```\n\n```events\n(.*?)```\n*", body, re.DOTALL)
    if match is None or body.count(FENCE) != 4:
        raise ValueError("a case is a sentence, a block http, and a block events")
    rule, words, octets, events = match.groups()
    if not SOURCE.search(rule):
        raise ValueError("the sentence names no section of an RFC")
    return Case(page, title, rule, decode(octets), tuple(words.split()), tuple(_read_events(events)))


def _read_events(block: str) -> Iterator[Expected]:
    """Fold the claims into the lines they are about."""
    spread = REPEATED_LINES.sub(lambda match: match[1].replace(r"\n", "\n") * int(match[2]), block)
    lines = [encode(decode(line)) for line in spread.splitlines()]
    if not lines or lines[0].startswith(" ") or not lines[-1].startswith((" ", *LAST)):
        raise ValueError("the events begin with an event and end with the state in which the connection is left")
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("  "):
            found[-1][1].append(line[2:].rstrip())
        elif EVENT.fullmatch(line):
            _check(line, after=found[-1][0] if found else "")
            found.append((line, []))
        else:
            raise ValueError(f"unknown event: {line}")
    return (Expected(line, tuple(claims)) for line, claims in found)


def _check(line: str, after: str) -> None:
    """Refuse what could never be: the author slipped."""
    if after.startswith(LAST):
        raise ValueError(f"an event behind {after!r}")
    if match := re.match(r'data (\d+) "(.*)"', line):
        if after.startswith("data"):
            raise ValueError("data that is not joined")
        if len(decode(match[2])) != int(match[1]):
            raise ValueError(f"{len(decode(match[2]))} octets of data, not {match[1]}")

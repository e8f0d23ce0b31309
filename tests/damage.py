"""What may befall octets on their way, or come from somebody who means harm: strategies of damage to requests.

Each takes a strategy of what is to be damaged.  `damaged` knows octets only.  The others know what a head is made of,
and strike where two readers could come to differ: at the joints of a line, at the lines that have a meaning, at the
limits.
"""

from __future__ import annotations

import re

from hypothesis import strategies as st
from written_requests import MEANINGFUL

from trioframe.http.limits import H1Limits

__all__ = [
    "MEANINGS",
    "at_the_limits",
    "damaged",
    "with_blanks",
    "with_changed_case",
    "with_changed_lines",
    "with_doubled_meaning",
    "with_odd_meaning",
    "with_odd_octet",
    "with_spliced_heads",
]

Octets = st.SearchStrategy[bytes]

SPLINTERS = [
    *(bytes([octet]) for octet in b'\r\n\t \0\x0b\x7f\x85\xff:,;="\\/?#*@[]%-+05f'),
    *(b"\r\n", b"\r\n\r\n", b" folded\r\n", b"0\r\n\r\n", b"5;a=b\r\nhello\r\n"),
    *(b"chunked", b"close", b"HTTP/1.0", b"HTTP/2.0", b"CONNECT ", b"OPTIONS ", b"http://b.example"),
    *(b"Host: b.example\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
]


@st.composite
def damaged(draw: st.DrawFn, originals: Octets) -> bytes:
    """One of the originals with a few octets lost, doubled, replaced or put in."""
    octets = draw(originals)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(octets)))
        stop = min(len(octets), start + draw(st.sampled_from([0, 0, 1, 1, 2, 10])))
        middle = draw(st.one_of(st.sampled_from(SPLINTERS), st.binary(max_size=2), st.just(octets[start:stop] * 2)))
        octets = octets[:start] + middle + octets[stop:]
    return octets


# --- heads ------------------------------------------------------------------------------------------------------------


# Where classes of octets begin and end, or are thought to.
ODD_OCTETS = b'\0\t\n\x0b\x0c\r\x1c\x1f !"#%,/:;?@\\\x7f\x80\x85\xa0\xff'


@st.composite
def with_odd_octet(draw: st.DrawFn, heads: Octets) -> bytes:
    """One octet put in, or in the place of another: half the time in the request line."""
    line, fields = draw(heads).split(b"\r\n", 1)
    octet, over = bytes([draw(st.sampled_from(ODD_OCTETS))]), draw(st.booleans())
    if draw(st.booleans()):
        place = draw(st.integers(0, len(line)))
        line = line[:place] + octet + line[place + over :]
    else:
        place = draw(st.integers(0, len(fields) - 1))
        fields = fields[:place] + octet + fields[place + over :]
    return line + b"\r\n" + fields


@st.composite
def with_changed_lines(draw: st.DrawFn, heads: Octets) -> bytes:
    """Lines lost, doubled, exchanged, joined or broken in two."""
    lines = draw(heads).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 2))):
        one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from("lose double exchange join break".split())):
            case "lose":
                lines[one] = b""
            case "double":
                lines.insert(other, lines[one])
            case "exchange":
                lines[one], lines[other] = lines[other], lines[one]
            case "join":
                lines[one] = lines[one].removesuffix(b"\r\n") + draw(st.sampled_from([b"", b" ", b",", b"\r", b"\n"]))
            case "break":
                place = draw(st.integers(0, len(lines[one])))
                lines[one] = lines[one][:place] + b"\r\n" + lines[one][place:]
    return b"".join(lines)


@st.composite
def with_changed_case(draw: st.DrawFn, heads: Octets) -> bytes:
    """Small letters for capitals and the other way round, in one word or in all."""
    block = draw(heads)
    words = [match.span() for match in re.finditer(rb"[A-Za-z]+", block)]
    start, stop = draw(st.sampled_from([*words, (0, len(block))]))
    return block[:start] + block[start:stop].swapcase() + block[stop:]


@st.composite
def with_spliced_heads(draw: st.DrawFn, heads: Octets) -> bytes:
    """The beginning of one head and the end of another; cut where a line ends, or anywhere."""
    front, back = draw(heads), draw(heads)
    if draw(st.booleans()):
        return front[: _line_end(draw, front)] + back[_line_end(draw, back) :]
    return front[: draw(st.integers(0, len(front)))] + back[draw(st.integers(0, len(back))) :]


def _line_end(draw: st.DrawFn, block: bytes) -> int:
    return draw(st.sampled_from([match.end() for match in re.finditer(rb"\r\n", block)]))


# To some reader each of these is a blank, or the end of a line.
BLANKS = [
    b" ",
    b" ",
    b"  ",
    b"\t",
    b" \t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n ",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x85",
    b"\xa0",
    b"\0",
]
JOINTS = re.compile(rb"(?=[ :\r\n/?,])|(?<=[ :\r\n/?,])")


@st.composite
def with_blanks(draw: st.DrawFn, heads: Octets) -> bytes:
    """Something like a blank where two parts of a line meet."""
    block = draw(heads)
    place = draw(st.sampled_from([match.start() for match in JOINTS.finditer(block)]))
    return block[:place] + draw(st.sampled_from(BLANKS)) + block[place:]


# Values of the fields that have a meaning: the usual, the unusual, and what only looks like them.
USUAL = {
    b"Host": [b"a", b"a.example:1234"],
    b"Content-Length": [b"0", b"5"],
    b"Connection": [b"close", b"keep-alive"],
    b"Transfer-Encoding": [b"chunked"],
    b"Upgrade": [b"websocket"],
    b"Expect": [b"100-continue"],
}
UNUSUAL = {
    b"Host": b"a:0 a:12345 a:59999 a:64999 a:65000 a:65535 a:65536 a:00080 a: : :80 a:b a:-1"
    b" [::1] [::1 [v1.x] a,b a/b u@a a%41 a%4 a_b -",
    b"Content-Length": b"00 05 +5 -5 5.0 5e1 0x5 5_0 5,5 5,6 , %b %b5 %b %b"
    % (b"9" * 15, b"0" * 15, b"9" * 16, b"9" * 21),
    b"Connection": b"Close Keep-Alive KEEP-ALIVE keep-alive,close close,x upgrade te x , clos closed close;",
    b"Transfer-Encoding": b"Chunked CHUNKED identity gzip gzip,chunked chunked,chunked chunked;a chunke ,chunked x",
    b"Upgrade": b"h2c WebSocket websocket,x , /",
    b"Expect": b"100-Continue 100-continue,100-continue 200-ok 100-continu ,",
}
ODD = [b"\xb2", b"\xd9\xa3", b"5 5", b"a b", b"", b"5;", b'"5"', b"5\t"]  # digits to some, words to others


MEANINGS = {name: [*USUAL[name], *UNUSUAL[name].split(), *ODD] for name in MEANINGFUL}


@st.composite
def meaningful_lines(draw: st.DrawFn, name: bytes) -> bytes:
    value = draw(st.one_of(st.sampled_from(USUAL[name]), st.sampled_from(MEANINGS[name])))
    return b"%b: %b" % (draw(st.sampled_from([name, name, name.lower(), name.upper()])), value)


@st.composite
def with_odd_meaning(draw: st.DrawFn, heads: Octets) -> bytes:
    """One field that has a meaning in place of those of that name."""
    line, *fields = draw(heads).split(b"\r\n")[:-2]
    name = draw(st.sampled_from(MEANINGFUL))
    kept = [field for field in fields if field.partition(b":")[0].lower() != name.lower()]
    kept.insert(draw(st.integers(0, len(kept))), draw(meaningful_lines(name)))
    return b"\r\n".join([line, *kept, b"", b""])


@st.composite
def with_doubled_meaning(draw: st.DrawFn, heads: Octets) -> bytes:
    """Two or three fields of one name that has a meaning, whatever is there already."""
    line, *fields = draw(heads).split(b"\r\n")[:-2]
    for odd in draw(st.sampled_from(MEANINGFUL).flatmap(several_meaningful_lines)):
        fields.insert(draw(st.integers(0, len(fields))), odd)
    return b"\r\n".join([line, *fields, b"", b""])


def several_meaningful_lines(name: bytes) -> st.SearchStrategy[list[bytes]]:
    usual = st.sampled_from(USUAL[name]).map(lambda value: b"%b: %b" % (name, value))
    return st.lists(st.one_of(usual, meaningful_lines(name)), min_size=2, max_size=3)


@st.composite
def at_the_limits(draw: st.DrawFn, heads: Octets, limits: H1Limits) -> bytes:
    """As long, or of as many lines, as is allowed: exactly, or one less or more."""
    line, rest = draw(heads).split(b"\r\n", 1)
    step = draw(st.sampled_from([-1, 0, 1]))
    match draw(st.sampled_from("method target lines name value".split())):
        case "method":  # how long one may be, no limit of the configuration says
            line = b"M" * (32 + step) + b" " + line.partition(b" ")[2]
        case "target":
            method, target, version = line.split(b" ", 2)
            target += b"x" * (limits.max_target_size + step - len(target))
            line = b" ".join([method, target, version])
        case "lines":
            missing = limits.max_headers + step - rest.count(b"\r\n") + 1
            rest = b"x: y\r\n" * missing + rest  # the shortest there can be
        case "name":
            rest = b"X" * (limits.max_head_size + step - len(line) - len(rest) - 6) + b": y\r\n" + rest
        case "value":
            rest = b"X: " + b"y" * (limits.max_head_size + step - len(line) - len(rest) - 7) + b"\r\n" + rest
    return line + b"\r\n" + rest

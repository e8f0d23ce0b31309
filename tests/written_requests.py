"""Requests as their authors write them: strategies of the grammar of HTTP/1, for whoever has to read it.

Three kinds:

* *plain* heads, as nearly all clients write them; the fast lane should know them all;
* *lawful* heads, which take every liberty that the RFCs leave and that we allow: any token, blanks around values,
  octets beyond ASCII, all forms of a target, both versions, repeated fields, every field with a meaning for the
  connection;
* whole requests, with bodies by length and in chunks.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "MEANINGFUL",
    "Fields",
    "Request",
    "chunked_requests",
    "cuts",
    "lawful_heads",
    "lines",
    "pieces",
    "plain_heads",
    "plain_requests",
    "requests",
    "tokens",
]

# --- how octets are cut -----------------------------------------------------------------------------------------------

cuts = st.lists(st.integers(1, 60), min_size=1, max_size=8)
"""Lengths of the pieces, taken in turn."""


def pieces(octets: bytes, lengths: list[int]) -> Iterator[bytes]:
    start = 0
    for length in cycle(lengths):
        if start >= len(octets):
            return
        yield octets[start : start + length]
        start += length


# --- tokens, fields, targets ------------------------------------------------------------------------------------------

ALPHANUMERIC = string.digits + string.ascii_letters
TCHARS = "!#$%&'*+-.^_`|~" + ALPHANUMERIC
PCHARS = "-._~!$&'()*+,;=:@/" + ALPHANUMERIC
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

MEANINGFUL = (b"Host", b"Content-Length", b"Connection", b"Transfer-Encoding", b"Upgrade", b"Expect")
"""The fields that say something of the connection or of where the message ends."""

SPOKEN_FOR = {name.decode().lower() for name in MEANINGFUL} | {"te", "trailer"}
NOT_IN_TRAILERS = {"authorization", "cookie", "range", "pragma"}

Fields = list[tuple[bytes, bytes, bytes, bytes]]
"""Names and values, and the blanks before and behind each value."""


def is_free(name: str) -> bool:
    """Whether a field of that name says nothing that we act upon."""
    return name.lower() not in SPOKEN_FOR | NOT_IN_TRAILERS


tokens = st.text(TCHARS, min_size=1, max_size=12).map(str.encode)
names = st.text(TCHARS, min_size=1, max_size=12).filter(is_free).map(str.encode)
values = st.text([chr(octet) for octet in (0x09, *range(0x20, 0x7F), *range(0x80, 0x100))], max_size=30).map(
    lambda value: value.strip(" \t").encode("latin-1")
)
blanks = st.text(" \t", max_size=3).map(str.encode)
fields = st.lists(st.tuples(names, values, blanks, blanks), max_size=5)

paths = st.lists(st.one_of(st.text(PCHARS, max_size=8), st.just("%2F"), st.just("%00")), max_size=4).map("".join)
queries = st.one_of(st.just(""), paths.map("?{}".format))
targets = st.builds(lambda path, query: f"/{path}{query}".encode(), paths, queries)
methods = st.one_of(st.sampled_from([b"GET", b"POST", b"HEAD"]), tokens.filter(lambda method: method != b"CONNECT"))


def lines(written: Fields) -> bytes:
    return b"".join(b"%b:%b%b%b\r\n" % (name, before, value, behind) for name, value, before, behind in written)


# --- plain heads ------------------------------------------------------------------------------------------------------

PLAIN_METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"]
FAMILIAR = [b"User-Agent", b"Accept", b"accept-encoding", b"COOKIE", b"X-Request-ID", b"x_y", b"If-None-Match", b"0"]

plain_names = st.one_of(
    st.sampled_from(FAMILIAR), st.text("-_" + ALPHANUMERIC, min_size=1, max_size=12).filter(is_free).map(str.encode)
)
plain_values = st.one_of(
    st.sampled_from([b"Mozilla/5.0 (X11; Linux x86_64) A/1", b"a=1; b=2", b"text/html, */*;q=0.8", b"x  y", b"-"]),
    st.text(VISIBLE + " ", min_size=1, max_size=30).map(lambda value: value.strip(" ").encode()).filter(bool),
)
plain_fields = st.lists(
    st.builds(b"%b: %b\r\n".__mod__, st.tuples(plain_names, plain_values)),
    max_size=6,
    unique_by=lambda line: line.partition(b":")[0].lower(),
)
plain_hosts = st.one_of(
    st.sampled_from([b"a.example", b"localhost:8000", b"127.0.0.1", b"A-b_c.example:54321"]),
    st.text("._-" + ALPHANUMERIC, min_size=1, max_size=12).map(str.encode),
)
# No fragment; "?" anywhere in a query.
plain_targets = st.builds(
    lambda path, query: f"/{path}{query}".encode(),
    st.text(VISIBLE.translate({ord("#"): None, ord("?"): None}), max_size=12),
    st.one_of(st.just(""), st.text(VISIBLE.replace("#", ""), max_size=12).map("?{}".format)),
)
PERSISTENCE = (b"keep-alive", b"Keep-Alive", b"close")
plain_connections = st.sampled_from(
    [b"%bonnection: %b\r\n" % (c, value) for c in (b"C", b"c") for value in PERSISTENCE]
)


@st.composite
def plain_heads(draw: st.DrawFn, framing: bytes | None = None) -> bytes:
    """A head as nearly all clients write it.

    Parameters:
      framing: the field line that tells the length of the body; by default there may be one, of any length.
    """
    written = draw(plain_fields)
    if framing is None:
        length = st.builds(b"Content-Length: %d\r\n".__mod__, st.integers(0, 10**15 - 1))
        framing = draw(st.one_of(st.just(b""), length))
    connection = draw(st.one_of(st.just(b""), plain_connections))
    host = draw(st.sampled_from([b"Host: %b\r\n", b"host: %b\r\n"])) % draw(plain_hosts)
    block = draw(st.permutations([line for line in (*written, framing, connection, host) if line]))
    line = b"%b %b HTTP/1.1\r\n" % (draw(st.sampled_from(PLAIN_METHODS)), draw(plain_targets))
    return b"%b%b\r\n" % (line, b"".join(block))


# --- lawful heads -----------------------------------------------------------------------------------------------------

HOSTS = [b"a.example:65535", b"[::1]:80", b"[v1.x:y]", b"a!$&'()*+;=~%7E", b"a:", b"a:00080", b"."]
CONNECTIONS = [
    b"Connection: %b\r\n" % value
    for value in (b"keep-alive", b"close", b"Close", b"keep-alive, close", b"x, ,TE", b",", b"upgrade, x")
]
FRAMINGS = [
    *(b"Content-Length: %b\r\n" % value for value in (b"0", b"00007", b"7, 7", b"9" * 15, b"9" * 16, b"9" * 20)),
    *(b"Transfer-Encoding: %b\r\n" % value for value in (b"chunked", b"Chunked", b" \tchunked\t")),
    b"content-length: 7\r\nContent-Length:7\r\n",
]
EXPECTATIONS = [b"Expect: 100-continue\r\n", b"expect: 100-Continue\r\n", b"Expect: ,\r\n"]
UPGRADES = [b"Upgrade: websocket\r\n", b"upgrade: h2c, X/1\r\n", b"Upgrade: ,\r\n"]
FORMS = [
    *((b"GET", target) for target in (b"http://b.example", b"HTTPS://b.example:1/a?b", b"http://[::1]/", b"/?")),
    *((b"OPTIONS", target) for target in (b"*", b"http://b.example", b"/*")),
    *((b"CONNECT", target) for target in (b"b.example:443", b"[::1]:1")),
]

odd_request_lines = st.one_of(st.tuples(methods, targets), st.sampled_from(FORMS))
odd_fields = st.one_of(
    fields.map(lambda written: [lines([one]) for one in written]), st.sampled_from(FRAMINGS).map(lambda line: [line])
)
odd_options = st.lists(st.sampled_from([*CONNECTIONS, *EXPECTATIONS, *UPGRADES]), min_size=1, max_size=3)
repeated_fields = st.lists(st.sampled_from([b"X: a\r\n", b"x: b\r\n", b"y: c\r\n", b"Cookie: a=1\r\n"]), max_size=4)


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> Any:
    """One out of four is odd: a head that is odd in all ways at once is like every other."""
    return draw(odd if draw(st.integers(1, 4)) == 4 else usual)


@st.composite
def lawful_heads(draw: st.DrawFn) -> bytes:
    """A head that takes the liberties which the RFCs leave."""
    method, target = draw(mostly(st.tuples(st.sampled_from(PLAIN_METHODS), plain_targets), odd_request_lines))
    version = draw(mostly(st.just(b"1.1"), st.sampled_from([b"1.1", b"1.9", b"1.0"])))
    host = draw(mostly(plain_hosts, st.sampled_from(HOSTS)))
    before, behind = draw(mostly(st.just((b" ", b"")), st.tuples(blanks, blanks)))
    written = [b"Host:%b%b%b\r\n" % (before, host, behind)]
    written += draw(mostly(st.one_of(plain_fields, repeated_fields), odd_fields))
    written += draw(mostly(st.just([]), odd_options))
    if version == b"1.0":  # there we take no chunks
        written = [line for line in written if not line.startswith(b"Transfer")]
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, b"".join(draw(st.permutations(written))))


# --- whole requests ---------------------------------------------------------------------------------------------------

extensions = st.lists(
    st.one_of(
        st.builds(b";%b".__mod__, tokens),
        st.builds(lambda name, value: b";%b=%b" % (name, value), tokens, tokens),
        st.builds(lambda name: b';%b="\\" ;"' % name, tokens),
    ),
    max_size=2,
).map(b"".join)
chunks = st.lists(st.tuples(st.binary(min_size=1, max_size=40), extensions), max_size=5)


def write_chunks(chunks: list[tuple[bytes, bytes]], trailers: Fields) -> bytes:
    written = b"".join(b"%x%b\r\n%b\r\n" % (len(data), extension, data) for data, extension in chunks)
    return b"%b0\r\n%b\r\n" % (written, lines(trailers))


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
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + write_chunks(self.chunks, self.trailers)
        if self.body is not None:
            return head + b"Content-Length: %d\r\n\r\n%b" % (len(self.body), self.body)
        return head + b"\r\n"


chunked_requests = st.builds(Request, methods, targets, fields, chunks=chunks, trailers=fields)
requests = st.one_of(
    st.builds(Request, methods, targets, fields),
    st.builds(Request, methods, targets, fields, body=st.binary(max_size=100)),
    chunked_requests,
)


@st.composite
def plain_requests(draw: st.DrawFn) -> bytes:
    """A plain head, and the body that it announces."""
    body = draw(st.one_of(st.none(), st.binary(max_size=100), chunks))
    if body is None:
        return draw(plain_heads(framing=b""))
    if isinstance(body, bytes):
        return draw(plain_heads(framing=b"Content-Length: %d\r\n" % len(body))) + body
    return draw(plain_heads(framing=b"Transfer-Encoding: chunked\r\n")) + write_chunks(body, draw(fields))

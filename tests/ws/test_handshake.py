"""The opening handshake: what is accepted, what is refused and how, and that no octets can do worse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from corpora_reader import CORPORA, decode
from hypothesis import given
from hypothesis import strategies as st
from written_requests import tokens
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.extensions import PerMessageDeflate

from trioframe.errors import Forbidden, HTTPError, LocalProtocolError, reason_phrase
from trioframe.http.events import RawHeaders, RequestHead
from trioframe.http.h1 import H1Connection
from trioframe.http.limits import H1Limits
from trioframe.http.strict import parse_head
from trioframe.ws.handshake import (
    Extension,
    Offer,
    Origin,
    accept,
    check_origin,
    choose_subprotocol,
    is_subprotocol,
    read_offer,
    read_origin,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TOKEN = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
OFFER = Offer(KEY)


def request(*more: tuple[bytes, bytes]) -> RequestHead:
    """A request that opens a WebSocket, with these lines beside the usual ones or in their place."""
    names = {name for name, _ in more}
    usual = (
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", KEY.encode()),
    )
    headers = (*(line for line in usual if line[0] not in names), *more)
    return RequestHead("GET", b"/", b"/", b"", b"a.example", headers, "1.1", 0, False, b"websocket")


# --- the page ---------------------------------------------------------------------------------------------------------

CASE = re.compile(
    r"^## (?P<title>[^\n]+)\n\n(?P<rule>[^\n]+)\n\n```http\n(?P<http>.*?)```\n\n```answer\n(?P<answer>.*?)```$",
    re.DOTALL | re.MULTILINE,
)
PAGE = (CORPORA / "websocket_handshake.md").read_text("utf-8")


class Case(NamedTuple):
    title: str
    rule: str
    octets: bytes
    answer: list[str]

    def __str__(self) -> str:
        return self.title


CASES = [
    Case(match["title"], match["rule"], decode(match["http"]), match["answer"].splitlines())
    for match in CASE.finditer(PAGE)
]


def origins(*texts: str) -> frozenset[Origin]:
    return frozenset(filter(None, map(read_origin, texts)))


def answer_to(head: RequestHead) -> Iterator[str]:
    """What the server of the page answers, line by line."""
    try:
        offer = read_offer(head)
        check_origin(offer, origins("https://a.example", "http://localhost:8000"))
        headers = accept(offer, subprotocol=choose_subprotocol(offer, ["v2.chat.example", "v1"]))
    except HTTPError as error:
        yield f"{error.status} {error.message}"
        yield from (f"{name}: {value}" for name, value in error.headers.items())
    else:
        yield f"101 {reason_phrase(101)}"
        yield from (f"{name.decode()}: {value.decode()}" for name, value in headers)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_page(case: Case) -> None:
    assert list(answer_to(parse_head(case.octets, H1Limits()))) == case.answer, case.rule


def test_the_whole_page_is_read() -> None:
    titles = [case.title for case in CASES]
    assert titles == re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert len(set(titles)) == len(titles) > 50
    assert all(re.search(r"\(RFC \d{4} section [\d.]+", case.rule) for case in CASES)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_an_offer_has_all_that_was_sent() -> None:
    head = request(
        (b"origin", b"https://a.example"),
        (b"sec-websocket-protocol", b"v2, v1"),
        (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits; server_max_window_bits=10"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    )
    assert read_offer(head) == Offer(
        key=KEY,
        subprotocols=("v2", "v1"),
        extensions=(
            Extension("permessage-deflate", (("client_max_window_bits", None), ("server_max_window_bits", "10"))),
            Extension("permessage-deflate"),
        ),
        origin="https://a.example",
    )


def test_an_offer_may_be_of_nothing_but_a_websocket() -> None:
    assert read_offer(request()) == Offer(KEY, (), (), None)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"x; a", None),
        (b"x; a=1", "1"),
        (b"x;a=1", "1"),
        (b"x \t; a\t = \t1 ", "1"),
        (b'x; a="1"', "1"),
        (b'x; a="1\\2\\3"', "123"),
        (b'x; a="\\1"', "1"),
    ],
)
def test_the_value_of_a_parameter(written: bytes, value: str | None) -> None:
    assert read_offer(request((b"sec-websocket-extensions", written))).extensions == (Extension("x", (("a", value),)),)


def test_a_parameter_that_repeats_is_for_the_extension_to_judge() -> None:
    """RFC 7692 section 7.1 has the offer declined, not the handshake."""
    [extension] = read_offer(request((b"sec-websocket-extensions", b"x; a=1; a; a=1"))).extensions
    assert extension.parameters == (("a", "1"), ("a", None), ("a", "1"))


names = tokens.map(bytes.decode)
extensions = st.builds(Extension, names, st.lists(st.tuples(names, st.none() | names), max_size=3).map(tuple))


@given(st.lists(extensions, min_size=1, max_size=3))
def test_extensions_are_read_as_they_are_written(written: list[Extension]) -> None:
    offer = Offer(KEY, extensions=tuple(written))
    line = accept(offer, extensions=written)[-1]
    assert read_offer(request(line)) == offer


FIELDS = [b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions"]
octets = st.binary(max_size=30) | st.lists(st.sampled_from(b'ab,;= \t"\\\xe9\x00')).map(bytes)
lines = st.tuples(st.sampled_from([*FIELDS, b"sec-websocket-accept", b"origin", b"upgrade"]), octets)


@given(st.lists(lines, min_size=1, max_size=4))
def test_whatever_comes_there_is_an_answer(sent: list[tuple[bytes, bytes]]) -> None:
    """Octets above ASCII in these fields, and quotes and commas in the wrong place, have felled servers."""
    answer = list(answer_to(request(*sent)))
    assert answer[0][:3] in {"101", "400", "403", "426"}
    assert "".join(answer).isascii()


@pytest.mark.parametrize("name", FIELDS)
@given(value=octets)
def test_whatever_comes_in_one_field(name: bytes, value: bytes) -> None:
    [status, *_] = answer_to(request((name, value)))
    assert status[:3] in {"101", "426" if name == b"sec-websocket-version" else "400"}


# --- judging ----------------------------------------------------------------------------------------------------------


def may_come_from(origin: str | None, allowed: list[str] | None) -> bool:
    try:
        check_origin(OFFER._replace(origin=origin), None if allowed is None else origins(*allowed))
    except Forbidden:
        return False
    return True


class TestOrigin:
    def test_none_allows_all(self) -> None:
        assert may_come_from("https://evil.example", None)
        assert may_come_from("null", None)
        assert may_come_from("\xff", None)

    def test_no_list_allows_no_page(self) -> None:
        assert not may_come_from("https://a.example", [])

    def test_who_sends_none_is_no_browser(self) -> None:
        assert may_come_from(None, [])
        assert may_come_from(None, ["https://a.example"])

    @pytest.mark.parametrize(
        ("origin", "allowed"),
        [
            ("https://a.example", "https://a.example"),
            ("https://a.example", "https://A.EXAMPLE:443"),
            ("http://a.example:80", "http://a.example"),
            ("http://[2001:db8::1]:8000", "http://[2001:DB8::1]:8000"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ],
    )
    def test_the_same_in_another_spelling(self, origin: str, allowed: str) -> None:
        assert may_come_from(origin, ["http://b.example", allowed])

    @pytest.mark.parametrize("port", ["80", "8443", "0"])
    def test_another_port(self, port: str) -> None:
        assert not may_come_from(f"https://a.example:{port}", ["https://a.example"])


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        (["a", "b"], ["b", "a"], "b"),
        (["a", "b"], ["c", "b"], "b"),
        (["a"], ["A"], None),
        (["a"], [], None),
        ([], ["a"], None),
    ],
)
def test_the_server_chooses_the_subprotocol(offered: list[str], supported: list[str], chosen: str | None) -> None:
    assert choose_subprotocol(Offer(KEY, subprotocols=tuple(offered)), supported) == chosen


# --- what an application declares -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://a.example", True),
        ("HTTP://A.example:8000", True),
        ("http://[::1]:80", True),
        ("app+x://host", True),
        ("null", False),
        ("*", False),
        ("", False),
        ("a.example", False),
        ("https://a.example/", False),
        ("https://a.example/path", False),
        ("https://a.example:port", False),
        ("https://*.a.example", False),
        ("https://a.example https://b.example", False),
    ],
)
def test_what_is_an_origin(text: str, is_one: bool) -> None:
    assert (read_origin(text) is not None) is is_one
    if is_one:
        assert may_come_from(text, [text])


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *((text, True) for text in ("chat", "v2.chat.example", "!#$%&'*+-.^_`|~", "0")),
        *((text, False) for text in ("", "a b", "a,b", "caf\u00e9", "a/b", "a\n", '"a"')),
    ],
)
def test_what_is_a_subprotocol(text: str, is_one: bool) -> None:
    assert is_subprotocol(text) is is_one


@given(tokens)
def test_a_token_is_a_subprotocol(token: str | bytes) -> None:
    assert is_subprotocol(token if isinstance(token, str) else token.decode("ascii"))


# --- accepting --------------------------------------------------------------------------------------------------------

DEFLATE = Extension("permessage-deflate", (("server_no_context_takeover", None), ("server_max_window_bits", "10")))


def test_an_answer_to_all_that_was_offered() -> None:
    offer = Offer(KEY, ("v2", "v1"), (Extension("permessage-deflate"), Extension("x")))
    answer = accept(
        offer,
        subprotocol="v1",
        extensions=[Extension("x"), DEFLATE],
        headers=[(b"Set-Cookie", b"a=b"), (b"set-cookie", b"c=d")],
    )
    assert answer == (
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", TOKEN),
        (b"sec-websocket-protocol", b"v1"),
        (
            b"sec-websocket-extensions",
            b"x, permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        ),
        (b"set-cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: accept(OFFER, subprotocol="v1"), "the client did not offer the subprotocol 'v1'"),
        (lambda: accept(OFFER, subprotocol=""), "the client did not offer the subprotocol ''"),
        (lambda: accept(OFFER, extensions=[DEFLATE]), "the client did not offer the extension 'permessage-deflate'"),
        (lambda: accept(OFFER, headers=[(b"a b", b"c")]), "illegal header name"),
    ],
)
def test_an_answer_that_cannot_be_given(answer: Callable[[], RawHeaders], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        answer()


@pytest.mark.parametrize(
    "name",
    "Connection UPGRADE Sec-WebSocket-Accept Sec-WebSocket-Protocol Sec-WebSocket-Extensions Sec-WebSocket-X".split(),
)
def test_what_belongs_to_the_handshake(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{name.lower()} is set by the handshake"):
        accept(OFFER, headers=[(name.encode(), b"x")])


def test_the_answer_as_it_is_sent() -> None:
    """Also to a client that would have taken another protocol first."""
    made = H1Connection(H1Limits(), clock=lambda: 784123200)
    head = made.receive_head(
        b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n\r\n"
    )
    assert isinstance(head, RequestHead)
    assert made.send_switch(101, accept(read_offer(head), headers=[(b"X", b"y")])) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"upgrade: websocket\r\nsec-websocket-accept: " + TOKEN + b"\r\nx: y\r\n"
        b"Connection: Upgrade\r\nDate: Sun, 06 Nov 1994 12:00:00 GMT\r\n\r\n"
    )


def test_a_client_understands_the_answer() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    deflate = PerMessageDeflate()
    made = H1Connection(H1Limits())
    head = made.receive_head(client.send(Request("a.example", "/", extensions=[deflate], subprotocols=["v2", "v1"])))
    assert isinstance(head, RequestHead)
    offer = read_offer(head)
    client.receive_data(
        made.send_switch(101, accept(offer, subprotocol="v1", extensions=[Extension("permessage-deflate")]))
    )
    [event] = client.events()
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "v1"
    assert event.extensions == [deflate]
    assert deflate.enabled()

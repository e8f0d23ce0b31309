"""The chunked coding: exactly its grammar, in any pieces, with bounded framing (RFC 9112 section 7.1)."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioframe.errors import LocalProtocolError, RemoteProtocolError
from trioframe.http.chunked import ChunkedDecoder, encode_chunk, encode_last_chunk
from trioframe.http.events import Data, EndOfMessage
from trioframe.http.inbox import Inbox
from trioframe.http.limits import H1Limits


class Peer:
    """A decoder and the inbox it reads from."""

    def __init__(self, **limits: int) -> None:
        self.decoder = ChunkedDecoder(H1Limits(**limits))
        self.inbox = Inbox()

    def sends(self, octets: bytes) -> list[Data | EndOfMessage]:
        self.inbox.append(octets)
        events: list[Data | EndOfMessage] = []
        while not (events and isinstance(events[-1], EndOfMessage)):
            event = self.decoder.next_event(self.inbox)
            if event is None:
                break
            events.append(event)
        return events


def refusal(octets: bytes, **limits: int) -> tuple[int, str]:
    """The refusal of `octets`, which is the same when they come one by one."""
    with pytest.raises(RemoteProtocolError) as whole:
        Peer(**limits).sends(octets)
    peer = Peer(**limits)
    with pytest.raises(RemoteProtocolError) as bytewise:
        for octet in octets:
            peer.sends(bytes([octet]))
    assert bytewise.value.status == whole.value.status
    return whole.value.status, str(whole.value)


def test_all_chunks_that_are_here_are_one_piece_of_data() -> None:
    assert Peer().sends(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n") == [Data(b"hello world"), EndOfMessage()]


def test_data_is_given_as_it_comes() -> None:
    peer = Peer()
    assert peer.sends(b"A\r\nhel") == [Data(b"hel")]
    assert peer.sends(b"lo") == [Data(b"lo")]
    assert peer.sends(b"12345\r") == [Data(b"12345")]
    assert peer.sends(b"\n") == []
    assert peer.sends(b"0\r\n\r") == []
    assert peer.sends(b"\n") == [EndOfMessage()]


def test_data_in_one_piece_is_not_copied() -> None:
    peer = Peer()
    assert peer.sends(b"400000\r\n") == []
    read = b"x" * 65536
    (event,) = peer.sends(read)
    assert isinstance(event, Data)
    assert event.data is read


def test_what_follows_the_end_stays_in_the_inbox() -> None:
    peer = Peer()
    assert peer.sends(b"0\r\n\r\nGET / HTTP/1.1\r\n") == [EndOfMessage()]
    assert peer.inbox.data == b"GET / HTTP/1.1\r\n"


def test_what_is_announced_is_known_before_it_comes() -> None:
    peer = Peer()
    peer.sends(b"5\r\nhello\r\nffffffffffffffff\r\n")
    assert peer.decoder.announced == 5 + 2**64 - 1
    assert len(peer.inbox) == 0


def test_good_data_before_a_fault_is_given() -> None:
    peer = Peer()
    peer.inbox.append(b"5\r\nhello\r\nx\r\n")
    assert peer.decoder.next_event(peer.inbox) == Data(b"hello")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="malformed chunk size line"):
            peer.decoder.next_event(peer.inbox)
    assert peer.decoder.announced == 5


class TestSizeLines:
    @pytest.mark.parametrize("size", [b"5", b"05", b"0000000000000005"])
    @pytest.mark.parametrize(
        "extension",
        [
            b"",
            b";a",
            b";a=b",
            b" ; a\t= b",
            b";a;b=c;d",
            b';a="b;\\"c\\\\ \t\xe9"',
            b';a="";b=""',
            b";!#$%&'*+-.^_`|~=0",
        ],
    )
    def test_good(self, size: bytes, extension: bytes) -> None:
        octets = size + extension + b"\r\nhello\r\n0%b\r\n\r\n" % extension
        assert Peer().sends(octets) == [Data(b"hello"), EndOfMessage()]

    @pytest.mark.parametrize(
        "line",
        [
            *(
                b"",
                b" ",
                b"5 ",
                b" 5",
                b"5\t",
                b"0 5",
                b"+5",
                b"-5",
                b"0x5",
                b"0_5",
                b"5g",
                b"g",
                b"5h",
                b"5 x",
                b"\xb2",
            ),
            *(b"00000000000000005", b"10000000000000005", b"\x0b5", b"5\x0b", b"5\0", b";a", b"5,6", b"5.0", b'"5"'),
            *(
                b"5;",
                b"5;;a",
                b"5;a;",
                b"5;=b",
                b"5;a=",
                b"5;a=b=c",
                b"5;a b",
                b"5;a[",
                b"5;a=b ",
                b'5;a="b',
                b'5;a=b"',
            ),
            *(
                b'5;a="b\\"',
                b'5;a="b"c',
                b"5;a\rb",
                b"5;a\nb",
                b"5;\xe9",
                b'5;a="\x01"',
                b'5;a="\\\x7f"',
                b"5\r",
                b"5\n",
            ),
        ],
    )
    def test_bad(self, line: bytes) -> None:
        assert refusal(line + b"\r\nhello\r\n0\r\n\r\n")[0] == 400

    @pytest.mark.parametrize("line", [b"5\nhello", b"99999999999999999", b"xyz", b"5;a\0"])
    def test_bad_before_its_end(self, line: bytes) -> None:
        assert refusal(line)[0] == 400

    @pytest.mark.parametrize("behind", [b"XX", b"\n\n", b"\r\r", b"\n\r", b"0\r\n", b"!!\r\n"])
    def test_data_ends_with_crlf(self, behind: bytes) -> None:
        peer = Peer()
        peer.inbox.append(b"5\r\nhello" + behind)
        assert peer.decoder.next_event(peer.inbox) == Data(b"hello")
        with pytest.raises(RemoteProtocolError, match="does not end where its size says"):
            peer.decoder.next_event(peer.inbox)


class TestOverhead:
    """ "A recipient ought to limit the total length of chunk extensions received in a request" (section 7.1.1)."""

    def test_honest_small_chunks_may_come_without_end(self) -> None:
        peer = Peer(max_chunk_overhead=64)
        events = peer.sends(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n")
        *data, end = events
        assert b"".join(event.data for event in data if isinstance(event, Data)) == b"a" * 5000
        assert end == EndOfMessage()

    def test_but_not_all_at_once(self) -> None:
        peer = Peer(max_chunk_overhead=64)
        first, *others = peer.sends(b"1\r\na\r\n" * 5000)
        assert first == Data(b"a" * 1024)
        assert len(others) == 4

    def test_extensions_may_not(self) -> None:
        peer = Peer(max_chunk_overhead=64)
        with pytest.raises(RemoteProtocolError, match="too much chunk framing"):
            peer.sends(b"1;a=bbbbbbbbbbbbbbbbbbbbbbbb\r\na\r\n" * 10)

    def test_what_large_chunks_save_is_not_saved_up(self) -> None:
        peer = Peer(max_chunk_overhead=64)
        peer.sends(b"3e8\r\n%b\r\n" % (b"a" * 1000))
        with pytest.raises(RemoteProtocolError, match="too much chunk framing"):
            peer.sends(b"1;a=bbbbbbbbbbbbbbbbbbbbbbbb\r\na\r\n" * 10)

    def test_one_line_has_its_bound_however_large_its_chunk(self) -> None:
        assert refusal(b"ffff;a=%b\r\n" % (b"b" * 60), max_chunk_overhead=64) == (400, "endless chunk size line")
        assert refusal(b"5;a=%b" % (b"b" * 60), max_chunk_overhead=64) == (400, "endless chunk size line")


class TestTrailers:
    def test_they_come_with_the_end(self) -> None:
        events = Peer().sends(b"0\r\nX-Sum: abc\r\nx-other:\r\n\r\n")
        assert events == [EndOfMessage(((b"x-sum", b"abc"), (b"x-other", b"")))]

    def test_byte_by_byte(self) -> None:
        peer = Peer()
        events = [event for octet in b"1;a\r\nx\r\n0;b\r\nX-Sum: abc\r\n\r\n" for event in peer.sends(bytes([octet]))]
        assert events == [Data(b"x"), EndOfMessage(((b"x-sum", b"abc"),))]

    def test_too_many(self) -> None:
        assert refusal(b"0\r\n" + b"a: b\r\n" * 3 + b"\r\n", max_headers=2)[0] == 431

    @pytest.mark.parametrize("end", [b"", b"\r\n\r\n", b"\n", b"\0"])
    def test_too_large(self, end: bytes) -> None:
        refused = refusal(b"0\r\na: %b" % (b"b" * 100) + end, max_trailer_size=50)
        assert refused == (431, "trailer section larger than 50 bytes")

    @pytest.mark.parametrize(
        "section", [b"\n", b"\rX", b"a\r\n\r\n", b"a: b\nc: d\r\n\r\n", b" a: b\r\n\r\n", b"host: a\r\n\r\n"]
    )
    def test_malformed(self, section: bytes) -> None:
        assert refusal(b"0\r\n" + section)[0] == 400


class TestEncoding:
    def test_a_chunk(self) -> None:
        assert encode_chunk(b"a" * 26) == b"1a\r\n%b\r\n" % (b"a" * 26)

    def test_the_end(self) -> None:
        assert encode_last_chunk() == b"0\r\n\r\n"
        assert encode_last_chunk([(b"X-Sum", b"abc")]) == b"0\r\nX-Sum: abc\r\n\r\n"

    def test_a_trailer_that_cannot_be_sent(self) -> None:
        with pytest.raises(LocalProtocolError):
            encode_last_chunk([(b"X", b"a\r\n")])

    @given(st.lists(st.binary(min_size=1, max_size=40)))
    def test_h11_reads_what_is_encoded(self, chunks: list[bytes]) -> None:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.next_event()
        client.receive_data(b"".join(map(encode_chunk, chunks)) + encode_last_chunk([(b"X-Sum", b"1")]))
        received = b""
        while isinstance(event := client.next_event(), h11.Data):
            received += event.data
        assert received == b"".join(chunks)
        assert isinstance(event, h11.EndOfMessage)
        assert list(event.headers) == [(b"x-sum", b"1")]


@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(1, 30), min_size=1))
def test_what_is_encoded_is_decoded_however_it_is_cut(chunks: list[bytes], sizes: list[int]) -> None:
    octets = b"".join(map(encode_chunk, chunks)) + encode_last_chunk()
    peer, received, ended, turn = Peer(), b"", False, 0
    while octets:
        size = sizes[turn % len(sizes)]
        piece, octets, turn = octets[:size], octets[size:], turn + 1
        for event in peer.sends(piece):
            if isinstance(event, Data):
                received += event.data
            else:
                ended = True
    assert ended
    assert received == b"".join(chunks)

"""One HTTP/1 connection, seen by its driver: events in order, responses framed for the request they answer.

What single octets mean is said by the corpora, by `test_strict` and by `test_chunked`; here is what a connection makes
of whole messages.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterable

import h11
import pytest

from trioframe.errors import LocalProtocolError, RemoteProtocolError
from trioframe.http.events import CLOSED, NEED_DATA, PAUSED, Data, EndOfMessage, Event, IncompleteMessage, RequestHead
from trioframe.http.h1 import _READERS, H1Connection, H1Limits
from trioframe.http.reading_state import Reading
from trioframe.http.response_state import State

NOON = 784123200.5  # Sun, 06 Nov 1994 12:00:00 GMT, and a half second
DATE = b"Date: Sun, 06 Nov 1994 12:00:00 GMT\r\n"

PLAIN = [(b"Content-Type", b"text/plain")]


def head(start: bytes, *lines: bytes) -> bytes:
    return b"".join(b"%b\r\n" % line for line in (start, b"Host: a.example", *lines)) + b"\r\n"


GET = head(b"GET / HTTP/1.1")
GET_CLOSE = head(b"GET / HTTP/1.1", b"Connection: close")
GET_1_0 = head(b"GET / HTTP/1.0")
GET_1_0_KEEP = head(b"GET / HTTP/1.0", b"Connection: keep-alive")
HEAD = head(b"HEAD / HTTP/1.1")
POST_5 = head(b"POST / HTTP/1.1", b"Content-Length: 5")
POST_CHUNKED = head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")
EXPECT_5 = head(b"POST / HTTP/1.1", b"Content-Length: 5", b"Expect: 100-continue")
EXPECT_CHUNKED = head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Expect: 100-continue")
UPGRADE = head(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket")
CONNECT = head(b"CONNECT b.example:443 HTTP/1.1")


def connection(*received: bytes) -> H1Connection:
    made = H1Connection(H1Limits(), clock=lambda: NOON)
    for data in received:
        made.receive_data(data)
    return made


def ask(made: H1Connection) -> RequestHead:
    """The request head that is next."""
    event = made.next_event()
    assert isinstance(event, RequestHead)
    return event


def asked(*received: bytes) -> H1Connection:
    """A connection on which a request head has been read."""
    made = connection(*received)
    ask(made)
    return made


def events(made: H1Connection, number: int) -> list[Event]:
    return [made.next_event() for _ in range(number)]


def fields(response: bytes) -> dict[bytes, bytes]:
    first, _, _ = response.partition(b"\r\n\r\n")
    return {name.lower(): value for name, _, value in (line.partition(b": ") for line in first.split(b"\r\n")[1:])}


class TestReceiving:
    def test_a_request_without_a_body(self) -> None:
        made = connection(GET)
        assert ask(made).method == "GET"
        assert events(made, 3) == [EndOfMessage(), PAUSED, PAUSED]

    def test_a_body_with_a_length(self) -> None:
        made = asked(POST_5)
        assert made.next_event() is NEED_DATA
        made.receive_data(b"hel")
        assert events(made, 2) == [Data(b"hel"), NEED_DATA]
        made.receive_data(b"lo")
        assert events(made, 3) == [Data(b"lo"), EndOfMessage(), PAUSED]

    def test_a_chunked_body(self) -> None:
        made = asked(POST_CHUNKED)
        assert made.next_event() is NEED_DATA
        made.receive_data(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert events(made, 3) == [Data(b"hello"), EndOfMessage(((b"x-sum", b"1"),)), PAUSED]

    def test_nothing_is_said_before_a_head_is_whole(self) -> None:
        made = connection()
        for octet in GET[:-1]:
            made.receive_data(bytes([octet]))
            assert made.next_event() is NEED_DATA
        made.receive_data(GET[-1:])
        assert ask(made).raw_path == b"/"

    def test_pipelined_requests_wait_for_their_turn(self) -> None:
        made = asked(POST_5 + b"hello" + GET + GET_CLOSE + GET)
        assert events(made, 3) == [Data(b"hello"), EndOfMessage(), PAUSED]
        assert made.buffered == len(GET + GET_CLOSE + GET)
        made.send_response(200, PLAIN, b"one")
        made.start_next_cycle()
        assert ask(made).method == "GET"
        made.send_response(200, PLAIN, b"two")
        made.start_next_cycle()
        ask(made)
        assert events(made, 2) == [EndOfMessage(), CLOSED]

    def test_the_end_of_the_stream_between_requests(self) -> None:
        made = connection(b"")
        assert events(made, 2) == [CLOSED, CLOSED]

    def test_the_end_of_the_stream_behind_a_request(self) -> None:
        """A request that came whole is answered, and so is what was pipelined before the end."""
        made = asked(GET + GET, b"")
        made.send_response(200, PLAIN, b"one")
        made.start_next_cycle()
        ask(made)
        made.send_response(200, PLAIN, b"two")
        made.start_next_cycle()
        assert made.next_event() is CLOSED

    @pytest.mark.parametrize("octets", [GET[:10], GET[:-1], b"\r"])
    def test_the_end_of_the_stream_inside_a_head(self, octets: bytes) -> None:
        made = connection(octets, b"")
        with pytest.raises(IncompleteMessage, match="inside the head"):
            made.next_event()

    @pytest.mark.parametrize(
        "octets", [POST_5 + b"hell", POST_CHUNKED + b"4\r\nhell", POST_CHUNKED + b"4\r\nhell\r\n0\r\n"]
    )
    def test_the_end_of_the_stream_inside_a_body(self, octets: bytes) -> None:
        made = asked(octets, b"")
        assert made.next_event() == Data(b"hell")
        with pytest.raises(IncompleteMessage, match="inside the body"):
            made.next_event()
        assert made.must_close

    def test_behind_the_last_request_nothing_counts(self) -> None:
        made = asked(GET_CLOSE + b"\0junk")
        assert events(made, 2) == [EndOfMessage(), CLOSED]
        made.receive_data(GET)
        assert made.buffered == 0
        assert made.next_event() is CLOSED

    def test_behind_the_last_response_nothing_counts(self) -> None:
        made = asked(GET + GET)
        assert events(made, 2) == [EndOfMessage(), PAUSED]
        made.send_response(200, PLAIN, b"", close=True)
        assert made.next_event() is CLOSED
        assert made.buffered == 0

    def test_a_large_read_is_not_copied(self) -> None:
        made = asked(head(b"PUT / HTTP/1.1", b"Content-Length: 100000"))
        read = b"x" * 65536
        made.receive_data(read)
        event = made.next_event()
        assert isinstance(event, Data)
        assert event.data is read

    def test_every_reading_has_a_reader(self) -> None:
        assert set(_READERS) == set(Reading)


class TestErrors:
    def test_an_error_is_final(self) -> None:
        made = connection(b"GET / HTTP/3.0\r\n\r\n")
        for _ in range(3):
            with pytest.raises(RemoteProtocolError, match="this server speaks") as caught:
                made.next_event()
            assert caught.value.status == 505
        made.receive_data(GET)
        assert made.buffered == 0
        assert made.must_close

    def test_it_can_be_answered(self) -> None:
        made = connection(b"GET / HTTP/3.0\r\n\r\n")
        with pytest.raises(RemoteProtocolError):
            made.next_event()
        assert made.send_response(505, PLAIN, b"no") == (
            b"HTTP/1.1 505 HTTP Version Not Supported\r\n"
            b"Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n" + DATE + b"\r\nno"
        )

    def test_in_mid_body_too(self) -> None:
        made = asked(POST_CHUNKED + b"x\r\n")
        with pytest.raises(RemoteProtocolError):
            made.next_event()
        assert not made.body_complete
        assert fields(made.send_response(400, PLAIN, b"no"))[b"connection"] == b"close"
        with pytest.raises(LocalProtocolError, match="must be closed"):
            made.start_next_cycle()

    def test_a_kind_of_error_is_kept(self) -> None:
        made = connection(b"GET", b"")
        for _ in range(2):
            with pytest.raises(IncompleteMessage):
                made.next_event()

    @pytest.mark.parametrize(
        "octets", [b"\0", b"GET / HTTP/3.0\r\n\r\n", head(b"GET / HTTP/1.1", b"no field"), b"GET / HTTP/1.1\r\n\r\n"]
    )
    def test_nothing_is_left_to_the_garbage_collector(self, octets: bytes) -> None:
        """An error does not hold the connection it came from, or a flood of bad requests would pile up."""

        class Watched(H1Connection):
            __slots__ = ("__weakref__",)

        gc.disable()
        try:
            made = Watched(H1Limits())
            made.receive_data(octets)
            for _ in range(2):
                with contextlib.suppress(RemoteProtocolError):
                    made.next_event()
            watch = weakref.ref(made)
            del made
            assert watch() is None
        finally:
            gc.enable()


class TestQuestions:
    def test_before_any_request(self) -> None:
        made = connection()
        assert made.announced == 0
        assert not made.body_complete
        assert not made.expects_continue
        assert not made.must_close
        assert made.response_state is State.IDLE

    def test_what_is_announced_with_a_length(self) -> None:
        made = asked(POST_5)
        assert made.announced == 5
        assert not made.body_complete

    def test_what_is_announced_in_chunks(self) -> None:
        made = asked(POST_CHUNKED)
        assert made.announced == 0
        made.receive_data(b"5\r\nhello\r\nffffff\r\n")
        assert events(made, 2) == [Data(b"hello"), NEED_DATA]
        assert made.announced == 5 + 0xFFFFFF

    def test_a_body_is_complete_with_its_last_byte(self) -> None:
        made = asked(POST_5 + b"hello")
        made.next_event()
        assert made.body_complete
        assert made.buffered == 0

    def test_a_request_without_a_body_is_complete_at_once(self) -> None:
        assert asked(GET).body_complete


class TestContinue:
    def test_it_is_awaited_until_it_is_sent(self) -> None:
        made = asked(EXPECT_5)
        assert made.expects_continue
        made.send_informational(102)
        assert made.expects_continue
        assert made.send_informational(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not made.expects_continue

    @pytest.mark.parametrize("request_head", [EXPECT_5, EXPECT_CHUNKED])
    def test_it_is_not_awaited_once_the_body_comes(self, request_head: bytes) -> None:
        made = asked(request_head + b"5\r\nhe")
        assert not made.expects_continue
        made.next_event()
        assert made.buffered == 0
        assert not made.expects_continue

    def test_a_final_response_instead_ends_the_connection(self) -> None:
        """Whether the body will still come, nobody knows (RFC 9110 section 10.1.1)."""
        made = asked(EXPECT_5)
        assert fields(made.send_response(413, PLAIN, b""))[b"connection"] == b"close"
        assert made.must_close
        assert not made.expects_continue

    def test_a_final_response_to_a_body_that_came_anyway_does_not(self) -> None:
        made = asked(EXPECT_5 + b"he")
        assert b"connection" not in fields(made.send_response(413, PLAIN, b""))

    def test_http_1_0_knows_none(self) -> None:
        made = asked(GET_1_0)
        assert made.send_informational(103, [(b"Link", b"</a>")]) == b""

    def test_there_is_none_before_a_request(self) -> None:
        with pytest.raises(LocalProtocolError, match="no request to answer"):
            connection().send_informational(100)


class TestSending:
    def test_a_response_at_once(self) -> None:
        made = asked(GET)
        assert made.send_response(200, PLAIN, b"hello") == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n" + DATE + b"\r\nhello"
        )
        assert made.response_state is State.COMPLETE
        assert not made.must_close

    def test_a_response_of_known_length_in_pieces(self) -> None:
        made = asked(GET)
        assert fields(made.send_head(200, PLAIN, content_length=5))[b"content-length"] == b"5"
        assert made.response_state is State.BODY
        assert made.send_data(b"hel") + made.send_data(b"") + made.send_data(b"lo") == b"hello"
        assert made.send_end() == b""
        made.start_next_cycle()

    def test_a_response_of_unknown_length(self) -> None:
        made = asked(GET)
        assert fields(made.send_head(200, PLAIN, content_length=None))[b"transfer-encoding"] == b"chunked"
        assert made.send_data(b"hello") == b"5\r\nhello\r\n"
        assert made.send_end([(b"X-Sum", b"1")]) == b"0\r\nX-Sum: 1\r\n\r\n"
        assert not made.ends_with_close

    @pytest.mark.parametrize("request_head", [GET_1_0, GET_1_0_KEEP])
    def test_a_response_of_unknown_length_to_http_1_0(self, request_head: bytes) -> None:
        made = asked(request_head)
        response = made.send_head(200, PLAIN, content_length=None)
        assert fields(response)[b"connection"] == b"close"
        assert made.ends_with_close
        assert made.must_close
        assert made.send_data(b"hello") == b"hello"
        assert made.send_end() == b""

    @pytest.mark.parametrize(("request_head", "option"), [(GET_1_0, b"close"), (GET_1_0_KEEP, b"keep-alive")])
    def test_http_1_0_is_told_whether_the_connection_persists(self, request_head: bytes, option: bytes) -> None:
        made = asked(request_head)
        assert fields(made.send_response(200, PLAIN, b""))[b"connection"] == option
        assert made.must_close is (option == b"close")

    def test_an_answer_to_head_has_no_body(self) -> None:
        made = asked(HEAD)
        response = made.send_response(200, PLAIN, b"hello")
        assert response.endswith(b"\r\n\r\n")
        assert fields(response)[b"content-length"] == b"5"
        made.start_next_cycle()

    def test_nor_in_pieces(self) -> None:
        made = asked(HEAD)
        made.send_head(200, PLAIN, content_length=5)
        assert made.send_data(b"too much for five") == b""
        assert made.send_end() == b""

    @pytest.mark.parametrize("status", [204, 304])
    def test_nor_have_some_statuses(self, status: int) -> None:
        assert asked(GET).send_response(status, PLAIN, b"hello").endswith(b"\r\n\r\n")

    def test_a_phrase_of_ones_own(self) -> None:
        assert asked(GET).send_response(200, [], b"", reason="Fine").startswith(b"HTTP/1.1 200 Fine\r\n")

    def test_closing_is_announced(self) -> None:
        made = asked(GET)
        assert fields(made.send_head(200, PLAIN, content_length=0, close=True))[b"connection"] == b"close"
        assert made.must_close

    def test_what_is_sent_before_a_request_closes(self) -> None:
        """408 and 503 answer connections, not requests."""
        made = connection(b"GET")
        assert fields(made.send_response(408, PLAIN, b""))[b"connection"] == b"close"
        assert made.must_close


class TestMistakes:
    """After a `LocalProtocolError` nothing has happened, and another response can be sent."""

    @pytest.mark.parametrize(
        ("status", "headers", "reason"),
        [
            (200, [(b"X", b"a\r\nSet-Cookie: b")], None),
            (200, [(b"a b", b"c")], None),
            (200, [(b"Transfer-Encoding", b"chunked")], None),
            (200, [(b"Content-Length", b"6")], None),
            (200, [], "a\nb"),
            (600, [], None),
        ],
    )
    def test_a_head_that_cannot_be_said(
        self, status: int, headers: list[tuple[bytes, bytes]], reason: str | None
    ) -> None:
        made = asked(GET)
        with pytest.raises(LocalProtocolError):
            made.send_response(status, headers, b"hello", reason=reason)
        with pytest.raises(LocalProtocolError):
            made.send_head(status, headers, content_length=5, reason=reason)
        assert made.response_state is State.AWAITED
        assert made.send_response(500, PLAIN, b"sorry").startswith(b"HTTP/1.1 500 ")

    def test_an_interim_response_that_cannot_be_said(self) -> None:
        made = asked(EXPECT_5)
        with pytest.raises(LocalProtocolError):
            made.send_informational(101)
        assert made.expects_continue

    def test_too_much_and_too_little(self) -> None:
        made = asked(GET)
        made.send_head(200, PLAIN, content_length=5)
        with pytest.raises(LocalProtocolError, match="more than"):
            made.send_data(b"hello!")
        with pytest.raises(LocalProtocolError, match="fewer than"):
            made.send_end()
        assert made.response_state is State.BODY
        assert made.send_data(b"hello") == b"hello"
        assert made.send_end() == b""

    def test_a_trailer_that_cannot_be_sent(self) -> None:
        made = asked(GET)
        made.send_head(200, PLAIN, content_length=None)
        with pytest.raises(LocalProtocolError):
            made.send_end([(b"Content-Length", b"5")])
        assert made.send_end() == b"0\r\n\r\n"

    def test_the_wrong_order(self) -> None:
        made = asked(GET)
        with pytest.raises(LocalProtocolError, match="has not begun"):
            made.send_data(b"")
        with pytest.raises(LocalProtocolError, match="has not begun"):
            made.send_end()
        made.send_response(200, PLAIN, b"")
        for late in (
            lambda: made.send_response(200, PLAIN, b""),
            lambda: made.send_head(200, PLAIN, content_length=0),
            lambda: made.send_informational(103),
            lambda: made.send_switch(),
        ):
            with pytest.raises(LocalProtocolError, match="is complete"):
                late()


class TestNextCycle:
    def test_everything_starts_anew(self) -> None:
        made = asked(POST_5 + b"hello")
        made.next_event()
        made.send_response(200, PLAIN, b"")
        made.start_next_cycle()
        assert made.response_state is State.IDLE
        assert made.announced == 0
        assert not made.body_complete
        assert made.next_event() is NEED_DATA

    def test_the_response_must_be_complete(self) -> None:
        made = asked(GET)
        with pytest.raises(LocalProtocolError, match="the response has not begun"):
            made.start_next_cycle()
        made.send_head(200, PLAIN, content_length=0)
        with pytest.raises(LocalProtocolError, match="begun and not ended"):
            made.start_next_cycle()

    def test_the_request_must_be_complete(self) -> None:
        made = asked(POST_5 + b"hell")
        made.send_response(200, PLAIN, b"")
        with pytest.raises(LocalProtocolError, match="not been read to its end"):
            made.start_next_cycle()
        made.receive_data(b"o")
        assert events(made, 3) == [Data(b"hello"), EndOfMessage(), PAUSED]
        made.start_next_cycle()

    @pytest.mark.parametrize("request_head", [GET_CLOSE, GET_1_0])
    def test_the_peer_must_want_it(self, request_head: bytes) -> None:
        made = asked(request_head)
        assert made.must_close
        made.send_response(200, PLAIN, b"")
        with pytest.raises(LocalProtocolError, match="must be closed"):
            made.start_next_cycle()


class TestSwitch:
    def test_to_another_protocol(self) -> None:
        made = asked(UPGRADE + b"\x81\x00")
        assert made.send_switch(101, [(b"Sec-WebSocket-Accept", b"x")]) == (
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Sec-WebSocket-Accept: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + DATE + b"\r\n"
        )
        assert made.response_state is State.SWITCHED
        assert made.must_close
        assert made.next_event() is PAUSED
        made.receive_data(b"\x82\x00")
        assert made.leftover() == b"\x81\x00\x82\x00"
        assert made.leftover() == b""

    def test_behind_a_body(self) -> None:
        made = asked(UPGRADE.replace(b"Connection", b"Content-Length: 5\r\nConnection") + b"hello!")
        with pytest.raises(LocalProtocolError, match="read to its end"):
            made.send_switch()
        assert events(made, 2) == [Data(b"hello"), EndOfMessage()]
        made.send_switch()
        assert made.leftover() == b"!"

    def test_also_when_the_peer_would_close(self) -> None:
        made = asked(UPGRADE.replace(b"Upgrade\r\n", b"Upgrade, close\r\n") + b"!")
        assert events(made, 2) == [EndOfMessage(), PAUSED]
        made.send_switch()
        assert made.leftover() == b"!"

    def test_of_a_tunnel(self) -> None:
        made = asked(CONNECT + b"\x16\x03")
        assert made.send_switch(200).startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        assert made.leftover() == b"\x16\x03"

    def test_an_upgrade_refused_goes_on_in_http(self) -> None:
        made = asked(UPGRADE + GET)
        made.send_response(426, [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")], b"")
        made.start_next_cycle()
        assert ask(made).upgrade == b""

    @pytest.mark.parametrize("status", [200, 405])
    def test_a_tunnel_refused_ends_the_connection(self, status: int) -> None:
        """Also when an application answers as if it were any request: what follows is meant for the tunnel."""
        made = asked(CONNECT + GET)
        assert fields(made.send_response(status, PLAIN, b""))[b"connection"] == b"close"
        assert events(made, 2) == [EndOfMessage(), CLOSED]

    @pytest.mark.parametrize(
        ("request_head", "status"), [(GET, 101), (UPGRADE, 200), (CONNECT, 101), (CONNECT, 404), (GET, 200)]
    )
    def test_only_to_what_was_asked_for(self, request_head: bytes, status: int) -> None:
        made = asked(request_head)
        with pytest.raises(LocalProtocolError, match="did not ask"):
            made.send_switch(status)
        assert made.response_state is State.AWAITED

    def test_what_belongs_to_http_is_not_left_over(self) -> None:
        with pytest.raises(LocalProtocolError, match="not switched"):
            asked(GET + GET).leftover()


ANSWERS = [
    (b"GET", 200, [b"hello", b" ", b"world"], None),
    (b"GET", 200, [b"hello", b" ", b"world"], 11),
    (b"GET", 404, [], None),
    (b"GET", 404, [], 0),
    (b"HEAD", 200, [b"hello"], 5),
    (b"HEAD", 200, [b"hello"], None),
    (b"GET", 204, [], None),
    (b"GET", 304, [], 5),
]


class TestH11:
    """h11, as the client, reads what is sent."""

    def check(self, client: h11.Connection, responses: Iterable[bytes], status: int, body: bytes, close: bool) -> None:
        for response in filter(None, responses):  # to h11 nothing is the end of the stream
            client.receive_data(response)
        event = client.next_event()
        assert isinstance(event, h11.Response)
        assert event.status_code == status
        assert (b"content-type", b"text/plain") in list(event.headers)
        received = b""
        while isinstance(piece := client.next_event(), h11.Data):
            received += piece.data
        assert isinstance(piece, h11.EndOfMessage)
        assert received == body
        assert client.their_state is (h11.MUST_CLOSE if close else h11.DONE)

    @pytest.mark.parametrize(("method", "status", "pieces", "length"), ANSWERS)
    @pytest.mark.parametrize("close", [False, True])
    def test_reads_it(self, method: bytes, status: int, pieces: list[bytes], length: int | None, close: bool) -> None:
        client, made = h11.Connection(h11.CLIENT), connection()
        for _ in range(1 if close else 2):
            request = h11.Request(method=method, target="/", headers=[("Host", "a.example")])
            made.receive_data(client.send(request) + client.send(h11.EndOfMessage()))
            ask(made)
            sent = [made.send_head(status, PLAIN, content_length=length, close=close)]
            sent += [made.send_data(piece) for piece in pieces]
            sent.append(made.send_end())
            body = b"" if method == b"HEAD" else b"".join(pieces)
            self.check(client, sent, status, body, close)
            assert made.must_close is close
            if not close:
                made.start_next_cycle()
                client.start_next_cycle()

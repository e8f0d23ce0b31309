"""One HTTP/1 connection, driven over memory streams: its loop, its deadlines, its endings."""

from __future__ import annotations

import contextvars
import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wire import Peer, connected

from trioframe.errors import LocalProtocolError, RemoteProtocolError, RequestCancelled, RequestTimeout
from trioframe.http.exchange import Exchange
from trioframe.http.writer import SEND_SIZE

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    await exchange.send_response(200, (), b"hello")


async def length(exchange: Exchange) -> None:
    body = await exchange.body.read_all()
    await exchange.send_response(200, (), str(len(body)).encode())


async def sleeping(exchange: Exchange) -> None:
    await exchange.lifetime.run(trio.sleep_forever)


# --- the loop ---------------------------------------------------------------------------------------------------------


async def test_requests_one_after_the_other() -> None:
    async with connected(hello) as peer:
        for _ in range(3):
            await peer.send(GET)
            response = await peer.read_response()
            assert response.startswith(b"HTTP/1.1 200 OK\r\n")
            assert response.endswith(b"\r\n\r\nhello")
        await peer.stream.send_eof()
        assert await peer.read_to_end() == b""
        await peer.done.wait()
    assert peer.journal.statuses == [200, 200, 200]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def echo_path(exchange: Exchange) -> None:
        await exchange.send_response(200, (), exchange.head.raw_path)

    async with connected(echo_path) as peer:
        await peer.send(b"".join(GET.replace(b"/ ", b"/%d " % n) for n in range(50)))
        for n in range(50):
            assert (await peer.read_response()).endswith(b"\r\n\r\n/%d" % n)


async def test_a_response_leaves_in_one_write() -> None:
    async with connected(hello) as peer:
        await peer.send(GET)
        assert peer.writes == [await peer.read_response()]


async def test_the_head_of_a_stream_leaves_with_its_first_bytes() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.send_head(200, ((b"content-type", b"text/plain"),))
        assert not exchange.responded
        await exchange.send_data(b"first")
        assert exchange.responded
        await exchange.send_data(b"second")
        await exchange.send_end(((b"x-sum", b"1"),))
        assert exchange.finished

    async with connected(stream) as peer:
        await peer.send(GET)
        await peer.read_response()
        first, *others = peer.writes
        assert first.endswith(b"\r\n\r\n5\r\nfirst\r\n")
        assert others == [b"6\r\nsecond\r\n", b"0\r\nx-sum: 1\r\n\r\n"]


async def test_no_bytes_send_the_head_alone_and_then_nothing() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"")
        with trio.testing.assert_checkpoints():
            await exchange.send_data(b"")

    async with connected(stream) as peer:
        await peer.send(GET)
        await peer.read_response()
        head, end = peer.writes
        assert head.endswith(b"\r\n\r\n")
        assert end == b"0\r\n\r\n"


async def test_a_handler_need_not_end_its_stream() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.send_head(200, (), content_length=2)
        await exchange.send_data(b"ok")

    async with connected(stream) as peer:
        await peer.send(GET + GET)
        assert (await peer.read_response()).endswith(b"ok")
        assert (await peer.read_response()).endswith(b"ok")


async def test_a_held_head_gives_way_to_another_response() -> None:
    async def change_of_mind(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_response(404, (), b"")

    async with connected(change_of_mind) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 404 ")


async def test_an_interim_response_may_come_first() -> None:
    async def early_hints(exchange: Exchange) -> None:
        await exchange.send_informational(103, ((b"link", b"</style.css>; rel=preload"),))
        await exchange.send_response(200, (), b"")

    async with connected(early_hints) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 103 ")
        assert (await peer.read_response()).startswith(b"HTTP/1.1 200 ")


async def test_a_large_response_is_sent_in_slices() -> None:
    async def large(exchange: Exchange) -> None:
        await exchange.send_response(200, (), b"x" * (2 * SEND_SIZE))

    async with connected(large) as peer:
        await peer.send(GET)
        assert len(await peer.read_response()) > 2 * SEND_SIZE


async def test_connection_close_is_kept() -> None:
    async with connected(hello) as peer:
        await peer.send(GET.replace(b"Host", b"Connection: close\r\nHost") + GET)
        response = await peer.read_to_end()
        assert response.count(b"HTTP/1.1 200") == 1
        assert b"Connection: close" in response.title().replace(b"Close", b"close")
        await peer.stream.send_eof()
        await peer.done.wait()


async def test_so_many_requests_and_no_more() -> None:
    async with connected(hello, max_requests=2) as peer:
        await peer.send(GET * 3)
        responses = await peer.read_to_end()
        assert responses.count(b"HTTP/1.1 200") == 2
        assert responses.lower().count(b"connection: close") == 1


# --- bodies -----------------------------------------------------------------------------------------------------------


async def test_bodies_of_both_framings() -> None:
    async with connected(length) as peer:
        await peer.send(POST % 5 + b"hello" + CHUNKED + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n" + GET)
        assert [(await peer.read_response())[-1:] for _ in range(3)] == [b"5", b"7", b"0"]


async def test_100_continue_goes_out_when_the_body_is_asked_for() -> None:
    asked = trio.Event()

    async def slow(exchange: Exchange) -> None:
        await asked.wait()
        await length(exchange)

    async with connected(slow) as peer:
        await peer.send(POST.replace(b"Host", b"Expect: 100-continue\r\nHost") % 5)
        await wait_all_tasks_blocked()
        assert await peer.nothing_more()
        asked.set()
        assert await peer.read_response() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"hello")
        assert (await peer.read_response()).endswith(b"5")


async def test_a_refused_expectation_closes() -> None:
    async with connected(hello) as peer:
        await peer.send(POST.replace(b"Host", b"Expect: 100-continue\r\nHost") % 5)
        response = await peer.read_to_end()
        assert response.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in response.lower()


async def test_a_little_unread_body_is_read_away() -> None:
    async with connected(hello) as peer:
        await peer.send(POST % 10 + b"12345")
        await peer.read_response()
        await peer.send(b"67890" + GET)
        assert (await peer.read_response()).endswith(b"hello")


async def test_too_much_unread_body_closes_and_says_so() -> None:
    async with connected(hello, drain_max_size=100) as peer:
        await peer.send(POST % 101)
        response = await peer.read_response()
        assert b"connection: close" in response.lower()
        await peer.send(b"x" * 101)
        assert await peer.read_to_end() == b""


async def test_an_unread_chunked_body_of_a_streamed_response_is_read_away_up_to_the_limit() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"x")

    async with connected(stream, drain_max_size=10) as peer:
        await peer.send(CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n" + CHUNKED + b"b\r\n01234567890\r\n")
        await peer.read_response()
        await peer.read_response()
        assert await peer.read_to_end() == b""


async def test_an_unread_body_does_not_hold_the_connection(autojump_clock: MockClock) -> None:
    async with connected(hello, linger_timeout=5) as peer:
        await peer.send(POST % 10 + b"12345")
        await peer.read_response()
        assert await peer.read_to_end() == b""
        assert trio.current_time() == 5


async def test_a_broken_unread_body_ends_the_connection() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"x")

    async with connected(stream) as peer:
        await peer.send(CHUNKED + b"zz\r\n")
        await peer.read_response()
        assert await peer.read_to_end() == b""


async def test_a_broken_body_is_the_peers_fault() -> None:
    async with connected(length) as peer:
        await peer.send(CHUNKED + b"zz\r\n")
        assert (await peer.read_to_end()).startswith(b"HTTP/1.1 400 ")
    assert peer.journal.statuses == [400]


async def test_a_body_cut_short_is_a_disconnect() -> None:
    async with connected(length) as peer:
        await peer.send(POST % 10 + b"1234")
        await peer.stream.send_eof()
        assert await peer.read_to_end() == b""
        await peer.done.wait()
    assert peer.journal.statuses == [499]


async def test_trailers_are_there_at_the_end() -> None:
    async def trailers(exchange: Exchange) -> None:
        await exchange.body.read_all()
        await exchange.send_response(200, (), repr(exchange.body.trailers).encode())

    async with connected(trailers) as peer:
        await peer.send(CHUNKED + b"0\r\nX-Sum: 1\r\n\r\n")
        assert b"b'x-sum', b'1'" in await peer.read_response()


# --- time -------------------------------------------------------------------------------------------------------------


async def test_a_slow_head_is_408_counted_from_its_first_byte(autojump_clock: MockClock) -> None:
    async with connected(hello, request_timeout=15) as peer:
        await trio.sleep(10)
        for byte in GET[:14]:
            await peer.send(bytes([byte]))
            await trio.sleep(1)
        assert await peer.nothing_more()
        await trio.sleep(1.5)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 408 ")
    assert peer.journal.rejections[0][0] == 408


async def test_a_new_connection_that_says_nothing_is_closed(autojump_clock: MockClock) -> None:
    async with connected(hello, request_timeout=15) as peer:
        assert await peer.read_to_end() == b""
        assert trio.current_time() == 15
    assert peer.journal.rejections == []


async def test_an_idle_connection_is_closed(autojump_clock: MockClock) -> None:
    async with connected(hello, keep_alive_timeout=75) as peer:
        await peer.send(GET)
        await peer.read_response()
        assert await peer.read_to_end() == b""
        assert trio.current_time() == 75


async def test_a_stalled_body_is_408(autojump_clock: MockClock) -> None:
    errors: list[Exception] = []

    async def reading(exchange: Exchange) -> None:
        try:
            await exchange.body.read_all()
        except RequestTimeout as exc:
            errors.append(exc)
            await exchange.send_response(408, (), b"")

    async with connected(reading, body_timeout=3) as peer:
        await peer.send(POST % 10 + b"12345")
        response = await peer.read_response()
        assert trio.current_time() == 3
        assert b"connection: close" in response.lower()
    assert len(errors) == 1


async def test_a_trickled_body_is_408_and_patience_is_the_readers_alone(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def reading(exchange: Exchange) -> None:
        await trio.sleep(1000)  # while nobody reads, the client is not to blame
        try:
            await exchange.body.read_all()
        except RequestTimeout:
            times.append(trio.current_time() - 1000)
            await exchange.send_response(408, (), b"")

    async with connected(reading, body_min_rate=240, body_min_rate_grace=5) as peer:
        await peer.send(POST % 100000)
        await trio.sleep(1000)
        for _ in range(10):
            await peer.send(b"x" * 24)  # ten times too slow
            await trio.sleep(1)
        await peer.read_response()
    assert 5 <= times[0] <= 6


async def test_a_body_may_have_a_patience_of_its_own(autojump_clock: MockClock) -> None:
    async def reading(exchange: Exchange) -> None:
        exchange.body.timeout = 7
        with pytest.raises(RequestTimeout):
            await exchange.body.read_all()
        await exchange.send_response(408, (), b"")

    async with connected(reading, body_min_rate=0) as peer:
        await peer.send(POST % 10)
        await peer.read_response()
        assert trio.current_time() == 7


# --- endings ----------------------------------------------------------------------------------------------------------


async def test_bad_input_is_answered_and_closed() -> None:
    async with connected(hello) as peer:
        await peer.send(b"GET / HTTP/1.1\r\n\r\n" + GET)
        response = await peer.read_to_end()
        assert response.startswith(b"HTTP/1.1 400 ")
        assert response.count(b"HTTP/1.1") == 1
    assert [status for status, _ in peer.journal.rejections] == [400]
    assert peer.journal.exchanges == []


async def test_half_a_head_and_the_end_is_nothing_to_answer() -> None:
    async with connected(hello) as peer:
        await peer.send(GET[:10])
        await peer.stream.send_eof()
        assert await peer.read_to_end() == b""
    assert peer.journal.rejections == []


async def test_a_client_that_leaves_cancels_the_handler(autojump_clock: MockClock) -> None:
    async with connected(sleeping) as peer:
        await peer.send(GET + GET)
        await wait_all_tasks_blocked()
        await peer.stream.aclose()
        await peer.done.wait()
    assert peer.journal.statuses == [499]


async def test_a_half_closed_client_gets_its_answers() -> None:
    async with connected(hello) as peer:
        await peer.send(GET + GET)
        await peer.stream.send_eof()
        assert (await peer.read_to_end()).count(b"HTTP/1.1 200") == 2


async def test_an_error_of_the_handler_is_a_500_and_one_record(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(exchange: Exchange) -> None:
        raise ValueError("a bug")

    async with connected(failing) as peer:
        await peer.send(GET + GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 500 ")
        assert (await peer.read_response()).startswith(b"HTTP/1.1 500 ")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert peer.journal.statuses == [500, 500]


async def test_a_handler_without_an_answer_is_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(exchange: Exchange) -> None:
        pass

    async with connected(silent) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 500 ")
    assert "without a response" in caplog.text


async def test_an_error_behind_the_head_cuts_the_response(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"x")
        raise ValueError("a bug")

    async with connected(failing) as peer:
        await peer.send(GET + GET)
        response = await peer.read_to_end()
        assert response.endswith(b"1\r\nx\r\n")
        assert response.count(b"HTTP/1.1") == 1
    assert "a bug" in caplog.text


async def test_an_abandoned_response_is_cut() -> None:
    async def abandoning(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"x")
        exchange.abandon()

    async with connected(abandoning) as peer:
        await peer.send(GET)
        assert (await peer.read_to_end()).endswith(b"1\r\nx\r\n")


async def test_too_few_bytes_cut_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def short(exchange: Exchange) -> None:
        exchange.send_head(200, (), content_length=5)
        await exchange.send_data(b"x")

    async with connected(short) as peer:
        await peer.send(GET + GET)
        assert (await peer.read_to_end()).count(b"HTTP/1.1") == 1
    assert "LocalProtocolError" in caplog.text


async def test_two_responses_are_an_error() -> None:
    seen: list[Exception] = []

    async def twice(exchange: Exchange) -> None:
        await hello(exchange)
        with pytest.raises(LocalProtocolError) as first:
            await hello(exchange)
        with pytest.raises(LocalProtocolError) as second:
            exchange.send_head(200, ())
        seen.extend([first.value, second.value])

    async with connected(twice) as peer:
        await peer.send(GET + GET)
        await peer.read_response()
        await peer.read_response()
    assert len(seen) == 4


async def test_a_remote_error_that_leaves_the_handler_is_answered_with_its_status() -> None:
    async def refusing(exchange: Exchange) -> None:
        raise RemoteProtocolError("no", 422)

    async with connected(refusing) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("reason", ["timeout", "shutdown", "application"])
async def test_a_cancelled_request_with_a_client_gets_503(reason: str) -> None:
    async def cancelling(exchange: Exchange) -> None:
        exchange.lifetime.cancel(reason)  # type: ignore[arg-type]
        await exchange.lifetime.run(trio.sleep_forever)

    async with connected(cancelling) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 503 ")
    assert peer.journal.statuses == [503]


async def test_what_is_fatal_goes_through(caplog: pytest.LogCaptureFixture) -> None:
    async def fatal(exchange: Exchange) -> None:
        raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("logged")])

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with connected(fatal) as peer:
            await peer.send(GET)
            await peer.done.wait()
    assert "logged" in caplog.text


# --- writing ----------------------------------------------------------------------------------------------------------


def stop_reading(peer: Peer) -> trio.Event:
    """From now on the server's sends block, until the event is set."""
    event = trio.Event()
    send_stream = peer.driver.transport.stream.send_stream
    deliver = send_stream.send_all_hook

    async def deliver_later() -> None:
        await event.wait()
        await deliver()

    send_stream.send_all_hook = deliver_later
    return event


async def test_a_client_that_reads_nothing_is_given_up(autojump_clock: MockClock) -> None:
    caught: list[str] = []

    async def sending(exchange: Exchange) -> None:
        try:
            await hello(exchange)
        except RequestCancelled as exc:
            caught.append(exc.reason)
            raise

    async with connected(sending, send_timeout=60) as peer:
        stop_reading(peer)
        await peer.send(GET)
        await peer.done.wait()
        assert trio.current_time() == 60
    assert caught == ["timeout"]
    assert peer.journal.statuses == [503]


async def test_nothing_is_written_behind_a_cancelled_write(autojump_clock: MockClock) -> None:
    async def sending(exchange: Exchange) -> None:
        with trio.move_on_after(1):
            await exchange.send_response(200, (), b"x")
        with pytest.raises(RequestCancelled):
            await exchange.send_informational(103, ())

    async with connected(sending) as peer:
        stop_reading(peer)
        await peer.send(GET + GET)
        await peer.done.wait()
    assert len(peer.journal.exchanges) == 1


async def test_two_tasks_cannot_send_at_once(autojump_clock: MockClock) -> None:
    async def sending(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.send_data, b"one")
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await exchange.send_data(b"two")
            go_on.set()

    async with connected(sending) as peer:
        go_on = stop_reading(peer)
        await peer.send(GET)
        assert b"one" in await peer.read_response()


async def test_a_reset_while_sending_is_a_disconnect() -> None:
    async def sending(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        with pytest.raises(RequestCancelled) as caught:
            for _ in range(100):
                await exchange.send_data(b"x")
        assert exchange.lifetime.lost
        raise caught.value

    async with connected(sending) as peer:
        await peer.send(GET)
        await peer.stream.aclose()
        await peer.done.wait()
    assert peer.journal.statuses == [499]


# --- the server's questions -------------------------------------------------------------------------------------------


async def test_draining_closes_an_idle_connection() -> None:
    async with connected(hello) as peer:
        await peer.send(GET)
        await peer.read_response()
        await wait_all_tasks_blocked()
        peer.driver.drain()
        assert await peer.read_to_end() == b""


async def test_draining_lets_the_running_request_be_the_last() -> None:
    go_on = trio.Event()

    async def waiting(exchange: Exchange) -> None:
        await go_on.wait()
        await hello(exchange)

    async with connected(waiting) as peer:
        await peer.send(GET + GET)
        await wait_all_tasks_blocked()
        peer.driver.drain()
        go_on.set()
        response = await peer.read_to_end()
        assert response.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in response.lower()


async def test_a_connection_that_begins_while_draining_is_closed() -> None:
    async with connected(hello) as peer:
        peer.driver.drain()
        assert await peer.read_to_end() == b""


async def test_draining_waits_for_half_a_head_and_cancelling_does_not() -> None:
    async with connected(hello) as peer:
        await peer.send(GET[:10])
        await wait_all_tasks_blocked()
        peer.driver.drain()
        await wait_all_tasks_blocked()
        assert not peer.done.is_set()
        peer.driver.cancel()
        assert await peer.read_to_end() == b""


async def test_cancelling_ends_the_running_request_with_503() -> None:
    async with connected(sleeping) as peer:
        await peer.send(GET)
        await wait_all_tasks_blocked()
        peer.driver.cancel()
        assert (await peer.read_to_end()).startswith(b"HTTP/1.1 503 ")


async def test_force_lifts_shields(autojump_clock: MockClock) -> None:
    async def shielded(exchange: Exchange) -> None:
        async def handler() -> None:
            with exchange.lifetime.shielded(1000):
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()

        await exchange.lifetime.run(handler)

    async with connected(shielded) as peer:
        await peer.send(GET)
        await wait_all_tasks_blocked()
        peer.driver.cancel()
        await wait_all_tasks_blocked()
        assert not peer.done.is_set()
        peer.driver.force(0)
        assert b" 503 " in await peer.read_to_end()
        assert trio.current_time() == 0


# --- nothing goes from one request to the next


@pytest.mark.parametrize("pipelined", [False, True])
async def test_context_variables_end_with_their_request(pipelined: bool) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")

    async def handler(exchange: Exchange) -> None:
        await exchange.send_response(200, (), who.get().encode())
        who.set("alice")

    async with connected(handler) as peer:
        for _ in range(3):
            await peer.send(GET + GET if pipelined else GET)
            assert (await peer.read_response()).endswith(b"nobody")
            if pipelined:
                assert (await peer.read_response()).endswith(b"nobody")


async def test_an_exchange_that_is_kept_reaches_nothing(nursery: trio.Nursery) -> None:
    kept: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        kept.append(exchange)
        exchange.send_head(200, ())
        await exchange.send_data(b"x")
        if len(kept) > 1:
            for operation in (kept[0].send_data(b"y"), kept[0].send_end(), kept[0].send_informational(103, ())):
                with pytest.raises(LocalProtocolError, match="over"):
                    await operation
            with pytest.raises(trio.ClosedResourceError):
                await kept[0].body.read_all()

    async with connected(handler) as peer:
        await peer.send(GET)
        await peer.read_response()
        await peer.send(GET)
        assert b"y" not in (await peer.read_response()).partition(b"\r\n\r\n")[2]


async def test_a_reader_that_outlives_its_request_takes_nothing_of_the_next() -> None:
    told: list[str] = []

    async with trio.open_nursery() as others:

        async def read(exchange: Exchange) -> None:
            try:
                await exchange.body.read_all()
            except trio.ClosedResourceError as exc:
                told.append(str(exc))

        async def handler(exchange: Exchange) -> None:
            if exchange.head.content_length:
                others.start_soon(read, exchange)
                await wait_all_tasks_blocked()
            await hello(exchange)

        async with connected(handler) as peer:
            await peer.send(POST % 5)
            await peer.read_response()
            await peer.send(b"12345" + GET)
            assert (await peer.read_response()).endswith(b"hello")
    assert told == ["this request is over"]


# --- what failed has not happened


async def test_a_piece_that_does_not_fit_leaves_the_head_to_come() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.send_head(200, (), content_length=3)
        with pytest.raises(LocalProtocolError):
            await exchange.send_data(b"12345")
        assert not exchange.responded
        await exchange.send_data(b"123")

    async with connected(handler) as peer:
        await peer.send(GET)
        response = await peer.read_response()
        assert response.startswith(b"HTTP/1.1 200")
        assert response.endswith(b"\r\n\r\n123")


async def test_a_response_that_was_promised_and_not_given_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.send_head(200, (), content_length=3)

    async with connected(handler) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 500 ")
    assert "fewer" in caplog.text


async def test_who_cannot_send_now_may_send_later() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.send_informational, 103, ())
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await exchange.send_data(b"x")
            go_on.set()
        await exchange.send_data(b"y")

    async with connected(handler) as peer:
        go_on = stop_reading(peer)
        await peer.send(GET)
        assert b" 103 " in await peer.read_response()
        response = await peer.read_response()
        assert b" 200 " in response
        assert b"y" in response
        assert b"x\r\n" not in response


async def test_ending_what_was_not_begun_is_an_error() -> None:
    async def handler(exchange: Exchange) -> None:
        for operation in (exchange.send_data(b"x"), exchange.send_end()):
            with pytest.raises(LocalProtocolError):
                await operation
        await hello(exchange)

    async with connected(handler) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).endswith(b"hello")


async def test_a_stall_within_a_group_is_a_timeout(autojump_clock: MockClock) -> None:
    async def handler(exchange: Exchange) -> None:
        async def children() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(exchange.send_response, 200, (), b"x")
                nursery.start_soon(trio.sleep_forever)

        await exchange.lifetime.run(children)

    async with connected(handler, send_timeout=60) as peer:
        stop_reading(peer)
        await peer.send(GET)
        await peer.done.wait()
    assert peer.journal.statuses == [503]


async def test_a_send_that_was_cancelled_first_has_sent_nothing() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        with trio.CancelScope() as scope:
            scope.cancel()
            await exchange.send_data(b"x")
        assert scope.cancelled_caught
        await exchange.send_data(b"y")

    async with connected(handler) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).endswith(b"\r\n\r\n1\r\ny\r\n0\r\n\r\n")


async def test_a_burst_does_not_buy_a_trickle(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def reading(exchange: Exchange) -> None:
        try:
            await exchange.body.read_all()
        except RequestTimeout:
            times.append(trio.current_time())
            await exchange.send_response(408, (), b"")

    async with connected(reading, body_timeout=60, body_min_rate=240, body_min_rate_grace=5) as peer:
        await peer.send(POST % 1_000_000 + b"x" * 900_000)
        while not times:
            await trio.sleep(1)
            await peer.send(b"x")
        await peer.read_response()
    assert times[0] <= 61


async def test_a_pause_is_forgiven_to_who_was_fast(autojump_clock: MockClock) -> None:
    async with connected(length, body_timeout=60, body_min_rate=240, body_min_rate_grace=5) as peer:
        await peer.send(POST % 100_001 + b"x" * 50_000)
        await wait_all_tasks_blocked()
        await trio.sleep(50)
        await peer.send(b"x" * 50_001)
        assert (await peer.read_response()).endswith(b"100001")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_large_body_is_not_copied_to_put_its_head_before_it(method: bytes) -> None:
    body = bytes(range(256)) * 1024

    async def large(exchange: Exchange) -> None:
        await exchange.send_response(200, (), body)

    async with connected(large) as peer:
        await peer.send((GET + GET).replace(b"GET", method))
        await wait_all_tasks_blocked()
        received = bytes(await peer.stream.receive_some(10_000_000))
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.count(b"262144") == 2
    assert received.count(body) == (2 if method == b"GET" else 0)


async def test_a_refusal_that_nobody_reads(autojump_clock: MockClock) -> None:
    async with connected(hello, send_timeout=5) as peer:
        stop_reading(peer)
        await peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await peer.done.wait()
        assert trio.current_time() == 5
    assert peer.journal.rejections[0][0] == 400


async def test_a_cut_answer_that_would_pass_for_a_whole_one_is_reset(caplog: pytest.LogCaptureFixture) -> None:
    aborted: list[bool] = []

    async def failing(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await exchange.send_data(b"half")
        raise ValueError("a bug")

    async with connected(failing) as peer:
        peer.driver.transport.abort = lambda: aborted.append(True)
        await peer.send(GET.replace(b"1.1", b"1.0"))
        assert (await peer.read_to_end()).endswith(b"half")
    assert aborted == [True]


async def test_a_body_that_is_asked_for_when_the_request_is_over_is_closed() -> None:
    kept: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        kept.append(exchange)
        await hello(exchange)

    async with connected(handler) as peer:
        await peer.send(GET)
        await peer.read_response()
        with pytest.raises(trio.ClosedResourceError, match="request is over"):
            await kept[0].body.read_all()


async def test_a_scope_of_its_own_knows_nothing_of_the_deadline_of_the_head(autojump_clock: MockClock) -> None:
    async def long(exchange: Exchange) -> None:
        await exchange.lifetime.run(trio.sleep, 1000)
        await exchange.send_response(200, (), b"long")

    async with connected(long) as peer:
        for _ in range(2):
            await peer.send(GET)
            assert (await peer.read_response()).endswith(b"long")


async def test_a_connection_whose_own_task_failed_ends(caplog: pytest.LogCaptureFixture) -> None:
    """The task of a request's nursery, or what reads ahead: without it nothing of the connection can be relied on."""
    async with connected(sleeping) as peer:
        await peer.send(GET)
        await wait_all_tasks_blocked()
        with caplog.at_level(logging.ERROR, "trioframe.http"):
            peer.driver.fail(ValueError("a bug of ours"))
        with trio.fail_after(5):
            await peer.done.wait()
    assert "a bug of ours" in caplog.text

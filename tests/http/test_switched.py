"""A connection that goes on in another protocol: what is handed over, who owns it then, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wire import Peer, connected

from trioframe.errors import LocalProtocolError, RequestCancelled
from trioframe.http.exchange import Exchange
from trioframe.http.switched import Switched

UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SWITCH = ((b"upgrade", b"shout"), (b"x-mark", b"1"))


async def shout(exchange: Exchange, switched: Switched) -> None:
    """Say everything again, louder, until the peer has said all."""
    data = switched.leftover
    while data or (data := await switched.transport.receive_some(switched.buffer_size)):
        await switched.writer.write(data.upper(), exchange.lifetime)
        data = b""
    exchange.finished = True


async def shouting(exchange: Exchange) -> None:
    switched = await exchange.switch(SWITCH)
    await exchange.lifetime.run(shout, exchange, switched)


async def open_and_sleep(exchange: Exchange) -> None:
    await exchange.switch(SWITCH)
    await exchange.lifetime.run(trio.sleep_forever)


async def opened(peer: Peer, request: bytes = UPGRADE) -> bytes:
    await peer.send(request)
    head = await peer.read_response()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    return head


# --- switching --------------------------------------------------------------------------------------------------------


async def test_what_follows_the_101_is_another_protocol() -> None:
    async with connected(shouting) as peer:
        head = await opened(peer)
        assert b"\r\nx-mark: 1\r\n" in head
        assert b"\r\nConnection: Upgrade\r\n" in head
        await peer.send(b"GET / HTTP/1.1\r\nHost: y\r\n\r\n")
        assert await peer.stream.receive_some() == b"GET / HTTP/1.1\r\nHOST: Y\r\n\r\n"
        await peer.stream.send_eof()
        assert await peer.read_to_end() == b""
        await peer.done.wait()


async def test_what_came_behind_the_request_is_handed_over() -> None:
    async with connected(shouting) as peer:
        await opened(peer, UPGRADE + b"early")
        assert await peer.stream.receive_some() == b"EARLY"


async def test_also_behind_a_body() -> None:
    request = UPGRADE.replace(b"Host", b"Content-Length: 4\r\nHost")

    async def with_a_body(exchange: Exchange) -> None:
        assert await exchange.body.read_all() == b"body"
        await shouting(exchange)

    async with connected(with_a_body) as peer:
        await peer.send(request + b"bo")
        await wait_all_tasks_blocked()
        await opened(peer, b"dyearly")
        assert await peer.stream.receive_some() == b"EARLY"


async def test_what_is_handed_over() -> None:
    handed: list[Switched] = []

    async def note(exchange: Exchange) -> None:
        handed.append(await exchange.switch(SWITCH))
        assert (exchange.responded, exchange.finished, exchange.status) == (True, False, 101)
        assert exchange.bytes_sent == len(peer.writes[0])

    async with connected(note, buffer_size=1234) as peer:
        await opened(peer)
        await peer.done.wait()
        (switched,) = handed
        assert switched.transport is peer.driver.transport
        assert switched.writer is peer.driver.writer
        assert (switched.leftover, switched.buffer_size, switched.draining) == (b"", 1234, False)


async def test_it_is_a_checkpoint_that_may_be_cancelled_before_anything_is_sent() -> None:
    async def refuse(exchange: Exchange) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await exchange.switch(SWITCH)
        assert scope.cancelled_caught
        assert not exchange.responded
        await exchange.send_response(403, (), b"")

    async with connected(refuse) as peer:
        await peer.send(UPGRADE + GET)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 403 ")


async def test_a_101_that_was_cancelled_halfway_breaks_the_connection(autojump_clock: MockClock) -> None:
    async def give_up(exchange: Exchange) -> None:
        peer.driver.transport.stream.stream.send_stream.send_all_hook = trio.sleep_forever
        with trio.move_on_after(1) as scope:
            await exchange.switch(SWITCH)
        assert scope.cancelled_caught
        with pytest.raises(RequestCancelled):
            await exchange.send_response(403, (), b"")

    async with connected(give_up) as peer:
        await peer.send(UPGRADE)
        await peer.done.wait()
    assert trio.current_time() == 1


REFUSED: list[tuple[bytes, str]] = [
    (GET, "did not ask for"),
    (UPGRADE.replace(b"1.1", b"1.0"), "did not ask for"),
    (UPGRADE.replace(b"Connection: Upgrade\r\n", b""), "did not ask for"),
    (UPGRADE.replace(b"Host", b"Content-Length: 5\r\nHost"), "read to its end"),
]


@pytest.mark.parametrize(("request_", "said"), REFUSED)
async def test_only_who_is_asked_to_may_switch(request_: bytes, said: str) -> None:
    async def try_it(exchange: Exchange) -> None:
        with pytest.raises(LocalProtocolError, match=said):
            await exchange.switch(SWITCH)
        assert not exchange.responded
        await exchange.send_response(400, (), b"no")

    async with connected(try_it) as peer:
        await peer.send(request_)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 400 ")


async def test_headers_that_cannot_be_sent_are_refused() -> None:
    async def try_it(exchange: Exchange) -> None:
        with pytest.raises(LocalProtocolError):
            await exchange.switch(((b"x", b"a\r\nb"),))
        await exchange.send_response(400, (), b"no")

    async with connected(try_it) as peer:
        await peer.send(UPGRADE)
        assert (await peer.read_response()).startswith(b"HTTP/1.1 400 ")


async def test_behind_an_answer_nobody_may_switch() -> None:
    async def try_it(exchange: Exchange) -> None:
        await exchange.send_response(200, (), b"no")
        with pytest.raises(LocalProtocolError):
            await exchange.switch(SWITCH)

    async with connected(try_it) as peer:
        await peer.send(UPGRADE)
        assert (await peer.read_response()).endswith(b"no")


async def test_a_head_that_is_held_gives_way() -> None:
    async def change_of_mind(exchange: Exchange) -> None:
        exchange.send_head(200, ())
        await shouting(exchange)

    async with connected(change_of_mind) as peer:
        await opened(peer)


@pytest.mark.parametrize(
    "use",
    [
        lambda exchange: exchange.send_response(200, (), b""),
        lambda exchange: exchange.switch(SWITCH),
        lambda exchange: exchange.send_informational(103, ()),
        lambda exchange: exchange.send_end(),
        lambda exchange: exchange.send_data(b"x"),
    ],
)
async def test_behind_a_switch_there_is_no_http(use: Callable[[Exchange], object]) -> None:
    async def try_it(exchange: Exchange) -> None:
        await exchange.switch(SWITCH)
        with pytest.raises(LocalProtocolError):
            await use(exchange)  # type: ignore[misc]

    async with connected(try_it) as peer:
        assert await opened(peer) + await peer.read_to_end() == peer.writes[0]


async def test_a_peer_that_has_gone_cannot_be_switched() -> None:
    async def late(exchange: Exchange) -> None:
        exchange.lifetime.peer_reset()
        with pytest.raises(RequestCancelled):
            await exchange.switch(SWITCH)

    async with connected(late) as peer:
        await peer.send(UPGRADE)
        await peer.done.wait()
    assert peer.writes == []


async def test_who_hears_of_writes_hears_of_the_101() -> None:
    told: list[bytes] = []

    async def tell(data: bytes | memoryview) -> None:
        told.append(bytes(data))

    async def listening(exchange: Exchange) -> None:
        exchange.on_send = tell
        await exchange.switch(SWITCH)

    async with connected(listening) as peer:
        assert told == [await opened(peer)]


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_the_limit_of_the_start_is_met(autojump_clock: MockClock) -> None:
    async def slow(exchange: Exchange) -> None:
        async def handler(a: object, b: object) -> None:
            await exchange.switch(SWITCH)
            await trio.sleep(100)

        await exchange.lifetime.run_in_turn(handler, None, None, trio.current_time() + 10)

    async with connected(slow) as peer:
        await opened(peer)
        await peer.done.wait()
    assert trio.current_time() == 100


@pytest.mark.parametrize("finished", [True, False])
async def test_no_request_follows(finished: bool) -> None:
    async def end(exchange: Exchange) -> None:
        await exchange.switch(SWITCH)
        exchange.finished = finished
        if not finished:
            exchange.abandon()

    async with connected(end) as peer:
        await opened(peer, UPGRADE + GET)
        assert await peer.read_to_end() == b""
        await peer.stream.send_eof()
        await peer.done.wait()
    assert set(peer.journal.exchanges) == {peer.journal.exchanges[0]}
    assert peer.driver.writer.broken is not finished


async def test_the_observer_is_told_twice() -> None:
    codes: list[tuple[int | None, int | None]] = []

    async def closing(exchange: Exchange) -> None:
        exchange.at_end = [lambda: setattr(exchange, "close_code", 1000)]
        assert exchange.close_code is None
        await exchange.switch(SWITCH)
        codes.extend((seen.status, seen.close_code) for seen in peer.journal.exchanges)
        exchange.finished = True

    async with connected(closing) as peer:
        await opened(peer)
        assert await peer.read_to_end() == b""
        await peer.stream.send_eof()
        await peer.done.wait()
    first, second = peer.journal.exchanges
    assert first is second
    assert codes == [(101, None)]
    assert (second.status, second.close_code) == (101, 1000)


async def test_a_peer_that_leaves_cancels_as_ever(autojump_clock: MockClock) -> None:
    async with connected(open_and_sleep) as peer:
        await opened(peer)
        await peer.stream.aclose()
        await peer.done.wait()
    assert peer.journal.statuses == [101, 499]


@pytest.mark.parametrize(("end", "seconds"), [("cancel", 0), ("force", 0)])
async def test_the_server_cancels_as_ever(end: str, seconds: float, autojump_clock: MockClock) -> None:
    async with connected(open_and_sleep) as peer:
        await opened(peer)
        await wait_all_tasks_blocked()
        peer.driver.cancel() if end == "cancel" else peer.driver.force(0)
        assert await peer.read_to_end() == b""
        await peer.stream.send_eof()
        await peer.done.wait()
    assert trio.current_time() == seconds
    assert peer.journal.statuses == [101, 503]


# --- draining ---------------------------------------------------------------------------------------------------------


async def test_who_has_switched_is_told_when_the_server_drains() -> None:
    told = trio.Event()

    async def until_drained(exchange: Exchange) -> None:
        exchange.on_drain = told.set
        switched = await exchange.switch(SWITCH)
        assert not switched.draining
        await told.wait()
        await switched.writer.write(b"goodbye")
        exchange.finished = True

    async with connected(until_drained) as peer:
        await opened(peer)
        await wait_all_tasks_blocked()
        assert not told.is_set()
        peer.driver.drain()
        assert told.is_set()
        assert await peer.read_to_end() == b"goodbye"
        await peer.stream.send_eof()
        await peer.done.wait()


async def test_who_switches_while_it_drains_is_told_then() -> None:
    handed: list[bool] = []

    async def late(exchange: Exchange) -> None:
        peer.driver.drain()
        handed.append((await exchange.switch(SWITCH)).draining)

    async with connected(late) as peer:
        await opened(peer)
        await peer.done.wait()
    assert handed == [True]


async def test_nobody_is_told_when_the_request_is_over() -> None:
    told: list[str] = []

    async def hello(exchange: Exchange) -> None:
        exchange.on_drain = lambda: told.append("drain")
        await exchange.send_response(200, (), b"hello")

    async with connected(hello) as peer:
        await peer.send(GET)
        await peer.read_response()
        await wait_all_tasks_blocked()
        peer.driver.drain()
        await peer.done.wait()
    assert told == []


# --- what an exchange lends -------------------------------------------------------------------------------------------


async def test_an_alarm_of_the_server(autojump_clock: MockClock) -> None:
    rung: list[float] = []

    async def waiting(exchange: Exchange) -> None:
        alarm = exchange.open_alarm(lambda: rung.append(trio.current_time()))
        for deadline in (1, 3):
            alarm.deadline = deadline
            await trio.sleep(2)
        alarm.deadline = trio.current_time() + 1
        alarm.stop()
        await trio.sleep(2)
        await exchange.send_response(200, (), b"hello")

    async with connected(waiting) as peer:
        await peer.send(GET)
        await peer.read_response()
    assert rung == [1, 3]


async def test_a_task_of_the_connection_outlives_its_request() -> None:
    seen: list[str] = []
    over = trio.Event()

    async def follow() -> None:
        await over.wait()
        seen.append("followed")

    async def spawning(exchange: Exchange) -> None:
        exchange.spawn(follow)
        exchange.at_end = [over.set]
        await exchange.send_response(200, (), b"hello")
        seen.append("answered")

    async with connected(spawning) as peer:
        await peer.send(GET)
        await peer.read_response()
        await wait_all_tasks_blocked()
    assert seen == ["answered", "followed"]

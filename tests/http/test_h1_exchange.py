"""A request on its connection: who hears of its writes, and who of its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wire import connected

from trioframe.http.exchange import Exchange
from trioframe.http.h1_exchange import LARGE

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Handler = Callable[[Exchange], Awaitable[None]]


async def whole(exchange: Exchange) -> None:
    await exchange.send_response(200, (), b"hello")


async def large(exchange: Exchange) -> None:
    await exchange.send_response(200, (), b"x" * (LARGE + 1))


async def streamed(exchange: Exchange) -> None:
    exchange.send_head(200, ())
    await exchange.send_data(b"one")
    await exchange.write_data(b"two")
    exchange.push()
    await exchange.send_data(b"")
    await exchange.send_end(((b"x-checksum", b"1"),))


async def announced(exchange: Exchange) -> None:
    exchange.send_head(200, (), 3)
    await exchange.send_data(b"one")
    await exchange.send_end()


async def interim(exchange: Exchange) -> None:
    await exchange.send_informational(103, ())
    await whole(exchange)


# --- writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [whole, large, streamed, announced, interim])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_every_octet_is_told_of_before_it_is_written(
    handler: Handler, method: bytes, autojump_clock: MockClock
) -> None:
    told: list[bytes] = []

    async def listening(exchange: Exchange) -> None:
        async def tell(data: bytes | memoryview) -> None:
            await trio.lowlevel.checkpoint()
            assert b"".join(peer.writes) == b"".join(told)
            told.append(bytes(data))

        exchange.on_send = tell
        await handler(exchange)
        assert exchange.bytes_sent == len(b"".join(told))

    async with connected(listening) as peer:
        await peer.send(LAST.replace(b"GET", method))
        assert await peer.read_to_end() == b"".join(told)
    assert all(told)


@pytest.mark.parametrize("handler", [whole, large, streamed, announced, interim])
async def test_what_is_told_first_may_keep_it_back(
    handler: Handler, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(data: bytes | memoryview) -> None:
        raise LookupError("not this")

    async def refusing(exchange: Exchange) -> None:
        exchange.on_send = refuse
        try:
            await handler(exchange)
        finally:
            exchange.on_send = None

    async with connected(refusing) as peer:
        await peer.send(LAST)
        sent = await peer.read_to_end()
        await peer.done.wait()
    assert sent.startswith(b"HTTP/1.1 500 ") is (handler is interim)
    assert b"hello" not in sent
    assert "not this" in caplog.text


async def test_a_cancelled_listener_has_let_nothing_through() -> None:
    async def waiting(exchange: Exchange) -> None:
        async def wait(data: bytes | memoryview) -> None:
            await trio.sleep_forever()

        exchange.on_send = wait
        exchange.send_head(200, ())
        with trio.CancelScope() as scope:
            scope.cancel()
            await exchange.send_data(b"one")
        exchange.on_send = None
        assert exchange.bytes_sent == 0
        await whole(exchange)

    async with connected(waiting) as peer:
        await peer.send(GET)
        assert (await peer.read_response()).endswith(b"hello")


# --- the end ----------------------------------------------------------------------------------------------------------


async def failing(exchange: Exchange) -> None:
    raise LookupError("a bug")


async def leaving(exchange: Exchange) -> None:
    exchange.lifetime.peer_reset()
    await exchange.lifetime.run(trio.sleep_forever)


async def in_turn(exchange: Exchange) -> None:
    """Cancelled in the standing scope, and concluded behind it."""

    async def wait(a: object, b: object) -> None:
        exchange.lifetime.cancel()
        await trio.sleep_forever()

    async def conclude() -> None:
        exchange.lifetime.outcome()

    exchange.continuation = conclude
    await exchange.lifetime.run_in_turn(wait, None, None)


@pytest.mark.parametrize("handler", [whole, streamed, failing, leaving, in_turn])
async def test_the_end_is_told_in_order_and_once(
    handler: Handler, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[object] = []

    async def following(exchange: Exchange) -> None:
        assert not exchange.over
        exchange.at_end = (
            lambda: ended.append((exchange.over, exchange.finished, exchange.bytes_sent)),
            lambda: ended.append("second"),
        )
        await handler(exchange)

    async with connected(following) as peer:
        await peer.send(LAST)
        await peer.read_to_end()
        await peer.done.wait()
        sent = peer.journal.exchanges[0].bytes_sent
    assert ended == [(True, handler is not leaving, sent), "second"]


async def test_the_end_is_told_before_the_next_request_begins() -> None:
    order: list[str] = []

    async def following(exchange: Exchange) -> None:
        order.append("begun")
        exchange.at_end = [lambda: order.append("ended")]
        await whole(exchange)

    async with connected(following) as peer:
        await peer.send(GET * 2)
        await peer.read_response()
        await peer.read_response()
    assert order == ["begun", "ended"] * 2


async def test_the_end_is_told_when_the_program_ends() -> None:
    ended: list[str] = []

    async def waiting(exchange: Exchange) -> None:
        exchange.at_end = (lambda: ended.append("ended"),)
        await trio.sleep_forever()

    async with connected(waiting) as peer:
        await peer.send(GET)
        await wait_all_tasks_blocked()
    assert ended == ["ended"]

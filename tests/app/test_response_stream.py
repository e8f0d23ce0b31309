"""A response sent piece by piece: one write a piece, an end only when all went well."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from fake_exchange import FakeExchange

from trioframe.app.response import Response, empty, text
from trioframe.app.response_stream import WORK_PER_PIECE, WORK_PER_TURN, ResponseStream
from trioframe.errors import LocalProtocolError

PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)


def begin(response: Response | None = None) -> tuple[ResponseStream, FakeExchange]:
    exchange = FakeExchange()
    return ResponseStream(exchange, response or text("not looked at")), exchange


async def test_nothing_goes_out_before_the_first_piece() -> None:
    stream, exchange = begin()
    assert exchange.sent == []
    await stream.send(b"one")
    await stream.send("é")
    await stream.eof()
    assert exchange.sent == [("head", 200, PLAIN, None), ("data", b"one"), ("data", "é".encode()), ("end",)]
    assert stream.ended
    assert stream.status == 200


async def test_an_empty_first_piece_sends_the_head() -> None:
    stream, exchange = begin()
    await stream.send(b"")
    assert exchange.sent == [("head", 200, PLAIN, None), ("data", b"")]


async def test_a_response_without_pieces() -> None:
    stream, exchange = begin(empty())
    await stream.eof()
    assert exchange.sent == [("head", 204, (), None), ("end",)]


async def test_ending_twice_is_harmless_and_sending_after_it_is_not() -> None:
    stream, exchange = begin()
    await stream.eof()
    await stream.eof()
    assert exchange.sent.count(("end",)) == 1
    with pytest.raises(LocalProtocolError, match=r"after eof\(\)"):
        await stream.send(b"x")


async def test_a_content_length_is_announced() -> None:
    stream, exchange = begin(Response(headers={"Content-Length": "3"}))
    await stream.send(b"one")
    assert exchange.sent[0] == ("head", 200, ((b"content-length", b"3"),), 3)


@pytest.mark.parametrize("length", ["", "-1", "+1", "1.0", "1, 1", "9" * 20, "²"])
async def test_a_content_length_that_is_no_number(length) -> None:
    with pytest.raises(LocalProtocolError, match="Content-Length is a number"):
        begin(Response(headers={"Content-Length": length}))


async def test_a_response_that_has_begun_elsewhere() -> None:
    exchange = FakeExchange()
    await exchange.send_response(200, (), b"")
    with pytest.raises(LocalProtocolError, match="already begun"):
        ResponseStream(exchange, text(""))


# --- async with -------------------------------------------------------------------------------------------------------


async def test_the_block_ends_the_response() -> None:
    stream, exchange = begin()
    async with stream as response:
        await response.send(b"one")
    assert exchange.sent[-1] == ("end",)


async def test_a_block_that_fails_does_not_end_it() -> None:
    stream, exchange = begin()

    async def handle() -> None:
        async with stream:
            await stream.send(b"one")
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        await handle()
    assert exchange.sent[-1] == ("data", b"one")
    assert not stream.ended


async def test_a_block_that_is_cancelled_does_not_end_it() -> None:
    stream, exchange = begin()
    with trio.CancelScope() as scope:
        async with stream:
            scope.cancel()
            await stream.send(b"one")
    assert scope.cancelled_caught
    assert ("end",) not in exchange.sent


async def test_a_block_may_end_it_itself() -> None:
    stream, exchange = begin()
    async with stream:
        await stream.eof()
    assert exchange.sent.count(("end",)) == 1


# --- from a source ----------------------------------------------------------------------------------------------------


async def test_the_pieces_of_a_channel() -> None:
    stream, exchange = begin()
    send, receive = trio.open_memory_channel[str | bytes](2)
    async with send:
        await send.send("one")
        await send.send(b"two")
    await stream.send_from(receive)
    assert exchange.sent[1:] == [("data", b"one"), ("data", b"two")]
    with pytest.raises(trio.ClosedResourceError):
        await receive.receive()


async def test_a_generator_is_closed_when_sending_fails() -> None:
    closed = False

    async def pieces():
        nonlocal closed
        try:
            while True:
                yield b"one"
        finally:
            closed = True

    stream, _ = begin()
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.send_from(pieces())
    assert closed


async def test_for_head_a_generator_is_closed_without_being_asked() -> None:
    asked = False

    async def pieces():
        nonlocal asked
        asked = True
        yield b"one"

    exchange = FakeExchange(method="HEAD")
    stream = ResponseStream(exchange, text(""))
    generator = pieces()
    await stream.send_from(generator)
    await stream.eof()
    assert exchange.sent == [("head", 200, PLAIN, None), ("end",)]
    assert not asked
    assert [piece async for piece in generator] == []


async def test_what_cannot_be_closed_need_not_be() -> None:
    class Countdown:
        left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return str(self.left)

    stream, exchange = begin()
    await stream.send_from(Countdown())
    assert exchange.sent[1:] == [("data", b"1"), ("data", b"0")]


# --- many pieces in a row ---------------------------------------------------------------------------------------------


class Written(FakeExchange):  # type: ignore[misc]  # found by pytest, not by mypy
    """Takes pieces without waiting, and notes when they are pushed."""

    async def write_data(self, data: bytes) -> bool:
        self._release_head()
        self.sent.append(("data", data))
        return False

    def push(self) -> None:
        self.sent.append(("push",))


async def test_what_is_written_is_pushed_before_its_source_waits() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"
        await trio.lowlevel.checkpoint()
        yield b"3"

    exchange = Written()
    stream = ResponseStream(exchange, empty(200))
    await stream.send_from(source())
    await stream.eof()
    assert [what[-1] for what in exchange.sent[1:]] == [b"1", b"2", "push", b"3", "push", "end"]


@pytest.mark.parametrize("size", [0, 1, 10_000, 1_000_000])
async def test_others_have_their_turn_behind_a_bounded_amount_of_work(nursery: trio.Nursery, size: int) -> None:
    turns = [0]  # how many pieces there were at each turn of somebody else

    async def other() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            turns.append(sum(what[0] == "data" for what in exchange.sent))

    async def source() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * size

    exchange = Written()
    nursery.start_soon(other)
    await ResponseStream(exchange, empty(200)).send_from(source())
    nursery.cancel_scope.cancel()
    longest = max(later - earlier for earlier, later in itertools.pairwise(turns))
    # Trio draws lots who of two is first, so that a turn may come late; and the first one only begins to look.
    assert longest <= 3 * (1 + WORK_PER_TURN // (size + WORK_PER_PIECE))


async def test_pieces_that_are_no_octets() -> None:
    async def source() -> AsyncIterator[Any]:
        yield "é"
        yield bytearray(b"b")
        yield memoryview(b"m")
        yield 5

    exchange = Written()
    with pytest.raises(TypeError, match="int"):
        await ResponseStream(exchange, empty(200)).send_from(source())
    assert [what[1] for what in exchange.sent if what[0] == "data"] == ["é".encode(), b"b", b"m"]

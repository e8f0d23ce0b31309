"""The request body as a stream: limits on what is announced, one reader at a time, nothing lost."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import assert_checkpoints

from trioframe.errors import PayloadTooLarge
from trioframe.http.body import RequestBody
from trioframe.http.events import RawHeaders


class Source:
    """A body given piece by piece; None in `pieces` is a piece that has to be waited for."""

    def __init__(self, *pieces: bytes | None, announced: int = 0) -> None:
        self.pieces = list(pieces)
        self.announced = announced
        self.trailers: RawHeaders = ()
        self.refused = False
        self.stopped = False
        self.arrive = trio.Event()
        self.timeouts: list[float | None] = []

    def next_piece_nowait(self) -> bytes | None:
        if not self.pieces:
            self.trailers = ((b"x-checksum", b"1"),)
            return b""
        piece = self.pieces[0]
        if piece is not None:
            del self.pieces[0]
        return piece

    async def wait(self, timeout: float | None) -> None:
        self.timeouts.append(timeout)
        await self.arrive.wait()
        del self.pieces[0]

    def stop(self) -> None:
        self.stopped = True

    def refuse_body(self) -> None:
        self.refused = True


async def test_iterating_gives_the_pieces_as_they_come() -> None:
    body = RequestBody(Source(b"one", b"two"))
    assert [piece async for piece in body] == [b"one", b"two"]
    assert body.received == 6


async def test_read_gives_none_at_the_end_again_and_again() -> None:
    body = RequestBody(Source(b"one"))
    assert await body.read() == b"one"
    assert await body.read() is None
    assert await body.read() is None
    assert body.trailers == ((b"x-checksum", b"1"),)


async def test_receive_some_splits_pieces_that_are_too_large() -> None:
    body = RequestBody(Source(b"abcdef", b"gh"))
    assert [await body.receive_some(4) for _ in range(4)] == [b"abcd", b"ef", b"gh", b""]
    with pytest.raises(ValueError, match="at least 1"):
        await body.receive_some(0)


async def test_every_read_is_a_checkpoint() -> None:
    source = Source(b"abcd", None, b"ef")
    source.arrive.set()
    body = RequestBody(source)
    for expected in (b"abc", b"d", b"ef", b"", b""):
        with assert_checkpoints():
            assert await body.receive_some(3) == expected


async def test_read_all_joins_what_is_left() -> None:
    body = RequestBody(Source(b"abcd", b"ef"))
    assert await body.receive_some(1) == b"a"
    assert await body.read_all() == b"bcdef"
    assert await body.read_all() == b""


async def test_a_body_that_is_here_is_read_without_waiting() -> None:
    with trio.testing.assert_no_checkpoints():
        assert await RequestBody(Source(b"small")).read_all() == b"small"


async def test_read_all_waits_for_what_is_not() -> None:
    source = Source(b"a", None, b"b")
    source.arrive.set()
    assert await RequestBody(source).read_all() == b"ab"


async def test_a_second_reader_is_told() -> None:
    source = Source(None, b"x")
    body = RequestBody(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(body.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await body.receive_some()
        source.arrive.set()


async def test_a_cancelled_read_loses_nothing() -> None:
    body = RequestBody(Source(b"x"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await body.receive_some()
    assert scope.cancelled_caught
    assert await body.receive_some() == b"x"


async def test_what_is_announced_is_refused_before_it_is_read() -> None:
    source = Source(b"x" * 5, announced=11)
    body = RequestBody(source, request_max_size=10)
    for read in (body.receive_some, body.read, body.read_all):
        with pytest.raises(PayloadTooLarge, match="10 bytes"):
            await read()
    assert source.refused
    assert source.pieces == [b"x" * 5]


async def test_the_limit_may_be_moved() -> None:
    body = RequestBody(Source(b"x" * 11, announced=11), request_max_size=10)
    body.request_max_size = math.inf
    assert body.request_max_size == math.inf
    assert len(await body.read_all()) == 11


async def test_a_closed_body_cannot_be_read() -> None:
    body = RequestBody(Source(b"abc"))
    await body.receive_some(1)
    await body.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await body.receive_some()


async def test_a_chunk_that_is_only_announced_is_refused() -> None:
    source = Source(None, None, b"x")
    source.arrive.set()
    body = RequestBody(source, request_max_size=10)

    async def announce(timeout: float | None) -> None:
        source.announced = 11
        await trio.lowlevel.checkpoint()

    source.wait = announce  # type: ignore[method-assign]
    with pytest.raises(PayloadTooLarge):
        await body.receive_some()


async def test_a_cancelled_read_all_can_be_repeated() -> None:
    source = Source(b"a", None, b"b")
    body = RequestBody(source)
    with trio.move_on_after(0):
        await body.read_all()
    source.arrive.set()
    assert await body.read_all() == b"ab"


async def test_one_reader_whatever_it_reads() -> None:
    source = Source(None, b"x")
    body = RequestBody(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(body.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await body.read_all()
        source.arrive.set()


async def test_a_body_has_its_own_patience() -> None:
    source = Source(None, b"x")
    source.arrive.set()
    body = RequestBody(source)
    body.timeout = 7
    await body.read()
    assert source.timeouts == [7]


async def test_nothing_is_read_when_the_request_is_over() -> None:
    source = Source(None)
    body = RequestBody(source)
    body.expire()
    for read in (body.receive_some, body.read, body.read_all):
        with pytest.raises(trio.ClosedResourceError, match="request is over"):
            await read()


async def test_who_waits_for_a_body_whose_request_is_over_is_told() -> None:
    source = Source(None)
    body = RequestBody(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(body.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        body.expire()
        body.expire()
        assert source.stopped
        nursery.cancel_scope.cancel()


# --- who hears of each piece


def hearing(body: RequestBody) -> list[bytes]:
    heard: list[bytes] = []

    async def listen(piece: bytes) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(piece)

    body.on_piece = listen
    return heard


@pytest.mark.parametrize("how", ["read_all", "iterate"])
async def test_each_piece_is_told_of_once_and_the_end_is_not(how: str) -> None:
    source = Source(b"one", None, b"two")
    source.arrive.set()
    body = RequestBody(source)
    heard = hearing(body)
    read = await body.read_all() if how == "read_all" else b"".join([piece async for piece in body])
    assert read == b"onetwo"
    assert heard == [b"one", b"two"]
    assert await body.read_all() == b""
    assert heard == [b"one", b"two"]


async def test_a_piece_that_is_split_is_told_of_whole() -> None:
    body = RequestBody(Source(b"abcdef"))
    heard = hearing(body)
    assert [await body.receive_some(4) for _ in range(3)] == [b"abcd", b"ef", b""]
    assert heard == [b"abcdef"]


@pytest.mark.parametrize("how", ["read_all", "receive_some"])
async def test_a_listener_that_raises_loses_nothing(how: str) -> None:
    body = RequestBody(Source(b"one", b"two"))

    async def refuse(piece: bytes) -> None:
        if piece == b"two":
            raise LookupError("not this")

    body.on_piece = refuse
    read = b"" if how == "read_all" else await body.receive_some()
    with pytest.raises(LookupError):
        await getattr(body, how)()
    body.on_piece = None
    assert body.received == 6
    assert read + await body.read_all() == b"onetwo"


@pytest.mark.parametrize("how", ["read_all", "receive_some"])
async def test_a_listener_that_is_cancelled_loses_nothing(how: str) -> None:
    body = RequestBody(Source(b"one", b"two"))

    async def wait(piece: bytes) -> None:
        await trio.sleep_forever()

    body.on_piece = wait
    async with trio.open_nursery() as nursery:
        nursery.start_soon(getattr(body, how))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    body.on_piece = None
    assert await body.read_all() == b"onetwo"


async def test_a_listener_is_no_second_reader() -> None:
    body = RequestBody(Source(b"one"))

    async def read(piece: bytes) -> None:
        await body.read_all()

    body.on_piece = read
    with pytest.raises(trio.BusyResourceError):
        await body.read_all()
    body.on_piece = None
    assert await body.read_all() == b"one"


async def test_nobody_hears_of_what_is_too_large() -> None:
    body = RequestBody(Source(b"one", announced=3), request_max_size=2)
    heard = hearing(body)
    with pytest.raises(PayloadTooLarge):
        await body.read_all()
    assert heard == []

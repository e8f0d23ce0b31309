"""The body of a request, pulled from its connection: what is here at once, what is waited for, and for how long."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MemorySendStream, MockClock, wait_all_tasks_blocked
from wire import Journal

from trioframe.config import Config
from trioframe.errors import RequestCancelled, RequestTimeout
from trioframe.http.alarm import Alarms
from trioframe.http.body import RequestBody
from trioframe.http.exchange import ConnInfo, Exchange
from trioframe.http.h1_body import H1Body
from trioframe.http.h1_connection import H1Driver
from trioframe.http.h1_settings import H1Settings
from trioframe.http.half_close import HALF_CLOSE_GRACE
from trioframe.http.lifetime import Lifetime
from trioframe.http.transport import PeerListener, Transport

PIECE = 1000  # bytes that the connection reads at once
FOR_EVER = 10**9  # bytes, or times


class Wire(Transport):
    """The server's end of a connection; the client sends into `client`.

    Parameters:
      eager: whether it knows what is there without waiting, as the reactor does, or only how to wait, as any stream.
    """

    def __init__(self, eager: bool) -> None:
        self.client = MemorySendStream()
        self.writes: list[bytes] = []
        self._eager = eager
        self._reset = False

    def reset(self) -> None:
        self._reset = True
        self.client.close()

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        if not self._eager:
            return None
        try:
            return self._checked(self.client.get_data_nowait(max_bytes))
        except trio.WouldBlock:
            return None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return self._checked(await self.client.get_data(max_bytes))

    def _checked(self, data: bytearray) -> bytes:
        if self._reset:
            raise trio.BrokenResourceError("the connection was reset")
        return bytes(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.writes.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    def watch(self, listener: PeerListener | None) -> None:
        pass

    async def linger(self) -> None:
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        self.reset()

    async def aclose(self) -> None:
        self.client.close()
        await trio.lowlevel.checkpoint()


class Upload:
    """A request whose head has been read, and nothing of its body."""

    def __init__(self, nursery: trio.Nursery, wire: Wire, fields: str, options: dict[str, Any]) -> None:
        settings = replace(H1Settings.from_config(Config()), buffer_size=PIECE, **options)
        self.wire = wire
        self.connection = H1Driver(
            wire,
            no_handler,
            conn=ConnInfo(),
            settings=settings,
            alarms=Alarms(),
            spawn=nursery.start_soon,
            observer=Journal(),
        )
        self.connection.wire.receive_head(f"POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n".encode())
        self.lifetime = Lifetime(nursery.start_soon)
        self.source = H1Body(self.connection, self.lifetime)
        self.body = RequestBody(self.source)

    async def send(self, data: bytes) -> None:
        await self.wire.client.send_all(data)

    async def send_every(self, seconds: float, data: bytes, times: int = FOR_EVER) -> None:
        for _ in range(times):
            await trio.sleep(seconds)
            await self.send(data)

    async def times_out_at(self) -> float:
        """When the patience with this body ends, while somebody reads it all the time."""
        with pytest.raises(RequestTimeout):
            await self.body.read_all()
        return round(trio.current_time(), 6)


async def no_handler(exchange: Exchange) -> None:
    raise NotImplementedError


Begin = Callable[..., Upload]


@pytest.fixture(params=["eager", "waiting"])
def begin(request: pytest.FixtureRequest, nursery: trio.Nursery) -> Begin:
    """Begin an upload of `size` bytes, with settings; on a transport that tries without waiting, and on one that does
    not."""

    def begin(size: int, fields: str = "", **options: Any) -> Upload:
        fields = f"Content-Length: {size}{fields}"
        return Upload(nursery, Wire(request.param == "eager"), fields, options)

    return begin


def eagerly(nursery: trio.Nursery, size: int, wire: Wire | None = None, **options: Any) -> Upload:
    return Upload(nursery, wire or Wire(eager=True), f"Content-Length: {size}", options)


# --- what is here at once ---------------------------------------------------------------------------------------------


async def test_what_has_come_is_read_piece_by_piece(begin: Begin) -> None:
    upload = begin(2500)
    await upload.send(b"x" * 2500)
    assert [len(piece) async for piece in upload.body] == [1000, 1000, 500]


async def test_nothing_is_read_before_it_is_asked_for(begin: Begin) -> None:
    upload = begin(2 * PIECE)
    await upload.send(b"x" * (2 * PIECE))
    assert upload.source.next_piece_nowait() is None
    assert len(await upload.body.receive_some()) == PIECE
    assert len(upload.wire.client.get_data_nowait()) == PIECE


async def test_what_has_come_is_not_waited_for(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A wait of no length would end in a timeout if it were one."""
    upload = eagerly(nursery, 5, body_timeout=0)
    await upload.send(b"hello")
    with trio.testing.assert_checkpoints():
        assert await upload.body.read_all() == b"hello"


async def test_others_have_their_turn_beside_a_client_that_is_fast(nursery: trio.Nursery) -> None:
    upload = eagerly(nursery, 50 * PIECE)
    await upload.send(b"x" * (50 * PIECE))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    nursery.start_soon(other)
    assert len(await upload.body.read_all()) == 50 * PIECE
    assert turns >= 45  # one for each piece; Trio draws lots who of two is first, so that a few come late
    nursery.cancel_scope.cancel()


class Flood(Wire):
    """There is always more, and `scope` is cancelled while the piece of that number is taken."""

    def __init__(self, scope: trio.CancelScope, number: int) -> None:
        super().__init__(eager=True)
        self.taken = 0
        self._scope = scope
        self._number = number

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        self.taken += 1
        if self.taken == self._number:
            self._scope.cancel()
        return b"%04d" % self.taken


async def read_all(body: RequestBody, pieces: list[bytes]) -> None:
    pieces.append(await body.read_all())


async def read_each(body: RequestBody, pieces: list[bytes]) -> None:
    while piece := await body.read():
        pieces.append(piece)


async def read_little(body: RequestBody, pieces: list[bytes]) -> None:
    while piece := await body.receive_some(1):
        pieces.append(piece)


@pytest.mark.parametrize("number", range(1, 11))
@pytest.mark.parametrize("read", [read_all, read_each, read_little])
async def test_a_body_that_comes_at_full_speed_can_be_cancelled_at_each_piece(
    nursery: trio.Nursery, read: Callable[[RequestBody, list[bytes]], Awaitable[None]], number: int
) -> None:
    scope = trio.CancelScope()
    wire = Flood(scope, number)
    upload = eagerly(nursery, 40, wire)
    pieces: list[bytes] = []
    with scope:
        await read(upload.body, pieces)
    assert scope.cancelled_caught
    assert wire.taken == number
    await read(upload.body, pieces)
    assert b"".join(pieces) == b"0001000200030004000500060007000800090010"


# --- how long it is waited for ----------------------------------------------------------------------------------------


async def test_a_body_that_stands_still(begin: Begin, autojump_clock: MockClock) -> None:
    upload = begin(FOR_EVER, body_timeout=10)
    await upload.send(b"x" * PIECE)
    assert await upload.times_out_at() == 10
    assert upload.connection.closing


async def test_no_byte_ever_is_a_stall_and_no_trickle(begin: Begin, autojump_clock: MockClock) -> None:
    """The least rate is judged when something arrives; until then the grace does not matter."""
    assert await begin(FOR_EVER, body_timeout=10, body_min_rate_grace=1).times_out_at() == 10


async def test_who_keeps_the_least_rate_may_go_on(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(100 * 1000, body_min_rate=100, body_min_rate_grace=0, body_timeout=10)
    nursery.start_soon(upload.send_every, 1, b"x" * 100, 1000)
    assert len(await upload.body.read_all()) == 100 * 1000
    assert trio.current_time() == 1000


async def test_half_the_least_rate_uses_the_grace_up(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(FOR_EVER, body_min_rate=100, body_min_rate_grace=5, body_timeout=10)
    nursery.start_soon(upload.send_every, 1, b"x" * 50)
    assert await upload.times_out_at() == 11
    nursery.cancel_scope.cancel()


async def test_a_burst_buys_no_more_time_than_a_stall_may_last(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(FOR_EVER, body_min_rate=100, body_min_rate_grace=5, body_timeout=10)
    await upload.send(b"x" * 100_000)  # earns a thousand seconds
    nursery.start_soon(upload.send_every, 4, b"x")
    assert await upload.times_out_at() == 12
    nursery.cancel_scope.cancel()


async def test_what_comes_without_a_wait_earns_time_too(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(FOR_EVER, body_min_rate=100, body_min_rate_grace=0, body_timeout=10)
    await upload.send(b"x" * 600)
    nursery.start_soon(upload.send_every, 4, b"x")
    assert await upload.times_out_at() == 8
    nursery.cancel_scope.cancel()


async def test_a_patience_of_its_own_bounds_what_is_earned_too(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(FOR_EVER, body_min_rate=100, body_min_rate_grace=0, body_timeout=10)
    upload.body.timeout = 100
    await upload.send(b"x" * 100_000)
    nursery.start_soon(upload.send_every, 60, b"x")
    assert await upload.times_out_at() == 120
    nursery.cancel_scope.cancel()


async def test_no_least_rate(begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    upload = begin(100, body_min_rate=0, body_min_rate_grace=0, body_timeout=10)
    nursery.start_soon(upload.send_every, 9, b"x", 100)
    assert len(await upload.body.read_all()) == 100
    assert trio.current_time() == 900


async def test_only_the_time_of_a_reader_is_spent(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Whoever reads a piece, and works at it for longer than the client would be allowed to, has no timeout."""
    upload = begin(10 * PIECE, body_min_rate=100, body_min_rate_grace=0, body_timeout=10)
    await upload.send(b"x" * (10 * PIECE))
    async for _ in upload.body:
        await trio.sleep(100)
    assert trio.current_time() == 1000


async def test_the_limit_on_the_start_of_the_response_stands_still_meanwhile(
    begin: Begin, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = begin(5, body_timeout=60, body_min_rate=0)

    async def handler() -> None:
        upload.lifetime.limit_start(10)
        await upload.body.read_all()
        assert upload.lifetime.deadline == trio.current_time() + 10
        await trio.sleep_forever()

    nursery.start_soon(upload.send_every, 50, b"hello", 1)
    with pytest.raises(RequestCancelled):
        await upload.lifetime.run(handler)
    assert upload.lifetime.reason == "timeout"
    assert trio.current_time() == 60


@pytest.mark.parametrize("whole", [True, False])
async def test_it_stands_still_too_while_a_fast_upload_waits_for_its_turn(
    nursery: trio.Nursery, autojump_clock: MockClock, whole: bool
) -> None:
    """However busy the server is: the time that others take is not the handler's."""
    upload = eagerly(nursery, 10 * PIECE)
    await upload.send(b"x" * (10 * PIECE))

    async def work_hard() -> None:
        autojump_clock.jump(100)

    async def handler() -> None:
        upload.lifetime.limit_start(10)
        nursery.start_soon(work_hard)
        await (upload.body.read_all() if whole else read_each(upload.body, []))
        assert trio.current_time() == 100
        assert upload.lifetime.deadline == 110

    await upload.lifetime.run(handler)


async def test_it_goes_on_when_the_wait_was_cancelled(begin: Begin, autojump_clock: MockClock) -> None:
    upload = begin(5)

    async def handler() -> None:
        upload.lifetime.limit_start(10)
        with trio.move_on_after(7):
            await upload.body.read_all()
        assert upload.lifetime.deadline == 17

    await upload.lifetime.run(handler)


# --- 100 (Continue) ---------------------------------------------------------------------------------------------------

EXPECT = "\r\nExpect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_100_goes_out_when_somebody_first_waits_and_not_again(begin: Begin, nursery: trio.Nursery) -> None:
    upload = begin(10, EXPECT)
    assert upload.source.next_piece_nowait() is None
    assert upload.wire.writes == []
    for piece in (b"01234", b"56789"):
        async with trio.open_nursery() as readers:
            readers.start_soon(upload.body.receive_some)
            await wait_all_tasks_blocked()
            assert upload.wire.writes == [CONTINUE]
            await upload.send(piece)
    assert await upload.body.read_all() == b""
    assert upload.wire.writes == [CONTINUE]


async def test_100_is_left_out_when_the_body_has_come_all_the_same(begin: Begin) -> None:
    upload = begin(5, EXPECT)
    upload.connection.wire.receive_data(b"hello")
    assert await upload.body.read_all() == b"hello"
    assert upload.wire.writes == []


async def test_a_body_behind_its_100_may_come_at_once(nursery: trio.Nursery) -> None:
    upload = Upload(nursery, Wire(eager=True), f"Content-Length: 5{EXPECT}", {})
    await upload.send(b"hello")
    assert await upload.body.read_all() == b"hello"
    assert upload.wire.writes == [CONTINUE]


# --- its end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "while waiting"])
async def test_a_stream_that_ends_in_mid_body(begin: Begin, when: str) -> None:
    upload = begin(10)
    await upload.send(b"01234")
    if when == "before":
        await upload.wire.client.aclose()
    assert await upload.body.receive_some() == b"01234"
    async with trio.open_nursery() as nursery:
        if when == "while waiting":
            nursery.start_soon(close_when_all_is_still, upload)
        with pytest.raises(RequestCancelled) as caught:
            await upload.body.receive_some()
    assert caught.value.reason == "disconnect"
    assert not upload.lifetime.lost  # it may still read
    with pytest.raises(RequestCancelled):
        await upload.body.read_all()


async def close_when_all_is_still(upload: Upload) -> None:
    await wait_all_tasks_blocked()
    await upload.wire.client.aclose()


@pytest.mark.parametrize("when", ["before", "while waiting"])
async def test_a_reset_in_mid_body(begin: Begin, when: str) -> None:
    upload = begin(10)
    await upload.send(b"01234")
    assert await upload.body.receive_some() == b"01234"
    if when == "before":
        upload.wire.reset()
    async with trio.open_nursery() as nursery:
        if when == "while waiting":
            nursery.start_soon(reset_when_all_is_still, upload)
        with pytest.raises(RequestCancelled) as caught:
            await upload.body.receive_some()
    assert caught.value.reason == "disconnect"
    assert upload.lifetime.lost
    assert isinstance(caught.value.__cause__, trio.BrokenResourceError)


async def reset_when_all_is_still(upload: Upload) -> None:
    await wait_all_tasks_blocked()
    upload.wire.reset()


async def test_a_reset_lets_the_clock_of_the_start_go_on(begin: Begin, autojump_clock: MockClock) -> None:
    """The handler may go on: that its client has gone, it need not care about."""
    upload = begin(10)
    upload.lifetime.on_disconnect = "ignore"

    async def handler() -> None:
        upload.lifetime.limit_start(10)
        upload.wire.reset()
        with pytest.raises(RequestCancelled):
            await upload.body.read_all()
        assert upload.lifetime.deadline == 10

    await upload.lifetime.run(handler)


async def test_whoever_waits_when_the_request_is_over_is_told(begin: Begin) -> None:
    upload = begin(10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_when_all_is_still, upload)
        with pytest.raises(trio.ClosedResourceError, match="request is over"):
            await upload.source.wait(math.inf)
    with pytest.raises(trio.ClosedResourceError, match="request is over"):
        upload.source.next_piece_nowait()
    assert not upload.connection.closing  # nobody is to blame


async def stop_when_all_is_still(upload: Upload) -> None:
    await wait_all_tasks_blocked()
    upload.source.stop()


# --- a client that has half-closed ------------------------------------------------------------------------------------


async def test_who_reads_what_a_half_closed_client_has_sent_is_at_work(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    upload = eagerly(nursery, 5 * PIECE)
    await upload.send(b"x" * (5 * PIECE))
    step = 0.8 * HALF_CLOSE_GRACE

    async def handler() -> None:
        upload.lifetime.peer_half_closed()
        for _ in range(5):
            await trio.sleep(step)
            assert len(await upload.body.receive_some()) == PIECE
        await trio.sleep_forever()

    with pytest.raises(RequestCancelled):
        await upload.lifetime.run(handler)
    assert upload.lifetime.reason == "disconnect"
    assert trio.current_time() == pytest.approx(5 * step + HALF_CLOSE_GRACE)

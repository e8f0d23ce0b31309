"""How frames leave: in which order, what waits for what, and what is broken when one was torn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import pytest
import trio
from trio.testing import MockClock, Sequencer, assert_checkpoints, assert_no_checkpoints, wait_all_tasks_blocked

from trioframe.errors import RequestCancelled
from trioframe.http.transport import PeerListener, Transport
from trioframe.http.writer import Writer
from trioframe.ws.outbox import WORK_PER_FRAME, WORK_PER_TURN, Outbox

SEND_TIMEOUT = 60.0  # seconds


class Narrow(Transport):
    """A transport that takes as much as there is `room` for.

    Parameters:
      waits: it only knows how to wait, as streams do that are no sockets of the reactor.
    """

    def __init__(self, room: int, *, waits: bool = False) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self._waits = waits
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def widen(self, room: int) -> None:
        self.room += room
        self._changed.unpark_all()

    def close(self) -> None:
        self._closed = True
        self._changed.unpark_all()

    def _put(self, data: bytes | bytearray | memoryview) -> int:
        if self._closed:
            raise trio.BrokenResourceError("the peer has gone")
        taken = bytes(data[: self.room])
        if taken:
            self.writes.append(taken)
        self.room -= len(taken)
        return len(taken)

    def send_nowait(self, data: bytes | memoryview, more: bool = False) -> int:
        assert not more
        return 0 if self._waits else self._put(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while len(rest := rest[self._put(rest) :]):
            await self._changed.park()

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError

    async def linger(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError

    def watch(self, listener: PeerListener | None) -> None:
        raise NotImplementedError


class Frames:
    """An outbox, with what it is connected to.

    Attributes:
      spawned: the tasks that it has started.
      broken: how often it has told that nothing can be sent any more.
    """

    def __init__(self, nursery: trio.Nursery, room: int = 1000, *, waits: bool = False) -> None:
        self.wire = Narrow(room, waits=waits)
        self.broken = 0
        self.spawned = 0
        self._nursery = nursery
        self.outbox = Outbox(Writer(self.wire, SEND_TIMEOUT), self, self._broke)  # as far as it looks, an exchange

    def spawn(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        self.spawned += 1
        self._nursery.start_soon(async_fn)

    def _broke(self) -> None:
        self.broken += 1

    async def message(self, frame: bytes) -> None:
        """Send a message in its turn, as a task that finds the outbox busy."""
        await self.outbox.in_turn(lambda: self.outbox.write(lambda: frame), nullcontext)


# --- what leaves at once ----------------------------------------------------------------------------------------------


async def test_what_there_is_room_for_leaves_without_a_wait(nursery: trio.Nursery) -> None:
    frames = Frames(nursery)
    with assert_no_checkpoints():
        assert frames.outbox.write_nowait(b"message") is None
        frames.outbox.send_soon(b"close")
        frames.outbox.send_pongs([b"pong"])
    assert frames.wire.writes == [b"message", b"close", b"pong"]
    assert frames.outbox.sent == len(b"messageclosepong")
    assert (frames.spawned, frames.outbox.busy) == (0, False)


async def test_what_was_sent_is_counted(nursery: trio.Nursery) -> None:
    outbox = Frames(nursery).outbox
    outbox.write_nowait(b"message")
    outbox.send_soon(b"close")
    assert outbox.sent == 12


async def test_behind_so_much_others_are_to_have_their_turn(nursery: trio.Nursery) -> None:
    """A frame costs more than its octets."""
    outbox = Frames(nursery, room=1 << 20).outbox
    for size in (0, 1000):
        frames = WORK_PER_TURN // (WORK_PER_FRAME + size)
        for _ in range(2):
            for _ in range(frames):
                outbox.write_nowait(bytes(size))
                assert not outbox.owes_turn()
            outbox.write_nowait(bytes(WORK_PER_FRAME))
            assert outbox.owes_turn()
            assert not outbox.owes_turn()


async def test_a_last_word_is_sent_if_there_is_room(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=5)
    assert frames.outbox.send_last(b"bye")
    assert not frames.outbox.send_last(b"again")
    assert frames.wire.sent == b"byeag"
    assert (frames.spawned, frames.broken) == (0, 0)


async def test_no_last_word_tears_another_frame(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=5)
    frames.outbox.send_soon(b"a long word")
    await wait_all_tasks_blocked()
    assert not frames.outbox.send_last(b"bye")
    frames.wire.widen(100)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"a long word"


async def test_nor_is_one_said_to_who_has_gone(nursery: trio.Nursery) -> None:
    frames = Frames(nursery)
    frames.wire.close()
    assert not frames.outbox.send_last(b"bye")
    assert frames.broken == 0


async def test_pongs_leave_together(nursery: trio.Nursery) -> None:
    frames = Frames(nursery)
    frames.outbox.send_pongs([b"1", b"2", b"3"])
    assert frames.wire.writes == [b"123"]


async def test_the_rest_of_a_message_is_waited_for_by_its_sender(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=3)
    rest = frames.outbox.write_nowait(b"message")
    assert rest == b"sage"
    nursery.start_soon(frames.outbox.finish, rest)
    await wait_all_tasks_blocked()
    assert frames.outbox.busy
    assert len(frames.outbox.waiting) == 1
    frames.wire.widen(4)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"message"
    assert (frames.spawned, frames.outbox.busy, len(frames.outbox.waiting)) == (0, False, 0)


async def test_the_rest_of_a_control_frame_is_waited_for_by_a_task_of_the_connection(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=3)
    with assert_no_checkpoints():
        frames.outbox.send_soon(b"close")
    assert frames.outbox.busy  # also before that task runs
    frames.wire.widen(2)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"close"
    assert (frames.spawned, frames.outbox.busy) == (1, False)


async def test_a_stream_that_only_knows_how_to_wait(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, waits=True)
    assert frames.outbox.write_nowait(b"message") == b"message"
    with assert_checkpoints():
        await frames.outbox.finish(memoryview(b"message"))
    frames.outbox.send_soon(b"close")
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"messageclose"


async def test_settled_is_no_checkpoint_if_nothing_is_on_its_way(nursery: trio.Nursery) -> None:
    with assert_no_checkpoints():
        await Frames(nursery).outbox.settled()


# --- order ------------------------------------------------------------------------------------------------------------


async def test_messages_leave_in_the_order_of_asking(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    rest = frames.outbox.write_nowait(b"[first]")
    assert rest is not None
    nursery.start_soon(frames.outbox.finish, rest)
    await wait_all_tasks_blocked()
    for number in range(5):
        nursery.start_soon(frames.message, b"[%d]" % number)
        await wait_all_tasks_blocked()
    assert len(frames.outbox.waiting) == 6
    assert frames.wire.sent == b"[f"
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"[first][0][1][2][3][4]"
    assert not frames.outbox.waiting


@pytest.mark.parametrize("waits", [False, True])
async def test_control_frames_leave_right_behind_the_frame_that_is_on_its_way(
    nursery: trio.Nursery, waits: bool
) -> None:
    frames = Frames(nursery, room=2, waits=waits)
    nursery.start_soon(frames.message, b"[first]")
    await wait_all_tasks_blocked()
    nursery.start_soon(frames.message, b"[second]")
    await wait_all_tasks_blocked()
    frames.outbox.send_soon(b"(ping)")
    frames.outbox.send_soon(b"(close)")
    assert frames.wire.sent == b"[f"
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"[first](ping)(close)[second]"
    assert (frames.spawned, frames.outbox.sent) == (0, len(frames.wire.sent))


async def test_of_the_pongs_that_are_owed_only_the_last_counts(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    nursery.start_soon(frames.message, b"[first]")
    await wait_all_tasks_blocked()
    for number in range(1000):
        frames.outbox.send_pongs([b"(%d)" % number, b"(%d again)" % number])
    frames.outbox.send_soon(b"(close)")
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"[first](999 again)(close)"


async def test_what_is_owed_while_that_leaves_follows_too(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    nursery.start_soon(frames.message, b"[first]")
    await wait_all_tasks_blocked()
    for pong in (b"(1)", b"(2)", b"(3)"):
        frames.outbox.send_pongs([pong])
        frames.wire.widen(5)
        await wait_all_tasks_blocked()
    frames.wire.widen(1)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"[first](1)(2)(3)"
    assert not frames.outbox.busy


async def test_between_the_frames_of_one_message_control_frames_may_leave_but_no_message(
    nursery: trio.Nursery,
) -> None:
    frames, seq = Frames(nursery), Sequencer()

    async def fragments() -> None:
        await frames.outbox.write(lambda: b"[fragment")
        async with seq(2):
            pass
        await frames.outbox.write(lambda: b"rest]")

    async with trio.open_nursery() as senders:
        senders.start_soon(frames.outbox.in_turn, fragments, nullcontext)
        await wait_all_tasks_blocked()
        senders.start_soon(frames.message, b"[other]")
        async with seq(0):
            await wait_all_tasks_blocked()
        async with seq(1):
            frames.outbox.send_pongs([b"(pong)"])
    assert frames.wire.sent == b"[fragment(pong)rest][other]"


async def test_a_message_waits_for_a_control_frame_that_is_stuck(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    frames.outbox.send_soon(b"(ping)")
    nursery.start_soon(frames.message, b"[message]")
    await wait_all_tasks_blocked()
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"(ping)[message]"


async def test_a_frame_is_made_when_it_can_be_sent(nursery: trio.Nursery) -> None:
    """What it raises goes through, and breaks nothing."""
    frames = Frames(nursery, room=2)
    nursery.start_soon(frames.message, b"[first]")
    await wait_all_tasks_blocked()
    made: list[bool] = []

    def make() -> bytes:
        made.append(frames.outbox.busy)
        raise KeyError("closed meanwhile")

    async def send() -> None:
        with pytest.raises(KeyError):
            await frames.outbox.in_turn(lambda: frames.outbox.write(make), nullcontext)

    nursery.start_soon(send)
    await wait_all_tasks_blocked()
    assert made == []
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert made == [False]
    assert (frames.broken, frames.wire.sent) == (0, b"[first]")


# --- cancelled --------------------------------------------------------------------------------------------------------


async def test_cancelled_before_its_turn_it_has_sent_nothing(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    nursery.start_soon(frames.message, b"[first]")
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as senders:
        senders.start_soon(frames.message, b"[second]")
        await wait_all_tasks_blocked()
        nursery.start_soon(frames.message, b"[third]")
        await wait_all_tasks_blocked()
        senders.cancel_scope.cancel()
    assert frames.broken == 0
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert frames.wire.sent == b"[first][third]"


async def test_cancelled_while_a_control_frame_leaves_before_it_it_has_sent_nothing(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    frames.outbox.send_soon(b"(ping)")
    async with trio.open_nursery() as senders:
        senders.start_soon(frames.message, b"[message]")
        await wait_all_tasks_blocked()
        senders.cancel_scope.cancel()
    frames.wire.widen(1000)
    await wait_all_tasks_blocked()
    assert (frames.broken, frames.wire.sent) == (0, b"(ping)")


@pytest.mark.parametrize("behind", [b"", b"(pong)"])
async def test_cancelled_within_a_frame_it_breaks(nursery: trio.Nursery, behind: bytes) -> None:
    """Also within the control frames that leave behind it."""
    frames = Frames(nursery, room=2)
    async with trio.open_nursery() as senders:
        senders.start_soon(frames.message, b"[first]")
        await wait_all_tasks_blocked()
        if behind:
            frames.outbox.send_pongs([behind])
            frames.wire.widen(len(b"[first]"))
            await wait_all_tasks_blocked()
        senders.cancel_scope.cancel()
    assert frames.broken == 1
    frames.wire.widen(1000)
    sent = frames.wire.sent
    with pytest.raises(RequestCancelled, match="disconnect"):
        frames.outbox.write_nowait(b"[second]")
    assert frames.broken == 1  # who writes at once tells it by itself
    with pytest.raises(RequestCancelled):
        await frames.message(b"[third]")
    frames.outbox.send_soon(b"(close)")
    frames.outbox.send_pongs([b"(pong)"])
    await wait_all_tasks_blocked()
    assert frames.wire.sent == sent
    assert frames.broken == 4
    assert (frames.outbox.busy, len(frames.outbox.waiting)) == (False, 0)


async def test_those_that_wait_behind_a_torn_frame_are_told(nursery: trio.Nursery) -> None:
    frames, told = Frames(nursery, room=2), []

    async def send(frame: bytes) -> None:
        with pytest.raises(RequestCancelled):
            await frames.message(frame)
        told.append(frame)

    async with trio.open_nursery() as senders:
        senders.start_soon(frames.message, b"[first]")
        await wait_all_tasks_blocked()
        for frame in (b"[second]", b"[third]"):
            nursery.start_soon(send, frame)
            await wait_all_tasks_blocked()
        senders.cancel_scope.cancel()
    await wait_all_tasks_blocked()
    assert told == [b"[second]", b"[third]"]


# --- broken -----------------------------------------------------------------------------------------------------------


async def test_a_peer_that_has_gone_is_found_at_once(nursery: trio.Nursery) -> None:
    frames = Frames(nursery)
    frames.wire.close()
    with pytest.raises(RequestCancelled, match="disconnect"):
        frames.outbox.write_nowait(b"[message]")
    assert frames.broken == 0
    frames.outbox.send_soon(b"(close)")
    assert frames.broken == 1
    with pytest.raises(RequestCancelled):
        await frames.message(b"[message]")
    assert frames.broken == 2


async def test_a_peer_that_goes_while_a_message_is_stuck(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    rest = frames.outbox.write_nowait(b"[message]")
    assert rest is not None
    async with trio.open_nursery() as senders:
        senders.start_soon(_expect_disconnect, frames.outbox, rest)
        await wait_all_tasks_blocked()
        frames.wire.close()
    assert frames.broken == 1


async def _expect_disconnect(outbox: Outbox, rest: memoryview) -> None:
    with pytest.raises(RequestCancelled, match="disconnect"):
        await outbox.finish(rest)


async def test_a_peer_that_goes_while_a_control_frame_is_stuck(nursery: trio.Nursery) -> None:
    """The task of the connection raises nothing: it would be an error of the server."""
    frames = Frames(nursery, room=2)
    frames.outbox.send_soon(b"(ping)")
    await wait_all_tasks_blocked()
    frames.wire.close()
    await wait_all_tasks_blocked()
    assert (frames.broken, frames.outbox.busy) == (1, False)


async def test_a_peer_that_reads_nothing_is_given_up(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    frames = Frames(nursery, room=2)
    rest = frames.outbox.write_nowait(b"[message]")
    assert rest is not None
    with pytest.raises(RequestCancelled, match="timeout"):
        await frames.outbox.finish(rest)
    assert trio.current_time() == SEND_TIMEOUT
    assert frames.broken == 1


async def test_who_waits_until_it_is_settled_is_told_when_it_breaks(nursery: trio.Nursery) -> None:
    frames = Frames(nursery, room=2)
    frames.outbox.send_soon(b"(ping)")
    async with trio.open_nursery() as waiting:
        waiting.start_soon(frames.outbox.settled)
        await wait_all_tasks_blocked()
        frames.wire.close()
    assert not frames.outbox.busy

"""In which order a server's life begins and ends, whatever happens in it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
from memory_listener import MemoryListener
from trio.testing import MockClock, wait_all_tasks_blocked

from trioframe import Config
from trioframe.app.background import AppTasks
from trioframe.app.life import Life
from trioframe.app.lifespan import Lifespan
from trioframe.app.report import Reporter
from trioframe.app.state import State
from trioframe.server.access_log import RejectionLog
from trioframe.server.serve import Server

BEFORE, AFTER, STOP, STOPPED = (
    "server.init.before",
    "server.init.after",
    "server.shutdown.before",
    "server.shutdown.after",
)
WHOLE = [
    "enter a",
    "enter b",
    BEFORE,
    "listen",
    AFTER,
    "stop asked for",
    STOP,
    "drain",
    "drained",
    "tasks cancelled",
    STOPPED,
    "exit b",
    "exit a",
]


class World:
    """A program with a server in it that writes down what happens, and in which anything may be replaced."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.at: dict[str, Callable[[], Awaitable[object]]] = {}
        self.state = State()
        self.reported: list[object] = []
        reporter = Reporter("app", lambda **context: self.reported.append(context["exception"]))
        self.tasks = AppTasks("app", reporter, self.state)
        self.tasks.add_task(self.task)
        self.lifespans: list[Callable[..., Any]] = [partial(self.lifespan, "a"), partial(self.lifespan, "b")]
        self.asked_to_drain = trio.Event()
        self.life = self.new_life()

    def new_life(self) -> Life:
        return Life(
            Config(GRACEFUL_SHUTDOWN_TIMEOUT=10, CANCEL_GRACE=2),
            lifespans=[Lifespan(function, "app") for function in self.lifespans],
            run=self.happen,
            tasks=self.tasks,
            state=self.state,
        )

    async def happen(self, what: str) -> None:
        self.order.append(what)
        await self.at.get(what, trio.lowlevel.checkpoint)()

    async def task(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.order.append("tasks cancelled")

    async def lifespan(self, name: str, app: object) -> AsyncIterator[None]:
        await self.happen(f"enter {name}")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.at.get(f"beside {name}", trio.lowlevel.checkpoint))
                yield
        finally:
            await self.happen(f"exit {name}")

    async def serve(self, *, task_status: trio.TaskStatus[str]) -> None:
        await self.happen("listen")
        task_status.started("listeners")
        await self.at.get("serve", self.asked_to_drain.wait)()
        self.order.append("drained")

    def shutdown(self) -> None:
        self.order.append("drain")
        self.asked_to_drain.set()

    async def live(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        self.life = self.new_life()
        await self.life.live(self.serve, self.shutdown, task_status=task_status)

    def stop(self) -> None:
        self.order.append("stop asked for")
        self.life.stop()

    async def live_and_stop(self) -> None:
        """Serve, and stop as soon as it does."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.live)
            await wait_all_tasks_blocked()
            self.stop()


@pytest.fixture
def world() -> World:
    return World()


class Refused(Exception):
    """What goes wrong."""


async def refuse() -> None:
    raise Refused


async def refuse_late() -> None:
    """What a task beside a lifespan does: it fails while the server serves."""
    await trio.sleep(1)
    raise Refused


# --- as planned


async def test_the_whole_order(world: World) -> None:
    await world.live_and_stop()
    assert world.order == WHOLE


async def test_it_can_be_lived_again(world: World) -> None:
    for _ in range(2):
        world.order.clear()
        world.asked_to_drain = trio.Event()
        await world.live_and_stop()
        assert world.order == WHOLE


async def test_it_tells_that_it_has_started_behind_the_last_start(world: World) -> None:
    async with trio.open_nursery() as nursery:
        assert await nursery.start(world.live) == "listeners"
        assert world.order[-1] == AFTER
        world.stop()


async def test_is_serving(world: World) -> None:
    seen: dict[str, bool] = {}

    def look(when: str) -> None:
        world.at[when] = partial(note, when)

    async def note(when: str) -> None:
        seen[when] = world.state.is_serving

    for when in (BEFORE, AFTER, STOP, STOPPED):
        look(when)
    await world.live_and_stop()
    assert seen == {BEFORE: False, AFTER: True, STOP: False, STOPPED: False}
    assert world.state.lives == ()


async def test_tasks_of_the_app_start_behind_the_first_signal(world: World) -> None:
    seen: list[int] = []

    async def in_before() -> None:
        world.tasks.nursery.start_soon(trio.sleep_forever)
        world.tasks.add_task(trio.sleep_forever)
        seen.append(world.state.tasks)

    async def in_after() -> None:
        seen.append(world.state.tasks)

    world.at = {BEFORE: in_before, AFTER: in_after}
    await world.live_and_stop()
    assert seen == [1, 3]


async def test_what_a_lifespan_adds_is_started_once(world: World) -> None:
    ran: list[str] = []

    async def work() -> None:
        ran.append("work")

    async def add() -> None:
        world.tasks.add_task(work)
        with pytest.raises(RuntimeError, match="only while the server runs"):
            world.tasks.nursery.start_soon(work)

    world.at["enter a"] = add
    await world.live_and_stop()
    world.at.clear()
    await world.live_and_stop()
    assert ran == ["work"]


async def test_everything_in_it_uses_its_own_background(world: World) -> None:
    """Though another server of the app has begun later."""
    seen: dict[str, object] = {}

    def look(where: str) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            if where == "serve":
                await world.asked_to_drain.wait()
            seen[where] = world.tasks.nursery

        return look

    first = world.life
    world.at = {where: look(where) for where in (BEFORE, AFTER, STOP, "serve", "exit a")}
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(first.live, world.serve, world.shutdown))
        world.state.begin(world.new_life())
        first.stop()
    assert len(seen) == len(world.at)
    assert set(seen.values()) == {first.background.nursery}


async def test_stop_while_it_starts(world: World) -> None:
    async def stop() -> None:
        world.stop()

    world.at[BEFORE] = stop
    await world.live()
    assert sorted(world.order) == sorted(WHOLE)
    assert world.order[-1] == "exit a"


async def test_a_server_that_ends_by_itself(world: World) -> None:
    world.at["serve"] = trio.lowlevel.checkpoint
    await world.live()
    assert [event for event in world.order if event not in ("drained", "tasks cancelled")] == [
        event for event in WHOLE if event not in ("drained", "tasks cancelled", "stop asked for")
    ]


async def test_a_real_server() -> None:
    async def handler(exchange: Any) -> None:
        await exchange.send_response(200, [], b"hello")

    async def ask(listener: MemoryListener) -> bytes:
        stream = listener.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return bytes(await stream.receive_some())

    world, listener, config = World(), MemoryListener(), Config()
    server = Server(handler, config, RejectionLog())
    answers: list[bytes] = []

    async def look() -> None:
        answers.append(await ask(listener))

    world.at[STOP] = look
    async with trio.open_nursery() as nursery:
        [opened] = await nursery.start(partial(world.life.live, partial(server.serve, [listener]), server.shutdown))
        assert opened is listener
        await look()
        world.stop()
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 2
    assert world.order == [event for event in WHOLE if event not in ("listen", "drain", "drained")]


# --- what requests leave behind


async def test_what_requests_leave_behind_is_waited_for(world: World, autojump_clock: MockClock) -> None:
    async def tidy() -> None:
        await trio.sleep(4)
        world.order.append("tidied")

    async def serve() -> None:
        await world.asked_to_drain.wait()
        await trio.sleep(5)
        world.life.background.after_response(tidy)
        assert world.state.after_response == 1

    world.at["serve"] = serve
    await world.live_and_stop()
    assert trio.current_time() == 9
    assert world.order[world.order.index("drained") :] == [
        "drained", "tidied", "tasks cancelled", STOPPED, "exit b", "exit a",
    ]  # fmt: skip


async def test_as_long_as_draining_may_take(world: World, autojump_clock: MockClock) -> None:
    async def serve() -> None:
        await world.asked_to_drain.wait()
        await trio.sleep(5)
        world.life.background.after_response(trio.sleep, 100)

    world.at["serve"] = serve
    await world.live_and_stop()
    assert trio.current_time() == 10


async def test_whatever_fails_in_the_background_ends_nothing(world: World) -> None:
    async def serve() -> None:
        world.life.background.after_response(refuse)
        world.tasks.nursery.start_soon(refuse)
        await world.asked_to_drain.wait()

    world.at["serve"] = serve
    await world.live_and_stop()
    assert len(world.reported) == 2
    assert world.order == WHOLE


# --- what fails while it starts


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("enter a", ["enter a"]),
        ("enter b", ["enter a", "enter b", "exit a"]),
        (BEFORE, ["enter a", "enter b", BEFORE, STOPPED, "exit b", "exit a"]),
        (
            "listen",
            ["enter a", "enter b", BEFORE, "listen", "tasks cancelled", STOPPED, "exit b", "exit a"],
        ),
        (AFTER, [event for event in WHOLE if event != "stop asked for"]),
    ],
)
async def test_a_start_that_fails_undoes_what_had_begun(world: World, where: str, expected: list[str]) -> None:
    async def fail() -> None:
        await wait_all_tasks_blocked()
        raise Refused

    world.at[where] = fail
    with pytest.raises(Refused):
        await world.live()
    assert world.order == expected
    assert world.state.lives == ()


async def test_it_is_raised_to_who_waits_for_the_start(world: World) -> None:
    world.at[AFTER] = refuse
    async with trio.open_nursery() as nursery:
        with pytest.raises(Refused):
            await nursery.start(world.live)


async def test_a_lifespan_that_fails_meanwhile_ends_the_start(world: World, autojump_clock: MockClock) -> None:
    world.at = {"beside a": refuse_late, BEFORE: trio.sleep_forever}
    with pytest.RaisesGroup(Refused):
        await world.live()
    assert world.order == ["enter a", "enter b", BEFORE, "exit a", STOPPED, "exit b"]


# --- what fails while it serves


async def test_a_lifespan_that_fails_stops_the_server(world: World, autojump_clock: MockClock) -> None:
    world.at["beside b"] = refuse_late
    with pytest.RaisesGroup(Refused) as caught:
        await world.live()
    assert caught.value.message == "Exceptions from Trio nursery", "of the user's nursery"
    assert world.order == [
        "enter a", "enter b", BEFORE, "listen", AFTER, "exit b", STOP, "drain", "drained", "tasks cancelled", STOPPED,
        "exit a",
    ]  # fmt: skip


async def test_one_that_ends_by_itself_stops_it_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def brief(app: object) -> AsyncIterator[None]:
        with trio.CancelScope() as scope:
            scope.cancel()
            yield

    world.lifespans.append(brief)
    await world.live()
    assert world.order[-2:] == ["exit b", "exit a"]
    assert "brief" in caplog.text


async def test_a_listener_that_breaks_stops_it(world: World, autojump_clock: MockClock) -> None:
    world.at["serve"] = refuse_late
    with pytest.raises(Refused):
        await world.live()
    assert [event for event in world.order if event != "tasks cancelled"] == [
        event for event in WHOLE if event not in ("tasks cancelled", "stop asked for", "drained")
    ]


# --- what fails while it stops


@pytest.mark.parametrize("where", [STOP, STOPPED, "exit b", "exit a"])
async def test_what_fails_when_stopping_keeps_nothing_from_it(world: World, where: str) -> None:
    world.at[where] = refuse
    with pytest.RaisesGroup(Refused, flatten_subgroups=True):
        await world.live_and_stop()
    assert world.order == WHOLE


async def test_several_failures_leave_together(world: World) -> None:
    world.at = dict.fromkeys((STOP, STOPPED, "exit b"), refuse)
    with pytest.RaisesGroup(pytest.RaisesGroup(Refused, Refused, Refused, match="life of the server")):
        await world.live_and_stop()
    assert world.order == WHOLE


@pytest.mark.parametrize("where", [STOP, STOPPED, "exit b", "exit a"])
async def test_what_hangs_when_stopping_is_cancelled(
    world: World, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    world.at[where] = trio.sleep_forever
    await world.live_and_stop()
    assert world.order == WHOLE
    assert trio.current_time() == 10
    [record] = caplog.records
    assert "took longer than 10 s to stop, and was cancelled" in record.getMessage()


# --- cancelled from outside


async def test_cancelled_while_it_serves(world: World, autojump_clock: MockClock) -> None:
    for where in (STOP, STOPPED, "exit b", "exit a"):
        world.at[where] = partial(trio.sleep, 1)
    with trio.move_on_after(5) as scope:
        await world.live()
        raise AssertionError("it was cancelled")
    assert scope.cancelled_caught
    assert trio.current_time() == 9
    expected = [event for event in WHOLE if event not in ("stop asked for", "drained", "tasks cancelled")]
    assert [event for event in world.order if event != "tasks cancelled"] == expected


async def test_each_step_has_its_grace(
    world: World, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    for where in (STOP, STOPPED, "exit b", "exit a"):
        world.at[where] = trio.sleep_forever
    with trio.move_on_after(5):
        await world.live()
    assert trio.current_time() == 5 + 4 * 2
    assert len(caplog.records) == 4
    assert world.order[-3:] == [STOPPED, "exit b", "exit a"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("enter b", ["enter a", "enter b", "exit a"]),
        (BEFORE, ["enter a", "enter b", BEFORE, STOPPED, "exit b", "exit a"]),
        ("listen", ["enter a", "enter b", BEFORE, "listen", "tasks cancelled", STOPPED, "exit b", "exit a"]),
    ],
)
async def test_cancelled_while_it_starts(
    world: World, autojump_clock: MockClock, where: str, expected: list[str]
) -> None:
    world.at = {where: trio.sleep_forever, STOPPED: partial(trio.sleep, 1)}
    with trio.move_on_after(5) as scope:
        await world.live()
    assert scope.cancelled_caught
    assert world.order == expected


@pytest.mark.parametrize("where", [STOP, "serve", STOPPED, "exit a"])
async def test_cancelled_while_it_stops(world: World, autojump_clock: MockClock, where: str) -> None:
    """As when somebody asks to stop and then loses patience."""

    async def long() -> None:
        with suppress(trio.Cancelled):  # so that the order is the whole one
            await trio.sleep(8)

    world.at[where] = long
    async with trio.open_nursery() as nursery:
        await nursery.start(world.live)
        world.stop()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert trio.current_time() == (1 if where == "serve" else 3)
    assert sorted({*world.order, "drained"}) == sorted(WHOLE)
    assert world.order[-3:] == WHOLE[-3:]


async def test_errors_go_before_the_cancellation(world: World, autojump_clock: MockClock) -> None:
    world.at[STOPPED] = refuse
    with pytest.raises(Refused), trio.move_on_after(5):
        await world.live()
    assert world.order[-3:] == WHOLE[-3:]


async def test_what_shields_itself_holds_up_the_end(
    world: World, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(50)

    world.tasks.add_task(stubborn, name="stubborn")
    with trio.move_on_after(5):
        await world.live()
    assert trio.current_time() == 50
    assert "still waiting for: stubborn" in caplog.text


@pytest.mark.parametrize("moment", range(40))
@pytest.mark.parametrize("how", ["cancelled", "asked to stop", "a lifespan fails"])
async def test_at_each_moment(world: World, autojump_clock: MockClock, how: str, moment: int) -> None:
    """Whenever it happens, what has begun is undone, in the opposite order."""
    now = trio.Event()

    async def fail() -> None:
        await now.wait()
        raise Refused

    async def happen(scope: trio.CancelScope) -> None:
        for _ in range(moment):
            await trio.lowlevel.checkpoint()
        {"cancelled": scope.cancel, "asked to stop": world.life.stop, "a lifespan fails": now.set}[how]()
        await trio.sleep(1)
        world.life.stop()

    if how == "a lifespan fails":
        world.at["beside a"] = fail
    async with trio.open_nursery() as nursery:
        nursery.start_soon(happen, nursery.cancel_scope)
        with suppress(ExceptionGroup):
            await world.live()
    order = world.order
    assert [event for event in order if event in (BEFORE, STOPPED)] in ([], [BEFORE, STOPPED])
    assert [event for event in order if event in (AFTER, STOP)] in ([], [AFTER, STOP])
    assert ("enter b" in order) <= ("exit a" in order)
    assert (BEFORE in order) <= ("exit b" in order)
    if how != "a lifespan fails" and "exit b" in order:
        assert order[-2:] == ["exit b", "exit a"]
    assert world.state.lives == ()
    assert world.state.tasks == 0


# --- the end of the program


@pytest.mark.parametrize("where", [BEFORE, STOP, STOPPED, "exit a", "beside a", "serve"])
async def test_the_end_of_the_program_leaves_when_all_has_stopped(
    world: World, autojump_clock: MockClock, where: str
) -> None:
    async def interrupt() -> None:
        await trio.sleep(1)
        raise KeyboardInterrupt

    world.at[where] = interrupt
    with pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.live)
            await trio.sleep(3)
            world.stop()
    assert world.order[-1].startswith("exit")
    assert STOPPED in world.order


async def test_also_from_a_task_in_the_background(world: World, autojump_clock: MockClock) -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    world.tasks.add_task(interrupt)
    world.at["serve"] = trio.sleep_forever
    with pytest.raises(BaseExceptionGroup) as caught:
        await world.live()
    assert pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True).matches(caught.value)
    assert world.order[-3:] == WHOLE[-3:]


def test_ctrl_c_arrives_in_the_main_task() -> None:
    """Trio raises it there, wherever that waits; it is that which waits for the life to end."""
    world = World()

    @trio.lowlevel.enable_ki_protection  # or else this task would be torn
    async def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        await world.asked_to_drain.wait()

    world.at["serve"] = interrupt
    for where in (STOP, STOPPED, "exit a"):
        world.at[where] = partial(trio.sleep, 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(world.live, clock=MockClock(autojump_threshold=0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert world.order[-3:] == WHOLE[-3:]

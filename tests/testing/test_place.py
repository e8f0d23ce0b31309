"""Where a task stands, as a report says it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from trioframe.testing import memory_pair
from trioframe.testing.place import place_of, shorten

HERE = shorten(__file__)


async def place_while(nursery: trio.Nursery, async_fn, *args) -> str:
    nursery.start_soon(async_fn, *args)
    await wait_all_tasks_blocked()
    [task] = nursery.child_tasks - {trio.lowlevel.current_task()}
    place = place_of(task)
    nursery.cancel_scope.cancel()
    return place


async def inner(event: trio.Event) -> None:
    await event.wait()


async def test_it_is_the_users_line():
    async with trio.open_nursery() as nursery:
        place = await place_while(nursery, inner, trio.Event())
    line = inner.__code__.co_firstlineno + 1
    assert place == f"{HERE}:{line} in inner: await event.wait()"


async def test_it_tells_the_way_there():
    async def outer(event: trio.Event) -> None:
        await inner(event)

    async with trio.open_nursery() as nursery:
        place = await place_while(nursery, outer, trio.Event())
    first, last = (function.__code__.co_firstlineno + 1 for function in (outer, inner))
    assert place == f"{HERE}:{first} in outer > {HERE}:{last} in inner: await event.wait()"


async def test_libraries_on_the_way_are_passed_over():
    @asynccontextmanager
    async def manager(event: trio.Event):
        yield
        await inner(event)

    async def outer(event: trio.Event) -> None:
        async with manager(event):
            pass

    async with trio.open_nursery() as nursery:
        place = await place_while(nursery, outer, trio.Event())
    assert [step.split(" in ")[1] for step in place.split(" > ")] == ["outer", "manager", "inner: await event.wait()"]


async def test_it_is_found_in_async_generators():
    async def generator(event: trio.Event):
        await inner(event)
        yield

    async def outer(event: trio.Event) -> None:
        async for _ in generator(event):
            pass

    async with trio.open_nursery() as nursery:
        assert "in inner: await event.wait()" in await place_while(nursery, outer, trio.Event())


async def test_without_code_of_the_user_it_is_ours():
    stream, _ = memory_pair()
    async with trio.open_nursery() as nursery:
        place = await place_while(nursery, stream.receive_some)
    assert "memory.py" in place
    assert place.endswith("in receive_some: await incoming.changed.park()")


async def test_without_any_of_these_it_is_the_librarys():
    async with trio.open_nursery() as nursery:
        assert "_traps.py" in await place_while(nursery, trio.Event().wait)


def test_paths_are_short_below_the_current_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shorten(str(tmp_path / "app" / "orders.py")) == str(Path("app", "orders.py"))
    assert shorten(__file__) == __file__

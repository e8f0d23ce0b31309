"""A lifespan is entered and exited in one task, and has to yield once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from trioframe import TrioframeError
from trioframe.app.lifespan import Lifespan


async def live(function: Callable[..., Any]) -> None:
    """Enter and exit it."""
    lifespan = Lifespan(function, "app")
    lifespan.release()
    await lifespan.run()


@pytest.mark.parametrize("wrap", [lambda function: function, asynccontextmanager])
async def test_it_is_entered_and_exited_in_one_task(wrap: Callable[..., Any]) -> None:
    seen: list[object] = []

    @wrap
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            seen.append((app, trio.lowlevel.current_task()))
            yield
            seen.append((app, trio.lowlevel.current_task()))
            nursery.cancel_scope.cancel()

    await live(lifespan)
    assert seen == [("app", trio.lowlevel.current_task())] * 2


async def test_it_can_cancel_its_body(caplog: pytest.LogCaptureFixture) -> None:
    async def lifespan(app: object) -> AsyncIterator[None]:
        with trio.CancelScope() as scope:
            scope.cancel()
            yield

    async with trio.open_nursery() as nursery:
        await nursery.start(Lifespan(lifespan, "app").run)
    assert "has ended by itself" in caplog.text
    assert __file__ in caplog.text


async def test_what_its_nursery_raises_comes_out_with_a_note() -> None:
    async def fail() -> None:
        raise ValueError("task")

    async def lifespan(app: object) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            yield

    with pytest.raises(ExceptionGroup) as caught:
        await Lifespan(lifespan, "app").run()
    assert pytest.RaisesGroup(ValueError).matches(caught.value)
    [note] = caught.value.__notes__
    assert note.startswith("raised by the lifespan ")
    assert note.endswith(f"lifespan, at {__file__}:{lifespan.__code__.co_firstlineno}")


async def cannot_enter(app: object) -> AsyncIterator[None]:
    raise KeyError("enter")
    yield


async def cannot_exit(app: object) -> AsyncIterator[None]:
    yield
    raise KeyError("exit")


@pytest.mark.parametrize("lifespan", [cannot_enter, cannot_exit])
async def test_an_error_on_the_way_in_or_out(lifespan: Callable[..., Any]) -> None:
    with pytest.raises(KeyError) as caught:
        await live(lifespan)
    assert __file__ in caught.value.__notes__[0]


async def twice(app: object) -> AsyncIterator[None]:
    yield
    yield


async def never(app: object) -> AsyncIterator[None]:
    if app is None:
        yield


async def no_generator(app: object) -> None:
    pass


async def again_when_cancelled(app: object) -> AsyncIterator[None]:
    with trio.CancelScope() as scope:
        scope.cancel()
        yield
    yield


@pytest.mark.parametrize(
    "lifespan",
    [twice, never, again_when_cancelled, asynccontextmanager(twice), asynccontextmanager(never)],
)
async def test_it_has_to_yield_exactly_once(lifespan: Callable[..., Any]) -> None:
    place = getattr(lifespan, "__wrapped__", lifespan).__code__.co_firstlineno
    with pytest.raises(TrioframeError, match=f"{__file__}:{place} has to yield exactly once"):
        await live(lifespan)


async def test_somebody_else_s_yields_are_not_its_own() -> None:
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with asynccontextmanager(never)("app"):
            yield

    with pytest.raises(RuntimeError, match=r"^generator didn't yield"):
        await live(lifespan)


def plain_generator(app: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize("lifespan", [plain_generator, str, no_generator])
async def test_it_has_to_be_one(lifespan: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="an async generator with one yield"):
        await live(lifespan)


async def test_a_cancellation_is_raised_at_its_yield() -> None:
    seen: list[type[BaseException]] = []

    async def lifespan(app: object) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as exc:
            seen.append(type(exc))
            raise

    async with trio.open_nursery() as nursery:
        await nursery.start(Lifespan(lifespan, "app").run)
        nursery.cancel_scope.cancel()
    assert seen == [trio.Cancelled]

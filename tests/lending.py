"""A lifetime in the scope of its connection, for the tests that any lifetime has to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from trioframe.http.alarm import Alarms
from trioframe.http.lifetime import Lifetime
from trioframe.http.terms import DEFAULT_TERMS, Terms


class Lender:
    """A connection, as far as a lifetime sees of it."""

    def __init__(self, alarms: Alarms, ring: Callable[[], object]) -> None:
        self.scope = trio.CancelScope()
        self.alarm = alarms.alarm(ring)
        self.task = trio.lowlevel.current_task()


class LentLifetime(Lifetime):
    """Runs its handler as a connection does: in a standing scope, which is left before the outcome is asked for."""

    async def run(self, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # type: ignore[override]
        async def handle(fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
            return await fn(*args)

        lender = self._standing
        assert isinstance(lender, Lender)
        lender.task = trio.lowlevel.current_task()
        lender.scope = trio.CancelScope()
        try:
            with lender.scope:
                result = await self.run_in_turn(handle, fn, args)
                if not self.unwinding:
                    return result
        except BaseException as exc:
            if not self.unwinding:
                raise
            self.unwound(exc)
        return self.outcome()


@asynccontextmanager
async def lifetime_of(kind: str, nursery: trio.Nursery, terms: Terms = DEFAULT_TERMS) -> AsyncIterator[Lifetime]:
    """A lifetime whose `run` uses its "own" scope, or a "lent" one."""
    if kind == "own":
        yield Lifetime(nursery.start_soon, terms)
        return
    alarms = Alarms()
    lifetime: LentLifetime
    lender = Lender(alarms, lambda: lifetime.ring())
    lifetime = LentLifetime(nursery.start_soon, terms, lender)
    nursery.start_soon(alarms.run)
    try:
        yield lifetime
    finally:
        alarms.stop()

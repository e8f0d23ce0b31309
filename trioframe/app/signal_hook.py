"""A signal of the framework as it is called for each request: one value that runs all who hear it.

Rules of this file:

* A hook never changes.  When who hears it does, another one is made.
* Nobody pays for what is not there: no hook for nobody, and a lone receiver that takes just what the signal carries is
  called without anything in between.
* Sync receivers run in the call itself.  Only from the first one that has to be awaited on there is something to await.

It must not know when a signal is sent.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import trio

from .calling import describe
from .signal_link import Receiver, Step

__all__ = ["Hook", "Report", "make_hook"]

Hook = Callable[..., Any]
Report = Callable[[Exception, Any], Awaitable[None]]
"""Told of what a receiver has raised, and of the request that it was told of; None if of none."""


def make_hook(
    steps: Sequence[Step],
    sender: object,
    condition: Mapping[str, Any] | None,
    carried: Collection[str],
    *,
    report: Report | None = None,
    patience: float = math.inf,
) -> Hook | None:
    """What runs the steps that hear this condition; None if none does.

    Parameters:
      steps: in order.
      sender: the first argument of receivers that take one.
      condition: which holds whenever the hook is called.
      carried: the keywords with which the hook is always called.
      report: is given each exception of a receiver, and the next ones are called all the same; without it the first one
        ends the run.
      patience: seconds that each receiver may take; only with `report`, which is told of who takes longer.
    """
    heard = [step for step in steps if step.link.receiver_for(sender, condition) is not None]
    if not heard:
        return None
    if report is None:
        receivers = tuple(receiver for step in heard if (receiver := _as_it_is(step, carried)) is not None)
        if len(receivers) == len(heard) == 1:
            return receivers[0]
        if len(receivers) == len(heard) and all(step.link.is_async for step in heard):
            return partial(_await_all, receivers)
    return _Run(heard, sender, condition, report, patience)


def _as_it_is(step: Step, carried: Collection[str]) -> Receiver | None:
    """The receiver, if a call of it with what is carried is all there is to do."""
    keywords = step.link.keywords
    if (
        step.parameters
        or keywords is None
        or keywords.positional
        or not (keywords.others or keywords.names >= set(carried))
    ):
        return None
    return step.link.receiver


async def _await_all(receivers: tuple[Receiver, ...], /, **context: Any) -> None:
    """Run receivers that need no preparation and are all async: the same as `_Run`, in the shortest way."""
    for receiver in receivers:
        await receiver(**context)


class _Run:
    """Runs several receivers, or one that needs to be prepared for."""

    __slots__ = ("_condition", "_patience", "_report", "_sender", "_steps")

    def __init__(
        self,
        steps: Sequence[Step],
        sender: object,
        condition: Mapping[str, Any] | None,
        report: Report | None,
        patience: float,
    ) -> None:
        self._steps = tuple(steps)
        self._sender = sender
        self._condition = condition
        self._report = report
        self._patience = patience

    def __call__(self, /, **context: Any) -> Awaitable[None] | None:
        steps = iter(self._steps)
        pending = self._advance(steps, context)
        return None if pending is None else self._finish(pending, steps, context)

    def _advance(self, steps: Iterator[Step], context: Mapping[str, Any]) -> Awaitable[Any] | None:
        """Call receivers up to the first that has to be awaited, and give that to be awaited."""
        for link, parameters in steps:
            receiver = link.receiver if link.plain else link.receiver_for(self._sender, self._condition)
            if receiver is None:
                continue
            try:
                value = link.call(receiver, self._sender, {**context, **parameters} if parameters else context)
            except Exception as exc:
                if self._report is None:
                    raise
                return self._report(exc, context.get("request"))
            if link.is_async or (value is not None and inspect.isawaitable(value)):
                return value if self._report is None else self._contained(value, receiver, context.get("request"))
        return None

    async def _finish(self, pending: Awaitable[Any] | None, steps: Iterator[Step], context: Mapping[str, Any]) -> None:
        while pending is not None:
            await pending
            pending = self._advance(steps, context)

    async def _contained(self, pending: Awaitable[Any], receiver: Receiver, request: object) -> None:
        report = cast("Report", self._report)
        try:
            with trio.move_on_after(self._patience) as scope:
                await pending
        except Exception as exc:  # noqa: BLE001 - whoever reports it says what becomes of it
            await report(exc, request)
            return
        if scope.cancelled_caught:
            too_slow = trio.TooSlowError(f"the receiver {describe(receiver)} took longer than {self._patience} s")
            await report(too_slow, request)

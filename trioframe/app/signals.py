"""Publish and subscribe: a blinker signal that has an order, conditions, keywords and a way to wait.

It is a `blinker.Signal`, and every library that knows blinker can use it.  Beside blinker's tables it keeps a `Link`
for each receiver, and of the links a snapshot in order, which is made when it is needed and thrown away at each change.

Rules of this file:

* What is decided about a receiver is decided when it is connected.  A dispatch runs over the snapshot it began with.
* The snapshot is kept in a cell, and a change puts up a new cell.  A change may come in the middle of making a snapshot
  - the garbage collector calls when a weak receiver dies, in any thread - and that snapshot then goes to a cell that
  nobody looks at any more.
* Behind every change of what would be called `changed` is called, and from the garbage collector, too: it must do next
  to nothing.
* A keyword receiver, and whoever waits, is its own receiver id in blinker's tables.  So blinker's answers hold for it.

It must not know the names of signals.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import blinker
from blinker._utilities import make_id
from blinker.base import ANY_ID

from .signal_keywords import Keywords
from .signal_link import Audience, Link, Receiver, Results, Step, run

__all__ = ["Signal", "Waiter"]

F = TypeVar("F", bound=Receiver)

Condition = Mapping[str, Any] | None


class Waiter(Hashable, Protocol):
    """Whoever waits for an event; he hears of it before the receivers do."""

    def link(self, event: str) -> Link:
        """What tells him of the event with this name."""
        ...

    def put(self, event: str, context: Mapping[str, Any]) -> None:
        """Tell him at once of what was sent without a condition, whether he has room or not: who calls cannot wait."""
        ...


class Signal(blinker.Signal):
    """Something that may happen, and those who want to hear of it.

    Parameters:
      doc: becomes its ``__doc__``.
      name: what it is called.
      backwards: call the receivers in the opposite order.

    Attributes:
      changed: called without arguments behind each change of what would be called, at any moment and in any thread.
      receivers: true while somebody listens or waits; what is in it is nobody's business.

    Receivers are called by priority, high ones first, and those of one priority in the order of their connection.
    """

    def __init__(self, doc: str | None = None, *, name: str | None = None, backwards: bool = False) -> None:
        self.name = name
        self.backwards = backwards
        self.changed: Callable[[], None] | None = None
        self._muted = False
        self._links: dict[Hashable, Link] = {}  # by receiver id; a keyword link by itself
        self._waiters: dict[Waiter, Mapping[str, str]] = {}
        self._cell: list[Audience] = []
        super().__init__(doc)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>" if self.name else super().__repr__()

    # --- who listens -------------------------------------------------------------------------------------------------

    def connect(
        self,
        receiver: F,
        sender: Any = blinker.ANY,
        weak: bool = True,
        *,
        priority: int = 0,
        condition: Condition = None,
    ) -> F:
        """Call ``receiver(sender, **context)`` for what is sent by `sender`; see `blinker.Signal.connect`.

        Parameters:
          receiver: a function, async or not.
          sender: call it only for this one.
          weak: forget the receiver when nobody else holds it.
          priority: receivers with a higher one are called earlier.
          condition: call it only for what is dispatched with a condition that has all of these items.

        A receiver may be connected for several senders; its latest priority and condition hold for all of them.

        Raises:
          TypeError: `weak`, and it cannot be held weakly.
        """
        receiver_id = make_id(receiver)
        senders = self._by_receiver[receiver_id]
        hears_all = sender is blinker.ANY or ANY_ID in senders
        self._links[receiver_id] = Link(
            receiver,
            None,
            weak=weak,
            senders=None if hears_all else senders,
            condition=condition,
            priority=priority,
        )
        self._cell = []  # `receiver_connected`, sent by blinker, finds the receiver in its place
        try:
            return super().connect(receiver, sender, weak)
        finally:
            self._change()

    def subscribe(self, receiver: F, *, condition: Condition = None, priority: int = 0, rank: int = 0) -> F:
        """Call `receiver` with those keywords of the context that it takes, from any sender.

        Parameters:
          receiver: a function, async or not; it is held until `disconnect`.
          condition: call it only for what is dispatched with a condition that has all of these items.
          priority: receivers with a higher one are called earlier.
          rank: orders receivers of one priority, lower ones first.

        It may be subscribed several times, and is called for each subscription whose condition holds.
        """
        link = Link(receiver, Keywords.of(receiver), condition=condition, priority=priority, rank=rank)
        self._links[link] = link
        self._enter(link, receiver)
        return receiver

    def disconnect(self, receiver: Receiver, sender: Any = blinker.ANY) -> None:
        """Do not call `receiver` any more, or not for this sender; without a sender its subscriptions end, too."""
        if sender is blinker.ANY:
            receiver_id = make_id(receiver)
            for key, link in self._links.copy().items():
                if key is link and make_id(link.receiver) == receiver_id:
                    self._disconnect(link, ANY_ID)
        super().disconnect(receiver, sender)

    def admit(self, waiter: Waiter, parameters: Mapping[str, str]) -> None:
        """Tell one who waits, with these parameters."""
        self._waiters[waiter] = parameters
        self._enter(waiter, waiter.put)

    def release(self, waiter: Waiter) -> None:
        """He does not wait any more."""
        if self._waiters.pop(waiter, None) is not None:
            self._disconnect(waiter, ANY_ID)

    @property
    def is_muted(self) -> bool:
        """Whether nobody is called."""
        return self._muted

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._change()

    def _enter(self, key: Hashable, receiver: Receiver) -> None:
        self.receivers[key] = receiver
        self._by_sender[ANY_ID].add(key)
        self._by_receiver[key].add(ANY_ID)
        self._change()

    def _disconnect(self, receiver_id: Hashable, sender_id: Hashable) -> None:
        # Here arrives everybody who leaves, by `disconnect` and by dying.
        super()._disconnect(receiver_id, sender_id)
        if sender_id == ANY_ID:
            self._links.pop(receiver_id, None)
        self._change()

    def _clear_state(self) -> None:
        super()._clear_state()
        self._links.clear()
        self._waiters.clear()
        self._change()

    def _change(self) -> None:
        self._cell = []
        if self.changed is not None:
            self.changed()

    # --- telling them ------------------------------------------------------------------------------------------------

    @property
    def audience(self) -> Audience:
        """Who would be told now, if the signal is not muted."""
        cell = self._cell
        if not cell:
            cell.append(self._snapshot())
        return cell[0]

    def _snapshot(self) -> Audience:
        # Copies are made in one piece; a loop over the tables themselves might be interrupted by a change.
        links = sorted(self._links.copy().values(), key=lambda link: link.order, reverse=self.backwards)
        waiters = self._waiters.copy().items()
        return Audience(
            tuple(Step(waiter.link(self.name or ""), parameters) for waiter, parameters in waiters),
            tuple(Step(link, {}) for link in links),
        )

    async def dispatch(self, sender: object, context: Mapping[str, Any], condition: Condition = None) -> Results:
        """Call all receivers, async or not, one after the other, in the current task.

        Parameters:
          sender: the first argument of those that were connected, and what they may have chosen by.
          context: the keywords.
          condition: what holds; receivers with a condition of their own hear only what has all of its items.

        Returns:
          the receivers that were called, each with what it has returned; nothing if the signal is muted.

        An exception of a receiver, or cancellation, comes out at once, and those behind it are not called.
        """
        if self._muted:
            return []
        return await run(self.audience, sender, context, condition)

    def send(
        self,
        sender: Any = None,
        /,
        *,
        _async_wrapper: Callable[[Receiver], Receiver] | None = None,
        **context: Any,
    ) -> Results:
        """Call all receivers, none of which may be async; see `blinker.Signal.send`.

        It cannot wait: whoever waits for events of this signal is told at once, whether he has room or not.

        Raises:
          RuntimeError: a receiver is async, and `_async_wrapper` was not given.
        """
        if not self._muted:
            for waiter, parameters in self._waiters.copy().items():
                waiter.put(self.name or "", {**context, **parameters})
        return _with_users_receivers(super().send(sender, _async_wrapper=_async_wrapper, **context))

    async def send_async(
        self,
        sender: Any = None,
        /,
        *,
        _sync_wrapper: Callable[[Receiver], Receiver] | None = None,
        **context: Any,
    ) -> Results:
        """Await all receivers, all of which have to be async; see `blinker.Signal.send_async`.

        Raises:
          RuntimeError: a receiver is not async, and `_sync_wrapper` was not given.
        """
        if not self._muted:
            await run(self.audience._replace(receivers=()), sender, context, None)
        return _with_users_receivers(await super().send_async(sender, _sync_wrapper=_sync_wrapper, **context))

    def receivers_for(self, sender: Any) -> Generator[Receiver, None, None]:
        """Those that `send` calls, in order; keyword receivers in a shape that takes a sender."""
        for link, _ in self.audience.receivers:
            receiver = link.receiver_for(sender, None)
            if receiver is not None:
                yield receiver if link.keywords is None else _SenderFirst(link, receiver)


class _SenderFirst(partial[Any]):
    """A keyword receiver as blinker calls it.  It is a partial, as blinker sees through one whether it is async."""

    def __new__(cls, link: Link, receiver: Receiver) -> _SenderFirst:
        return super().__new__(cls, _call_async if link.is_async else _call, link, receiver)


def _call(link: Link, receiver: Receiver, sender: object, /, **context: Any) -> Any:
    return link.call(receiver, sender, context)


async def _call_async(link: Link, receiver: Receiver, sender: object, /, **context: Any) -> Any:
    return await link.call(receiver, sender, context)


def _with_users_receivers(results: Results) -> Results:
    return [
        (receiver.args[1] if isinstance(receiver, _SenderFirst) else receiver, value) for receiver, value in results
    ]

"""A link: one receiver at one signal, with all that has to be known when it is called.

Rules of this file:

* What can be decided at connection is decided there: whether a receiver is async, which keywords it takes, where it
  stands in the order.  So a run over links looks nothing up.
* A link never changes; who is connected otherwise gets a new one.  Only the set of its senders is blinker's, and lives.
* What was connected weakly is held weakly here, too.  A link whose receiver has died is passed over.

It must not know signals.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

from blinker._utilities import make_id, make_ref

from .calling import is_async
from .signal_keywords import Keywords

__all__ = ["Audience", "Link", "Receiver", "Results", "Step", "run"]

Receiver = Callable[..., Any]
Results = list[tuple[Receiver, Any]]

_numbers = itertools.count()


class Link:
    """A receiver, connected.

    Parameters:
      receiver: what is called.
      keywords: what it takes; None calls it as blinker does, ``receiver(sender, **context)``.
      weak: whether the link lets it die.
      senders: the ids of the senders it hears; None for all of them.
      condition: it hears only what is sent with a condition that has all of these items; None hears everything.
      priority: those with a higher one are called earlier.
      rank: tells those of the same priority apart, lower ones earlier; then the older link is.

    Raises:
      TypeError: the receiver cannot be held weakly.
    """

    __slots__ = ("_weak", "condition", "is_async", "keywords", "order", "plain", "receiver", "senders")

    def __init__(
        self,
        receiver: Receiver,
        keywords: Keywords | None,
        *,
        weak: bool = False,
        senders: Collection[Hashable] | None = None,
        condition: Mapping[str, Any] | None = None,
        priority: int = 0,
        rank: int = 0,
    ) -> None:
        self.receiver = None if weak else receiver
        self._weak = make_ref(receiver) if weak else None
        self.keywords = keywords
        self.senders = senders
        self.condition = dict(condition) if condition else None
        self.order = (-priority, rank, next(_numbers))
        self.is_async = is_async(receiver)
        self.plain = not weak and senders is None and self.condition is None  # what is asked of most links

    def receiver_for(self, sender: object, condition: Mapping[str, Any] | None) -> Receiver | None:
        """The receiver, if it lives and hears this."""
        if self.senders is not None and make_id(sender) not in self.senders:
            return None
        if self.condition is not None and not (condition and self.condition.items() <= condition.items()):
            return None
        return self.receiver if self._weak is None else self._weak()

    def call(self, receiver: Receiver, sender: object, context: Mapping[str, Any]) -> Any:
        """Call the receiver of this link in its way; what it returns may have to be awaited."""
        if self.keywords is None:
            return receiver(sender, **context)
        return receiver(**self.keywords.choose(context))


class Step(NamedTuple):
    """A link, and what it is told beside the context: the parameters of the name by which it hears."""

    link: Link
    parameters: Mapping[str, str]


class Audience(NamedTuple):
    """Who is told, in order.

    Parameters:
      waiters: whoever waits for events; he is told first, and never in the results.
      receivers: what was connected and subscribed.
    """

    waiters: tuple[Step, ...]
    receivers: tuple[Step, ...]


async def run(
    audience: Audience, sender: object, context: Mapping[str, Any], condition: Mapping[str, Any] | None
) -> Results:
    """Call all that hear this, one after the other, in the current task.

    Returns:
      the receivers that were called, each with what it has returned.

    An exception ends the run, and so does cancellation: those behind are not called.
    """
    for steps in audience:  # the receivers last: theirs are the results
        results: Results = []
        for link, parameters in steps:
            receiver = link.receiver if link.plain else link.receiver_for(sender, condition)
            if receiver is None:
                continue
            value = link.call(receiver, sender, {**context, **parameters} if parameters else context)
            if link.is_async or (value is not None and inspect.isawaitable(value)):
                value = await value
            results.append((receiver, value))
    return results

"""A scope that a connection lends to one request after the other.

Requests of one connection run one after another, and what cancels one nearly always ends the connection.  So a scope
that is entered once, around the loop of the requests, serves as the scope of each in turn, and no request has to make
one.  A scope of its own has a request only where something stands between its handler and the loop that has to see
`RequestCancelled`.

Rules:

* The scope is cancelled only for the request that it is lent to, or while no request runs.
* A scope that has been cancelled has to be left before anything else can be awaited.  So what a cancelled handler has
  ended with *unwinds* to the loop: whoever stands on the way sees `Lifetime.unwinding`, leaves behind what it still
  has to do (`Exchange.continuation`), and gets out of the way.  Outside, `Lifetime.outcome` tells what it was, and the
  rest is done.  Then the loop enters a new scope.
* The deadline of the scope is an alarm: it is moved twice for each request, and hardly ever passes.
"""

from __future__ import annotations

from typing import Protocol

import trio

from .alarm import Alarm

__all__ = ["Standing"]


class Standing(Protocol):
    """A connection that lends its scope.

    Attributes:
      scope: stands around the loop of its requests.
      alarm: the deadline of that scope; when it rings, `Lifetime.ring` is called.
      task: runs that loop, and in it the handlers.
    """

    scope: trio.CancelScope
    alarm: Alarm
    task: trio.lowlevel.Task

"""One request, cancelled at one of its checkpoints, and everything that went wrong with it.

Rules of this file:

* The request comes over a real connection, through the real server and dispatcher.  A "disconnect" is a peer that
  resets the connection; for the other reasons the lifetime of the request is cancelled, which is what the server does.
* A request is judged once its connection has ended and the tasks it has started had a moment to end too.
* A trial ends in time.  What does not end by itself is a problem, and is cancelled.

It must not know that there are other trials.
"""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, TypeVarTuple, get_args

import trio
import trio.testing
from trio.lowlevel import Task

from ..app.app import App
from ..errors import HTTPError, RemoteProtocolError, RequestCancelled
from ..http.exchange import ConnInfo, Exchange, Handler
from ..http.lifetime import Lifetime
from ..http.writer import Writer
from .checkpoints import Checkpoints
from .error_log import ErrorLog
from .leaks import coroutines_never_awaited, unfinished_generators
from .network import open_network
from .peer import Peer, PeerResponse
from .place import place_of
from .watch import Watch

__all__ = ["ALL_REASONS", "Reason", "Scenario", "Trial"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Reason = Literal["disconnect", "timeout", "shutdown", "application"]
ALL_REASONS: tuple[Reason, ...] = get_args(Reason)

_WRITE = Writer.write.__code__

SETTLE = 1.0  # seconds that tasks outside the request may go on after it


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is tried again and again.

    Attributes:
      wire: the bytes of the request; each piece is sent when everything waits for it.
      endless: the response does not end by itself; its head is enough, unless the request is cancelled.
      patience: seconds for everything.
      watch: has to be balanced afterwards.
      after: called afterwards; raises if something is wrong.
    """

    app: App
    method: str
    wire: Sequence[bytes]
    endless: bool
    patience: float
    watch: Watch
    after: Callable[[], object] | None


class Trial:
    """A request.

    Parameters:
      reason: what it is cancelled for; None for not at all.
      at: the checkpoint it is cancelled at, counted from 1.

    Attributes:
      problems: what went wrong, in words.
      response: what the client got; None for nothing, or not all of it.
      handled: whether a handler ran.
      stuck: whether it had to be ended by force.
      checkpoints: what was counted.
    """

    def __init__(self, scenario: Scenario, reason: Reason | None = None, at: int = 0) -> None:
        self.problems: list[str] = []
        self.response: PeerResponse | None = None
        self.handled = False
        self.stuck = False
        self.checkpoints = Checkpoints(at, self._cancel)
        self._scenario = scenario
        self._reason = reason
        self._dispatch: Handler
        self._ended = trio.Event()  # the server's side of the connection
        self._statuses: list[int | None] = []  # in the access log
        self._writing = False  # when it was cancelled
        self._recorded = trio.Event()
        self._peer: Peer
        self._lifetime: Lifetime
        self._exchange: Exchange | None = None

    async def run(self) -> None:
        """Send the request, wait for the end, and judge.  If cancelled, so is the request."""
        errors = ErrorLog()
        self._scenario.watch.clear()
        with coroutines_never_awaited() as never_awaited, unfinished_generators(self.checkpoints.owns) as unfinished:
            with errors:
                await self._run_counted(errors)
            self.problems += [f"the async generator {name} was not closed" for name in unfinished()]
        self.problems += never_awaited
        for record in errors.records:
            what = f": {record.exc_info[1]!r}" if record.exc_info else ""
            self.problems.append(f"the server logged an error: {record.getMessage()}{what}")
        self.problems += self._scenario.watch.problems
        await self._ask_user()

    async def _ask_user(self) -> None:
        if self._scenario.after is not None:
            try:
                result = self._scenario.after()
                if inspect.isawaitable(result):
                    await result
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is the user's verdict
                self.problems.append(f"afterwards: {type(exc).__name__}: {exc}")

    # --- the client --------------------------------------------------------------------------------------------------

    async def _run_counted(self, errors: ErrorLog) -> None:
        trio.lowlevel.add_instrument(self.checkpoints)
        try:
            async with open_network(self._serve, errors=errors, leave_timeout=0) as network:
                self._peer = Peer(network.connect())
                with trio.move_on_after(self._scenario.patience) as patience:
                    await self._converse()
                    await self._peer.disconnect()
                    await self._ended.wait()
                if patience.cancelled_caught:
                    self._judge_stuck()
                else:
                    self._judge_answer()
                    await self._judge_tasks()
        finally:
            trio.lowlevel.remove_instrument(self.checkpoints)

    async def _converse(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            try:
                if self._scenario.endless and self._reason is None:
                    self.response = await self._peer.receive_head(self._scenario.method)
                else:
                    self.response = await self._peer.receive_response(self._scenario.method)
                    await self._recorded.wait()  # whoever leaves before the handler has ended, cancels it
            except (RemoteProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
                self.response = None
            nursery.cancel_scope.cancel()

    async def _send(self) -> None:
        try:
            for number, piece in enumerate(self._scenario.wire):
                if number:
                    await trio.testing.wait_all_tasks_blocked()
                await self._peer.send(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the response tells

    # --- the server --------------------------------------------------------------------------------------------------

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            # The app's own server, and this trial between it and the app, and in the place of its access log.
            with self._scenario.app._serving() as server:
                self._dispatch, server._handler, server._observer = server._handler, self._handle, self
                await server.serve_stream(stream)
        finally:
            self._ended.set()

    async def _handle(self, exchange: Exchange) -> None:
        self._exchange = exchange
        _trials[exchange.lifetime] = self
        exchange.lifetime.__class__ = _ObservedLifetime  # made by the connection, so this is the way in
        await self._dispatch(exchange)

    @contextmanager
    def handling(self, lifetime: Lifetime) -> Iterator[None]:
        """The current task runs the handler, within `lifetime`."""
        self.handled, self._lifetime = True, lifetime
        self.checkpoints.begin(lifetime)
        try:
            yield
        except RequestCancelled:
            raise
        except Exception as exc:
            if isinstance(exc, HTTPError) and exc.quiet:  # others are in the log
                self._judge_swallowing(lifetime, f"raised {exc!r}")
            raise
        else:
            self._judge_swallowing(lifetime, "returned")
        finally:
            self.checkpoints.end()

    def _cancel(self, task: Task) -> None:
        self._writing = any(frame.f_code is _WRITE for frame, _ in task.iter_await_frames())
        if self._reason == "disconnect":
            self._peer.reset()
        else:
            self._lifetime.cancel(self._reason or "application")

    def record(self, exchange: Exchange) -> None:
        """See `trioframe.http.observer.Observer`."""
        if exchange.over:  # else it has become a WebSocket
            self._statuses.append(exchange.status)
            self._recorded.set()

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        """See `trioframe.http.observer.Observer`."""
        self.problems.append(f"the server refused the request with {status}: {error}")
        self._recorded.set()

    # --- what went wrong ---------------------------------------------------------------------------------------------

    def _judge_swallowing(self, lifetime: Lifetime, instead: str) -> None:
        # A `cancellable` block may stand up for its handler, so that the request's own scope is not cancelled.
        scope = lifetime.scope
        if self.checkpoints.interrupted and scope is not None and scope.cancel_called and not scope.cancelled_caught:
            self.problems.append(f"the handler swallowed its cancellation, and {instead}")

    def _judge_stuck(self) -> None:
        self.stuck = True
        where = self.checkpoints.handler_place or "the handler has ended, its connection has not"
        self.problems.append(f"it did not end within {self._scenario.patience:g} s: {where}")

    def _judge_answer(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # it was refused, and that has been said
        answered = None if self.response is None else self.response.status
        if self.checkpoints.place is not None and self._reason == "disconnect":
            lifetime = exchange.lifetime  # whose first reason counts, and that may be another one
            caught = lifetime.scope is not None and lifetime.scope.cancelled_caught
            early = lifetime.reason == "disconnect" and caught and not exchange.finished
            if early and self._statuses != [499]:
                self.problems.append(f"the access log says {self._statuses} and not [499]")
        elif answered is None:
            # What has begun is cut off, and a write that is cancelled - of a 100, say - is the connection's last.
            if self.checkpoints.place is None or not (exchange.responded or self._writing):
                self.problems.append("the client got no answer")
        elif exchange.finished and self._statuses != [answered]:
            self.problems.append(f"the client got {answered}, the access log says {self._statuses}")

    async def _judge_tasks(self) -> None:
        with trio.move_on_after(SETTLE):
            await self.checkpoints.wait_started_exited()
        for task in self.checkpoints.started:
            self.problems.append(f"the task {task.name} goes on after it, at {place_of(task)}")


_trials: weakref.WeakKeyDictionary[Lifetime, Trial] = weakref.WeakKeyDictionary()


class _ObservedLifetime(Lifetime):
    """Tells its trial what the boundary of the request sees."""

    async def run(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        with _trials[self].handling(self):
            return await super().run(fn, *args)

    async def run_in_turn(self, fn: Callable[[Any, Any], Awaitable[T]], a: Any, b: Any, limit: float = math.inf) -> T:
        with _trials[self].handling(self):
            return await super().run_in_turn(fn, a, b, limit)

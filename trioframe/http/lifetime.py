"""How long one request lives, and how it ends early.

Trio's `Cancelled` cannot be raised by hand, cannot be subclassed and must not be swallowed.  So a request is cancelled
in two languages: *inside*, the handler and all its child tasks see plain `trio.Cancelled`; *outside*, at the boundary
that `run` and `run_in_turn` draw, everybody sees `RequestCancelled(reason)`.

Rules of this file:

* The first reason wins; whatever cancels later changes nothing.
* The cancellation takes effect at one point in time, the *cut*: either now (`cancel`) or a deadline still to come.
  Every scope of the request is derived from it by `_arrange`, which alone moves deadlines while the handler runs:

  ====================  ==========================================================
  scope                 is cancelled at
  ====================  ==========================================================
  request               the cut; but not while a `cancellable` block stands up for it, and then after the grace
  `cancellable` block   the cut
  `shielded` block      its own timeout after the cut, or after a failure in another task of the request
  children              the cut
  ====================  ==========================================================

  ... and none later than `force` says.

* What stands around the handler is not cancelled with it.  It is bounded by `guard`: if that rings, the standing scope
  is cancelled all the same, and the request unwinds as if its deadline had passed.
* A real error that comes out of a cancelled handler stays an error, with a note that says when it came.  What `pardon`
  knows to be none counts as a return, of None.
* A cancellation from outside (the embedding program's) is never converted: Trio does not let our scope catch it.

What the peer does is told to `peer_watch`.  The scope of the request is its own (`run`), or the standing one of its
connection, lent to it (`run_in_turn`, `standing`).

It must not know who carries the request, nor what is answered.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar, TypeVarTuple, cast

import trio

from ..errors import CancelReason, RequestCancelled
from .alarm import Alarm
from .blocks import Block, Cancellable, Shielded
from .containment import split_fatal
from .half_close import Ebb
from .judgement import raise_judged
from .peer_watch import PeerWatch
from .request_nursery import RequestNursery, Spawn
from .standing import Standing
from .terms import DEFAULT_TERMS, Terms
from .why import WHY

__all__ = ["Lifetime"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Lifetime(PeerWatch):
    """The lifetime of one request: its deadline, its cancellation, its children.

    Parameters:
      spawn: starts a task that the connection owns; used for `nursery`, only when it is used.
      terms: what holds for every request of the server.
      standing: lends its scope to `run_in_turn`; without one, `run_in_turn` is `run`.

    Attributes:
      scope: around the handler; None before it runs.
      reason: why the request was cancelled; None if it was not.
      disconnected: whether the peer will send no more.
      lost: whether nothing can be sent to the peer any more.
      running: whether the handler runs.
      guarded: whether a limit of `guard` holds.
      suspended: set by what `run` runs: another `run` will go on with it, and only that one joins the children.
      unwinding: whether the standing scope has to be left before the outcome can be told.
      on_disconnect: what a peer that leaves does to the handler.  With "ignore" only `disconnected` is set.
      left: set when the peer has left, or the request is over; made when somebody waits for it.
      ebb: the moment that a half-closed peer has left to the handler.
      latest: when every shield and grace ends at the latest; see `force` and `limit_blocks`.
      pardon: whether what has left the scope is no error, but says that all is over; None: it never is.
    """

    scope: trio.CancelScope | None = None
    suspended = False
    guarded = False
    latest: float = math.inf
    pardon: Callable[[BaseException], bool] | None = None
    _timer: trio.CancelScope | Alarm | None = None  # has the deadline of `scope`
    _deadline = math.inf
    _time_left: float | None = None  # of a limit that is held
    _cut_at = math.inf  # when it was cancelled
    _grace_until = math.inf  # once a `cancellable` block was cancelled
    _failed_at = math.inf  # when the handler or a child first raised
    _failed_during: CancelReason | None = None  # the cancellation it raised in
    _blocks: tuple[Block, ...] = ()
    _unwound_with: BaseException | None = None
    _result: tuple[Any] | None = None

    def __init__(self, spawn: Spawn, terms: Terms = DEFAULT_TERMS, standing: Standing | None = None) -> None:
        self._spawn = spawn
        self._terms = terms
        self._standing = standing
        # What is looked at for every request is stored, and so found sooner than what the class has.
        self.reason: CancelReason | None = None
        self.disconnected = self.lost = self.unwinding = self._scope_cancelled = self._deadline_is_explicit = False
        self.left: trio.Event | None = None
        self.ebb: Ebb | None = None
        self._nursery: RequestNursery | None = None

    # --- the boundary ------------------------------------------------------------------------------------------------

    async def run(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `fn(*args)`, the handler, within this lifetime; join its children; return what it returned.

        Raises:
          RequestCancelled: the lifetime was cancelled and nothing else went wrong.
          Exception: whatever the handler raised; with a note if that was while it was being cancelled.

        Cancellation from outside goes through as it is; the children have ended by then.
        """
        self._begin(trio.lowlevel.current_task())
        self.suspended = False
        if self._standing is not None:
            self._standing.alarm.deadline = math.inf  # that of the head has been met
        self.scope = self._timer = trio.CancelScope(deadline=self._deadline)
        self._arrange()
        try:
            with self.scope:
                try:
                    result = await fn(*args)
                    if self._nursery is not None and not self.suspended:
                        await self._nursery.join()
                except BaseException as exc:  # noqa: BLE001 - raised again
                    self.suspended = False
                    await self._end_children(exc)
                return result
        except BaseException as exc:  # noqa: BLE001 - raised again unless it is pardoned
            self._judge(exc)
            return cast("T", None)
        finally:
            self._over()
        raise RequestCancelled(self.settle())

    async def run_in_turn(self, fn: Callable[[Any, Any], Awaitable[T]], a: Any, b: Any, limit: float = math.inf) -> T:
        """As `run`, in the standing scope, `fn(a, b)`, which has to begin its response by the time `limit`.

        If the scope was cancelled, `unwinding` is set, and what it returns or raises is not meant for the caller:
        nothing more is to be awaited before the scope was left.  Then `outcome` returns or raises it.
        """
        if not self._deadline_is_explicit:
            self._deadline = limit
        standing = self._standing
        if standing is None:
            return await self.run(fn, a, b)
        self.running = True
        self._task = standing.task
        self.scope = standing.scope
        self._timer = alarm = standing.alarm
        alarm.deadline = self._deadline
        if self.disconnected or self.reason is not None:
            self._begin(standing.task)
            self._arrange()
        try:
            result = await fn(a, b)
            if self._nursery is not None:
                await self._nursery.join()
        except BaseException as exc:  # noqa: BLE001 - raised again
            await self._leave_with(exc)
        finally:
            self.running = False
            if self.ebb is not None or self._nursery is not None:
                self._over()
        if self._scope_cancelled:  # and the handler has finished all the same
            self._result = (result,)
            self.unwinding = True
        return result

    async def _leave_with(self, exc: BaseException) -> NoReturn:
        """Leave the standing scope with what `exc` comes to; if it was not cancelled, with what that means outside."""
        try:
            await self._end_children(exc)
        except BaseException as comes_to:
            if not self._scope_cancelled:
                raise_judged(comes_to, self._failed_during, self.settle)
            self.unwinding = True
            raise
        finally:
            del exc  # its traceback holds this frame

    async def _end_children(self, exc: BaseException) -> NoReturn:
        """The handler, or a child, has raised `exc`: end the children, and raise what has been raised in all."""
        try:
            self._note_failure()
            if self._nursery is not None:
                await self._nursery.close(exc)
            raise exc
        finally:
            del exc  # its traceback holds this frame

    def unwound(self, error: BaseException) -> None:
        """The standing scope has not caught `error`, with which it was left."""
        self._unwound_with = error

    def outcome(self) -> Any:
        """What the handler has returned; raises as `run` does.  To be asked once, when the standing scope was left."""
        self.unwinding = False
        error, self._unwound_with = self._unwound_with, None
        result, self._result = self._result, None
        if error is not None:
            try:
                self._judge(error)
            finally:
                del error  # its traceback holds this frame
            return None
        if result is None:
            raise RequestCancelled(self.settle())
        return result[0]

    def _judge(self, error: BaseException) -> None:
        """Raise `error` as those outside are to see it; if it is pardoned, only why the request was cancelled."""
        rest, fatal = split_fatal(error)  # as a cancellation from outside
        try:
            if self.pardon is None or rest is None or not self.pardon(rest):
                raise_judged(error, self._failed_during, self.settle)
            if fatal is not None:
                raise fatal
        finally:
            del error, rest, fatal  # their tracebacks hold this frame
        if self.reason is not None:
            raise RequestCancelled(self.reason) from None

    def _begin(self, task: trio.lowlevel.Task) -> None:
        self.running = True
        self._task = task
        if self.disconnected and self.on_disconnect == "cancel":
            self._begin_disconnected()

    def _over(self) -> None:
        self.running = False
        self._task = None
        if self.ebb is not None:
            self.ebb.stop()
            self.ebb = None
        if self._nursery is not None and not self.suspended:
            self._nursery.expire()

    def _note_failure(self) -> None:
        """Something of this request has raised; remember when, and in which cancellation."""
        if self._failed_at == math.inf:
            self._failed_at = trio.current_time()
            self._failed_during = self.reason or ("timeout" if self._failed_at >= self._deadline else None)
            if self._blocks:
                self._arrange()

    # --- cancelling --------------------------------------------------------------------------------------------------

    def cancel(self, reason: CancelReason = "application") -> None:
        """End the request now, for `reason`; changes nothing if it was cancelled, or its deadline passed, before.

        What is guarded is torn by a shutdown alone, for which it would have to be torn later, without an answer.
        """
        if self.reason is None:
            self.settle(reason)
            self._arrange()
        if reason == "shutdown" and self.guarded and not self.running:
            self._unwind(WHY[reason])

    def force(self, within: float = 0) -> None:
        """End the request as "shutdown", and let no shield and no grace hold it up for more than `within` seconds."""
        self.latest = min(self.latest, trio.current_time() + within)
        self.cancel("shutdown")
        self._arrange()

    def limit_blocks(self, seconds: float) -> None:
        """Let what is shielded from now on end within `seconds`: the handler is over, and what follows is bounded."""
        self.latest = min(self.latest, trio.current_time() + seconds)

    @property
    def deadline(self) -> float:
        """When the request is cancelled with "timeout", in seconds of `trio.current_time()`; inf for never."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        if not value > -math.inf:
            raise ValueError(f"a deadline is a time of trio.current_time(), or inf, not {value!r}")
        self._deadline = value
        self._deadline_is_explicit = True
        self._arrange()

    def limit_start(self, seconds: float) -> None:
        """Let the handler begin its response within `seconds`, unless it has set a deadline of its own."""
        if not self._deadline_is_explicit and seconds != math.inf:
            self._deadline = trio.current_time() + seconds
            self._arrange()

    def response_started(self) -> None:
        """The response has begun: the limit of `limit_start` is met."""
        self._time_left = None
        if not self._deadline_is_explicit and self._deadline != math.inf:
            self._deadline = math.inf
            if self.running:
                self._arrange()

    def hold_limit(self) -> None:
        """Stop the clock of `limit_start`: the handler waits for the client, whose slowness has limits of its own."""
        if not self._deadline_is_explicit and self._deadline != math.inf:
            self._time_left = self._deadline - trio.current_time()
            self._deadline = math.inf
            self._arrange()

    def resume_limit(self) -> None:
        """Let it go on."""
        if self._time_left is not None:
            time_left, self._time_left = self._time_left, None
            self.limit_start(time_left)

    # --- what a handler may ask for ----------------------------------------------------------------------------------

    @property
    def nursery(self) -> RequestNursery:
        """The nursery of this request's children, opened at the first use.  Outside of the handler it takes none."""
        if self._nursery is None:
            nursery = RequestNursery(self._spawn, self._child_failed)
            if not self.running:
                nursery.expire()
                return nursery
            self._nursery = nursery
            self._arrange()
        return self._nursery

    def start_child(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Start a task in `nursery`, for the handler, which runs and waits: with its context variables.

        Raises:
          RuntimeError: the children were cancelled.
        """
        nursery = self.nursery
        if self._task is not None:
            self._task.context.run(nursery.start_soon, async_fn)

    def cancel_children(self) -> None:
        """Cancel the children of this request, if there are any; `run` still waits for them."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel(reason="their work is not wanted any more")

    def owns(self, task: trio.lowlevel.Task) -> bool:
        """Whether `task` is the handler, or descends from it or from `nursery`."""
        hosts = (self._task, None if self._nursery is None else self._nursery.host)
        ancestor: trio.lowlevel.Task | None = task
        while ancestor is not None and ancestor not in hosts:
            nursery = ancestor.parent_nursery
            ancestor = None if nursery is None else nursery.parent_task
        return ancestor is not None

    def cancellable(self) -> Cancellable:
        """A block that a cancellation of the request ends, raising `RequestCancelled` there."""
        return Cancellable(self)

    def shielded(self, timeout: float) -> Shielded:
        """A block that a cancellation of the request waits for, `timeout` seconds at most."""
        return Shielded(self, timeout)

    # --- scopes ------------------------------------------------------------------------------------------------------

    def _child_failed(self) -> None:
        # As in any nursery: the first child that fails ends the others and the body.  `run` raises its exception.
        self._note_failure()
        self._cancel_scope("a task in request.nursery failed")

    def _arrange(self) -> None:
        """Move every deadline to where the table at the top puts it."""
        cut = min(self._cut_at, self._deadline)
        deferred = False
        for block in self._blocks:
            block.arrange(cut, self._failed_at, self.reason)
            deferred = deferred or block.defers
        if self._nursery is not None:
            self._nursery.arrange(cut, self.reason)
        if self._timer is None or not self.running:
            return
        if deferred or self._grace_until != math.inf:
            self._timer.deadline = min(math.inf if deferred else self._grace_until, self.latest)
        elif self.reason is not None:
            self._cancel_scope(WHY[self.reason])
        else:
            self._timer.deadline = cut

    def guard(self, until: float) -> None:
        """Let what stands around the handler end by the time `until`, or else cancel the standing scope, and unwind.

        Holds until `guarded` is set to False, or the handler runs.
        """
        if self._standing is not None:
            self._standing.alarm.deadline = until
            self.guarded = True

    async def heed_guard(self) -> None:
        """Go no further if the guard has rung, and whoever waited then has not noticed; else no checkpoint."""
        if self.unwinding:
            await trio.lowlevel.checkpoint()

    def ring(self) -> None:
        """The deadline of the standing scope has passed."""
        if self.running:
            self._cancel_scope(WHY[self.reason or "timeout"])
        elif self.guarded:
            self.settle()
            self._arrange()
            self._unwind("what stands around the handler took too long")

    def _unwind(self, why: str) -> None:
        self.unwinding = True
        if self._standing is not None:
            self._standing.scope.cancel(reason=why)

    def _cancel_scope(self, why: str) -> None:
        if self.scope is not None and self.running:
            self._scope_cancelled = True
            self.scope.cancel(reason=why)

    def settle(self, default: CancelReason = "timeout") -> CancelReason:
        """The reason; decided now if it was a deadline that passed, or an operation that found out first."""
        if self.reason is None:
            self.reason = "timeout" if trio.current_time() >= self._deadline else default
            self._cut_at = trio.current_time()
        return self.reason

    def enter(self, block: Block) -> None:
        self._blocks = (*self._blocks, block)
        self._arrange()

    def leave(self, block: Block, *, caught: bool) -> None:
        self._blocks = tuple(other for other in self._blocks if other is not block)
        if caught and block.defers:
            self.settle()
            self._grace_until = min(self._grace_until, trio.current_time() + self._terms.grace)
        self._arrange()

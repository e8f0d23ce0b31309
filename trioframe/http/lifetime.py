"""How long one request lives, and how it ends early.

Trio's `Cancelled` cannot be raised by hand, cannot be subclassed and must not be swallowed.  So a request is cancelled
in two languages: *inside*, the handler and all its child tasks see plain `trio.Cancelled`; *outside*, at the boundary
that `Lifetime.run` draws, everybody sees `RequestCancelled(reason)`.

Rules of this file:

* The first reason wins; whatever cancels later changes nothing.
* The cancellation takes effect at one point in time, the *cut*: either now (`cancel`) or a deadline still to come.
  Every scope of the request is derived from the cut by `_arrange`, the only place that moves a deadline:

  ====================  ==========================================================
  scope                 is cancelled at
  ====================  ==========================================================
  request               the cut; plus the grace, once a `cancellable` block stood up for the handler
  `cancellable` block   the cut
  `shielded` block      the cut plus its own timeout
  children              the cut
  ====================  ==========================================================

  ... and none later than `force` says.

* A peer that half-closes (FIN) may still be reading.  Its handler is given a moment, `HALF_CLOSE_GRACE`, to answer
  without waiting; sending holds that moment up (`_Ebb`).  A reset ends the request at once.
* A real error that comes out of a cancelled handler stays an error, with a note that says when it came.
* A cancellation from outside (the embedding program's) is never converted: Trio does not let our scope catch it.

It must not know who carries the request, nor what is answered.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, TypeVar, TypeVarTuple

import trio

from ..errors import CancelReason, RequestCancelled
from .request_nursery import RequestNursery, Spawn

__all__ = ["HALF_CLOSE_GRACE", "Lifetime", "Spawn"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Long enough for a handler that only computes and sends, far shorter than anything a person or a client would notice.
HALF_CLOSE_GRACE = 0.01

DEFAULT_CANCEL_GRACE = 5.0

_WHY: dict[CancelReason, str] = {
    "disconnect": "the client left",
    "timeout": "the deadline of the request passed",
    "shutdown": "the server is stopping",
    "reset": "the client reset the stream",
    "application": "request.cancel() was called",
}


class Lifetime:
    """The lifetime of one request: its deadline, its cancellation, its children.

    Parameters:
      spawn: starts a task that the connection owns; used for `nursery`, only when it is used.
      grace: seconds a handler may clean up after a `cancellable` block has been cancelled.
      half_close: what a FIN of the peer means; "allow" ignores it.
    """

    __slots__ = (
        "__weakref__",
        "_blocks",
        "_cut_at",
        "_deadline",
        "_deadline_is_explicit",
        "_disconnected_event",
        "_ebb",
        "_grace",
        "_half_close",
        "_in_grace",
        "_latest",
        "_nursery",
        "_on_disconnect",
        "_running",
        "_spawn",
        "_time_left",
        "disconnected",
        "lost",
        "reason",
        "scope",
    )

    def __init__(
        self,
        spawn: Spawn,
        *,
        grace: float = DEFAULT_CANCEL_GRACE,
        half_close: Literal["disconnect", "allow"] = "disconnect",
    ) -> None:
        self.scope = trio.CancelScope()
        self.reason: CancelReason | None = None
        self.disconnected = False  # the peer will send no more
        self.lost = False  # nothing can be sent to the peer any more
        self._spawn = spawn
        self._grace = grace
        self._half_close = half_close
        self._on_disconnect: Literal["cancel", "ignore"] = "cancel"
        self._deadline = math.inf
        self._deadline_is_explicit = False
        self._time_left: float | None = None  # of a limit that is held
        self._ebb: _Ebb | None = None
        self._cut_at = math.inf  # when `cancel` was called
        self._latest = math.inf  # what `force` said
        self._in_grace = False
        self._running = False
        self._blocks: list[_Block] = []
        self._nursery: RequestNursery | None = None
        self._disconnected_event: trio.Event | None = None

    # --- the boundary ------------------------------------------------------------------------------------------------

    async def run(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `fn(*args)`, the handler, within this lifetime; join its children; return what it returned.

        Raises:
          RequestCancelled: the lifetime was cancelled and nothing else went wrong.
          Exception: whatever the handler raised; with a note if that was while it was being cancelled.

        Cancellation from outside goes through as it is; the children have ended by then.
        """
        self._running = True
        if self.disconnected and self._on_disconnect == "cancel":
            self._begin_disconnected()
        try:
            with self.scope:
                return await self._run_with_children(fn, *args)
        except RequestCancelled as exc:
            # Raised by an operation that found the peer gone, or let through from a `cancellable` block.
            if self._settle(exc.reason) != exc.reason:
                raise RequestCancelled(self._settle()) from exc
            raise
        except BaseExceptionGroup as group:
            raise self._sift(group) from None
        except Exception as exc:
            self._annotate(exc)
            raise
        finally:
            self._running = False
            if self._ebb is not None:
                self._ebb.stop()
            if self._nursery is not None:
                self._nursery.expire()
        raise RequestCancelled(self._settle())

    async def _run_with_children(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        try:
            result = await fn(*args)
        except BaseException as exc:
            if self._nursery is not None:
                await self._nursery.close(exc)
            raise
        if self._nursery is not None:
            await self._nursery.join()
        return result

    def _sift(self, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """What is left of a group without the `RequestCancelled` that several children may have met."""
        met, rest = group.split(RequestCancelled)
        if rest is None and met is not None:
            return RequestCancelled(self._settle("disconnect"))
        error: BaseException = group if rest is None else rest
        self._annotate(error)
        return error

    def _annotate(self, error: BaseException) -> None:
        if reason := self.reason or ("timeout" if trio.current_time() >= self._deadline else None):
            error.add_note(f"raised while the request was being cancelled: {_WHY[reason]}")

    # --- cancelling --------------------------------------------------------------------------------------------------

    def cancel(self, reason: CancelReason = "application") -> None:
        """End the request now, for `reason`.  Cancelling again changes nothing."""
        if self.reason is None:
            self.reason = reason
            self._cut_at = trio.current_time()
            self._arrange()

    def force(self, within: float = 0) -> None:
        """End the request as "shutdown", and let no shield and no grace hold it up for more than `within` seconds."""
        self._latest = min(self._latest, trio.current_time() + within)
        self.cancel("shutdown")
        self._arrange()

    @property
    def deadline(self) -> float:
        """When the request is cancelled with "timeout", in seconds of `trio.current_time()`; inf for never."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
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

    # --- the peer ----------------------------------------------------------------------------------------------------

    @property
    def on_disconnect(self) -> Literal["cancel", "ignore"]:
        """What a peer that leaves does to the handler.  With "ignore" only `disconnected` is set."""
        return self._on_disconnect

    @on_disconnect.setter
    def on_disconnect(self, value: Literal["cancel", "ignore"]) -> None:
        self._on_disconnect = value
        if value == "ignore" and self._ebb is not None:
            self._ebb.stop()

    def peer_half_closed(self) -> None:
        """The peer sent FIN: it will send no more, but it may still read."""
        if self._half_close == "disconnect":
            self._mark_disconnected()
            if self._running and self._on_disconnect == "cancel":
                self._begin_disconnected()

    def peer_reset(self) -> None:
        """The peer is gone for good."""
        self.lost = True
        self._mark_disconnected()
        if self._running and self._on_disconnect == "cancel":
            self._begin_disconnected()

    def _begin_disconnected(self) -> None:
        if self.lost:
            self.cancel("disconnect")
        elif self._ebb is None:
            self._ebb = _Ebb(self)
            self._spawn(self._ebb.run)

    def sending(self) -> None:
        """Something is being sent: a half-closed peer may be reading it."""
        if self._ebb is not None:
            self._ebb.hold()

    def sent(self) -> None:
        """It was sent: the moment of a half-closed peer starts anew."""
        if self._ebb is not None:
            self._ebb.restart()

    async def wait_disconnected(self) -> None:
        """Wait until the peer has left.  Cancellation leaves nothing behind."""
        if self.disconnected:
            await trio.lowlevel.checkpoint()
            return
        if self._disconnected_event is None:
            self._disconnected_event = trio.Event()
        await self._disconnected_event.wait()

    def _mark_disconnected(self) -> None:
        self.disconnected = True
        if self._disconnected_event is not None:
            self._disconnected_event.set()

    # --- what a handler may ask for ----------------------------------------------------------------------------------

    @property
    def nursery(self) -> RequestNursery:
        """The nursery of this request's children; opened when it is first used."""
        if self._nursery is None:
            self._nursery = RequestNursery(self._spawn, self._child_failed)
            if not self._running:
                self._nursery.expire()
            self._arrange()
        return self._nursery

    def cancellable(self) -> Cancellable:
        """A block that a cancellation of the request ends, raising `RequestCancelled` there."""
        return Cancellable(self)

    def shielded(self, timeout: float) -> Shielded:
        """A block that a cancellation of the request waits for, `timeout` seconds at most."""
        return Shielded(self, timeout)

    def _child_failed(self) -> None:
        # As in any nursery: the first child that fails ends the others and the body.  `run` raises its exception.
        self.scope.cancel(reason="a task in request.nursery failed")

    # --- scopes ------------------------------------------------------------------------------------------------------

    def _cut(self) -> float:
        return min(self._cut_at, self._deadline)

    def _arrange(self) -> None:
        """Move every deadline to where the table at the top puts it."""
        cut = self._cut()
        deferred = self._in_grace
        for block in self._blocks:
            block.arrange(cut, self.reason)
            deferred = deferred or block.defers
        if self._nursery is not None:
            self._nursery.arrange(cut, self.reason)
        if deferred:
            self.scope.deadline = min(cut + self._grace, self._latest)
        elif self.reason is not None:
            self.scope.cancel(reason=_WHY[self.reason])
        else:
            self.scope.deadline = cut

    def _settle(self, default: CancelReason = "timeout") -> CancelReason:
        """The reason; decided now if it was a deadline that passed, or an operation that found out first."""
        if self.reason is None:
            self.reason = "timeout" if trio.current_time() >= self._deadline else default
            self._cut_at = trio.current_time()
        return self.reason

    def _enter(self, block: _Block) -> None:
        self._blocks.append(block)
        self._arrange()

    def _leave(self, block: _Block, *, caught: bool) -> None:
        self._blocks.remove(block)
        if caught and block.defers:
            self._settle()
            self._in_grace = True
        self._arrange()


class _Ebb:
    """The moment a half-closed peer leaves to its handler, kept by a task of its own.

    Such a task exists only while a request runs whose peer has half-closed.
    """

    __slots__ = ("_lifetime", "_scope", "_stopped")

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._scope = trio.CancelScope(deadline=trio.current_time() + HALF_CLOSE_GRACE)
        self._stopped = False

    async def run(self) -> None:
        with self._scope:
            await trio.sleep_forever()
        if not self._stopped:
            self._lifetime.cancel("disconnect")

    def hold(self) -> None:
        self._scope.deadline = math.inf

    def restart(self) -> None:
        self._scope.deadline = trio.current_time() + HALF_CLOSE_GRACE

    def stop(self) -> None:
        self._stopped = True
        self._scope.cancel()


class _Block:
    """A `with` block whose scope follows the cut of the request."""

    __slots__ = ("_lifetime", "scope")
    defers = False

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self.scope = trio.CancelScope()

    def arrange(self, cut: float, reason: CancelReason | None) -> None:
        if reason is None:
            self.scope.deadline = cut
        else:
            self.scope.cancel(reason=_WHY[reason])

    def __enter__(self) -> None:
        self._lifetime._enter(self)
        self.scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        swallowed = bool(self.scope.__exit__(kind, error, traceback))
        self._lifetime._leave(self, caught=self.scope.cancelled_caught)
        return swallowed


class Cancellable(_Block):
    """See `Lifetime.cancellable`.

    A cancellation of the request ends the block and raises `RequestCancelled` where it stood.  What the handler does
    then - it may await - is bounded by the grace of the server, after which it is cancelled for good.  A block that
    finished before it noticed is left alone, and the request is cancelled right behind it.
    """

    __slots__ = ()
    defers = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        swallowed = super().__exit__(kind, error, traceback)
        if self.scope.cancelled_caught:
            cancelled = RequestCancelled(self._lifetime._settle())
            try:
                raise cancelled
            finally:
                cancelled.__context__ = None  # the Cancelled would keep the frames of the block alive
        return swallowed


class Shielded(_Block):
    """See `Lifetime.shielded`.

    Nothing cancels the block while it lasts, but it may go on for at most `timeout` seconds once the request has been
    cancelled; then the block is cancelled, and with it the handler.
    """

    __slots__ = ("_timeout",)

    def __init__(self, lifetime: Lifetime, timeout: float) -> None:
        super().__init__(lifetime)
        self._timeout = timeout
        self.scope.shield = True

    def arrange(self, cut: float, reason: CancelReason | None) -> None:
        self.scope.deadline = min(cut + self._timeout, self._lifetime._latest)

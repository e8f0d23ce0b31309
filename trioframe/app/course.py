"""The course of a request that somebody listens to, or stands in the way of: signals and middleware, in their order.

A request that nobody but its handler cares for is handled by `dispatch` alone; this is the long way:

    begin, read_head, request, handle        signals: it has arrived
    routing.before, routing.after            its route is found; its body is read, unless the route streams it
    request middleware                       a response ends the way here
      handler.before
        the handler                          in its lifetime, and so cancelled with it
      handler.after
    response middleware, response            once, also for error pages, and at `request.respond`
    send                                     before each write
    complete, exception or cancelled         exactly one of them; what answers the latter two comes behind it

Rules of this file:

* Only the handler, the body read for it and the stream it answers with are cancelled with the request.  Whatever else
  is awaited here is not torn by that, but bounded in time:

  =======================================  ========================  =========================
  what is awaited                          is bounded by             which raises
  =======================================  ========================  =========================
  the handler, its body, its stream        their lifetime            `RequestCancelled`
  before and behind the handler            `Lifetime.guard`          `RequestCancelled`
  within the lifetime, but not cancelled   `_unbroken`               `ServiceUnavailable`
  where no guard reaches: in `_conclude`   `_bounded`                `ServiceUnavailable`
  and `_fail`
  sending                                  the connection            `RequestCancelled`
  receivers of the three ends              their hook                nothing: it is reported
  =======================================  ========================  =========================

* The handler runs in the standing scope (see `http.standing`).  Nothing may be awaited while the lifetime unwinds; the
  rest follows in `_conclude`.
* What is raised before the response has begun is answered by `error_answers`; that answer is a response like any other.

What has to see how the handler ended, stands around it: that is `nested_course`.  It must not know how the exchange is
carried, nor how receivers are called.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

import trio

from ..errors import HTTPError, RequestCancelled, ServerError, ServiceUnavailable
from ..http.exchange import Exchange
from .compile import PlannedRoute
from .hooks import Hooks
from .request import Request
from .response import Response
from .response_stream import pieces_of, send
from .signal_hook import Hook

if TYPE_CHECKING:
    from .dispatch import Dispatcher

__all__ = ["Course"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Course:
    """One request on the long way.

    Parameters:
      hooks: whom to tell; fixed for this request.
    """

    __slots__ = (
        "_automatic",
        "_chain",
        "_departed",
        "_dispatcher",
        "_ended",
        "_exchange",
        "_hooks",
        "_limit",
        "_owes_after",
        "_planned",
        "_problem",
        "_request",
        "_response",
        "_timeout",
    )

    def __init__(self, dispatcher: Dispatcher, exchange: Exchange, hooks: Hooks) -> None:
        self._request = Request(dispatcher.app, exchange)
        self._request.course = self
        self._dispatcher = dispatcher
        self._exchange = exchange
        self._hooks = hooks
        self._chain = dispatcher.chain
        self._timeout = dispatcher.response_timeout
        self._limit = exchange.started_at + self._timeout
        self._planned: PlannedRoute | None = None
        self._automatic: Response | None = None  # the answer, where no route has to give it
        self._problem: HTTPError | None = None  # or why there is neither
        self._owes_after = False  # handler.after is still to be told
        self._departed = False  # response middleware has begun
        self._ended = False  # one of the three ends was told
        self._response: Response | None = None  # what is, or was, sent

    # --- from the beginning to the end -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer the request.  Raises as `Dispatcher.handle` does."""
        lifetime = self._exchange.lifetime
        try:
            lifetime.guard(self._limit)
            await self._go()
        except BaseException as exc:
            if lifetime.unwinding:
                self._exchange.continuation = self._conclude
                raise
            await self._fail(exc)
        finally:
            self._let_go()

    async def _go(self) -> None:
        await self._arrive()
        lifetime = self._exchange.lifetime
        response = await self._pass_request_middleware() if self._chain.request else self._automatic
        if response is None:
            planned = self._planned
            if planned is None or self._hooks.handler_before is not None or lifetime.unwinding:
                planned = await self._approach_handler()
            self._owes_after = self._hooks.handler_after is not None
            response = await lifetime.run_in_turn(self._handle, self._request, planned, self._limit)
            if lifetime.unwinding:
                self._exchange.continuation = self._conclude
                return
            if self._owes_after:
                lifetime.guard(trio.current_time() + self._timeout)
                await self._leave_handler(None)
        await self._finish(response)

    async def _conclude(self) -> None:
        """The rest of it, where the standing scope had to be left."""
        try:
            response = self._exchange.lifetime.outcome()
            await self._bounded(self._leave_handler, None)
            if response is not None and not self._departed:
                response = await self._bounded(self._depart, response)
            await self._finish(response)
        except BaseException as exc:  # noqa: BLE001 - raised again unless it was answered
            await self._fail(exc)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """It is over, unless there is a rest of it: let go of who holds it, and tell of nothing that follows."""
        exchange = self._exchange
        if exchange.continuation is None:
            self._request.course = exchange.on_send = None
            if self._hooks.read_body is not None:
                exchange.body.on_piece = None

    async def _arrive(self) -> None:
        """Everything up to its middleware."""
        hooks, request, exchange = self._hooks, self._request, self._exchange
        if hooks.send is not None:
            exchange.on_send = self._tell_of_write
        if hooks.arriving:
            conn = exchange.conn
            await self._tell(hooks.begin, conn_info=conn)
            await self._tell(hooks.read_head, head=exchange.head, conn_info=conn)
            await self._tell(hooks.request, request=request)
            await self._tell(hooks.handle, request=request)
            await self._tell(hooks.routing_before, request=request)
        try:
            found = self._dispatcher.find(request)
        except HTTPError as problem:  # the middleware of the app sees the request all the same
            self._problem = problem
            return
        if isinstance(found, Response):
            self._automatic = found
            return
        request.route = found.route
        exchange.lifetime.on_disconnect = found.on_disconnect
        self._planned, self._chain = found, found.chain
        if found.timeout != self._timeout:
            self._limit += found.timeout - self._timeout
            self._timeout = found.timeout
            exchange.lifetime.guard(self._limit)
        if hooks.routing_after is not None:
            where = {"route": found.route, "kwargs": request.match_info, "handler": found.handler}
            await self._tell(hooks.routing_after, request=request, **where)
        if exchange.head.content_length != 0:
            whole = not found.route.stream and hooks.read_body is None
            if not (whole and request.take_body(found.request_max_size)):
                await self._receive_body(found)

    async def _receive_body(self, planned: PlannedRoute) -> None:
        """The whole body, unless the route takes it as a stream; cancelled with the request."""
        exchange, request = self._exchange, self._request
        self._dispatcher.prepare_body(request, planned)
        if self._hooks.read_body is not None:
            exchange.body.on_piece = self._tell_of_piece
        if not planned.route.stream:
            await exchange.lifetime.run(request.receive_body)
            self._limit = trio.current_time() + planned.timeout  # whose client sends slowly is not slow
            exchange.lifetime.guard(self._limit)

    async def _finish(self, response: Response | None) -> None:
        """Send the response, or what is left of it, and tell that it was sent."""
        exchange, request, lifetime = self._exchange, self._request, self._exchange.lifetime
        if response is not None and not self._departed:
            if self._chain.response or self._hooks.response is not None:
                lifetime.guard(trio.current_time() + self._timeout)  # the way out has its own time
            response = await self._depart(response)
        if lifetime.unwinding:
            await lifetime.heed_guard()
        lifetime.guarded = False  # sending has limits of its own, and so has who hears of the end
        if request.response_stream is not None or exchange.responded:
            if response is not None and response is not self._response:
                raise ServerError("the response had begun already: another one cannot take its place")
            if not exchange.finished:
                await request.finish_response()
        else:
            self._response = response = cast("Response", response)
            status, headers, body = response.parts()
            if not isinstance(body, bytes) or lifetime.suspended:
                await self._send_within(response)
            elif (rest := exchange.start_response(status, headers, body)) is not None:
                await rest
        self._ended = True
        if self._hooks.complete is not None:
            what = {"response": self._response, "conn_info": exchange.conn}
            await self._tell(self._hooks.complete, request=request, **what)

    async def _send_within(self, response: Response) -> None:
        """Within the lifetime: the stream of a middleware; that of a handler has been sent already."""
        lifetime = self._exchange.lifetime
        lifetime.limit_start(self._timeout)
        await lifetime.run(self._send_stream, response)

    async def _send_stream(self, response: Response) -> None:
        async with pieces_of(cast("AsyncIterable[bytes]", response.body)):  # closed, if it is not begun
            await trio.lowlevel.checkpoint_if_cancelled()  # what has not begun can still be answered
            await send(self._exchange, response)

    async def _fail(self, error: BaseException) -> None:
        """Tell of `error`, and answer it if it can be answered."""
        if not isinstance(error, Exception):
            raise error
        self._exchange.lifetime.guarded = False  # all that follows is bounded by itself
        try:
            await self._bounded(self._leave_handler, error)
        except Exception as exc:  # noqa: BLE001 - as the request has failed anyway, now it has failed with this
            error = exc
        try:
            await self._tell_how_it_ended(error)
            answer = await self._dispatcher.answers.find(self._request, error)
        finally:
            del error  # its traceback holds this frame
        if answer is None:
            return
        if not self._departed:
            try:
                answer = await self._bounded(self._depart, answer)
            except Exception as exc:  # noqa: BLE001 - what cannot be answered any better is answered as it is
                await self._dispatcher.app.report(exc, self._request)
        await self._dispatcher.answers.send(self._exchange, answer)

    async def _tell_how_it_ended(self, error: Exception) -> None:
        if self._ended:
            return
        self._ended = True
        if isinstance(error, RequestCancelled):
            await self._tell(self._hooks.cancelled, request=self._request, reason=error.reason)
        else:
            await self._tell(self._hooks.exception, request=self._request, exception=error)

    async def _bounded(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Await what no guard may bound any more.

        Raises:
          ServiceUnavailable: it took too long.
        """
        with trio.move_on_after(self._timeout):
            result = await async_fn(*args)
            await trio.lowlevel.checkpoint_if_cancelled()  # behind a shield, or in the last moment
            return result
        raise ServiceUnavailable(f"what stands around the handler took longer than {self._timeout} s")

    async def _unbroken(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Within the lifetime: await what is not cancelled with it, nor uses up its time.  Raises as `_bounded`."""
        lifetime = self._exchange.lifetime
        lifetime.hold_limit()
        try:
            with self._request.shielded(self._timeout):
                return await self._bounded(async_fn, *args)
        finally:
            lifetime.resume_limit()

    # --- the handler -------------------------------------------------------------------------------------------------

    async def _approach_handler(self) -> PlannedRoute:
        planned, hooks = self._planned, self._hooks
        if planned is None:
            problem, self._problem = self._problem, None
            try:
                raise cast("HTTPError", problem)
            finally:
                del problem  # its traceback holds this frame
        if hooks.handler_before is not None:
            await self._tell(hooks.handler_before, request=self._request)
        await self._exchange.lifetime.heed_guard()
        return planned

    async def respond(self) -> Response:
        """The response of the handler and all that stands around it, the handler in a scope of its own.

        Raises what the handler does, `RequestCancelled` too.  See `PlannedRoute.endpoint`.
        """
        response = await self._pass_request_middleware()
        if response is None:
            response = await self._run_handler()
        if response is None:  # the handler has sent it
            return cast("Response", self._response)
        if self._departed:
            return response
        lifetime = self._exchange.lifetime
        lifetime.guard(trio.current_time() + self._timeout)
        return await self._depart(response)

    async def _run_handler(self) -> Response | None:
        lifetime = self._exchange.lifetime
        planned = await self._approach_handler()
        self._owes_after = self._hooks.handler_after is not None
        lifetime.limit_start(self._limit - trio.current_time())
        try:
            response = await lifetime.run(self._handle, self._request, planned)
        except Exception as exc:
            lifetime.guard(trio.current_time() + self._timeout)
            await self._leave_handler(exc)
            raise
        finally:
            lifetime.guard(trio.current_time() + self._timeout)
        await self._leave_handler(None)
        return response

    async def _leave_handler(self, exception: Exception | None) -> None:
        """The handler has ended; what receivers raise fails the request only if that can still be told."""
        if not self._owes_after:
            return
        self._owes_after = False
        try:
            await self._tell(self._hooks.handler_after, request=self._request, exception=exception)
        except Exception as exc:
            if not self._exchange.responded:
                raise
            await self._dispatcher.app.report(exc, self._request)

    async def _handle(self, request: Request, planned: PlannedRoute) -> Response | None:
        """Within the lifetime: the handler, and the stream it has returned."""
        response = self._dispatcher.judge(request, await planned.call(request, **request.match_info))
        if response is None or isinstance(response.body, bytes):
            return response
        async with pieces_of(response.body):  # closed in any case: it may not be what is sent
            await self._unbroken(self._leave_handler, None)
            response = await self.depart(response)
            await trio.lowlevel.checkpoint_if_cancelled()  # what has not begun can still be answered
            await send(self._exchange, response)
        return None

    # --- the middleware ----------------------------------------------------------------------------------------------

    async def _pass_request_middleware(self) -> Response | None:
        """The response of the first request middleware that has one, or of no route at all; None if there is none."""
        request, hooks = self._request, self._hooks
        before, after = hooks.before_request_middleware, hooks.after_request_middleware
        told = before is not None or after is not None
        for function, is_async in self._chain.request_calls:
            if told:
                await self._tell(before, request=request, response=None)
            result = await function(request) if is_async else function(request)
            if result is not None or request.response_stream is not None or told:
                response = self._judge(await result if isawaitable(result) else result)
                await self._tell(after, request=request, response=response)
                if response is not None:
                    return response
        return self._automatic

    def _judge(self, result: Any) -> Response | None:
        """What the return value of a middleware means: a response, which it may have begun by itself; or None."""
        if result is None:
            return self._response if self._request.responded else None
        return self._dispatcher.to_response(result, "a middleware")

    async def depart(self, response: Response) -> Response:
        """The response as it will be sent, for one that begins within the lifetime; no cancellation tears this."""
        if not self._departed:
            response = await self._unbroken(self._depart, response)
        self._response = response
        return response

    async def _depart(self, response: Response) -> Response:
        """The response as it will be sent."""
        self._departed = True
        request, hooks = self._request, self._hooks
        before, after = hooks.before_response_middleware, hooks.after_response_middleware
        told = before is not None or after is not None
        for function, is_async in self._chain.response_calls:
            if told:
                await self._tell(before, request=request, response=response)
            result = await function(request, response) if is_async else function(request, response)
            if result is not None and (not isawaitable(result) or (result := await result) is not None):
                response = self._dispatcher.to_response(result, "a middleware")
            if told:
                await self._tell(after, request=request, response=response)
        if hooks.response is not None:
            await self._tell(hooks.response, request=request, response=response)
        return response

    # --- telling -----------------------------------------------------------------------------------------------------

    async def _tell(self, hook: Hook | None, **context: object) -> None:
        if hook is not None:
            told = hook(**context)
            if told is not None and isawaitable(told):
                await told

    async def _tell_of_write(self, data: bytes | memoryview) -> None:
        await self._unbroken(partial(self._tell, self._hooks.send, request=self._request, data=data))

    async def _tell_of_piece(self, piece: bytes) -> None:
        await self._unbroken(partial(self._tell, self._hooks.read_body, request=self._request, body=piece))

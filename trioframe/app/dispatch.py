"""Handles an exchange for an app: finds the route, runs its endpoint within the request's lifetime, sends the answer.

Rules of this file:

* What the user's handler does - the body read for it, and the stream it returned, included - happens inside
  `Lifetime.run_in_turn`, and so may be cancelled; everything else here may not be, and is bounded in time instead.
* Every exception of user code is answered by `error_answers`; cancellation from outside, and what is no `Exception`, go
  through.
* This is the way of most requests, and made short.  Those that somebody listens to, or stands in the way of, take the
  long one, `course`; but one receiver of `http.handler.before` costs its call and nothing else.

It must not know how the exchange is carried.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import trio

from ..errors import HTTPError, MethodNotAllowed, RequestCancelled, ServerError
from ..http.events import RawHeaders, RequestHead
from ..http.exchange import Exchange
from ..http.headers import Headers
from .compile import Plan, PlannedRoute
from .conversion import to_response
from .course import Course
from .error_answers import ErrorAnswers
from .hooks import find_hooks
from .nested_course import NestedCourse
from .request import Request
from .response import Response, empty
from .response_stream import send
from .segment_tree import OPENING

if TYPE_CHECKING:
    from .app import App

__all__ = ["Dispatcher"]

Whole = tuple[int, RawHeaders, bytes]  # a response whose body is known: status, header fields and body


class Dispatcher:
    """Its `handle` is the `Handler` of an app.

    Parameters:
      app: given to requests as `request.app`.
      plan: what to run.

    Attributes:
      chain: the middleware of requests without a route.
      response_timeout: seconds that what nobody cancels may take.
      answers: finds answers to exceptions.
    """

    def __init__(self, app: App, plan: Plan) -> None:
        self.app = app
        self.chain = plan.chain
        self._nested = any(planned.chain.nested for planned in plan.routes) or plan.chain.nested
        self._course = NestedCourse if self._nested else Course
        self.response_timeout = app.config.RESPONSE_TIMEOUT
        self._find = plan.router.find
        self._planned = {planned.route: planned for planned in plan.routes}
        self._fixed = {key: self._planned[route] for key, route in plan.router.fixed()}
        self._asks_for_websocket: Callable[[RequestHead, Headers], bool] | None = None
        if plan.router.has_shared_path:
            from ..ws.handshake import asks_for_websocket  # noqa: PLC0415 - most apps have no page that shares its path

            self._asks_for_websocket = asks_for_websocket
        self.answers = ErrorAnswers(app, plan.exception_handlers)
        self._change: object = None
        self.listen()

    def listen(self) -> None:
        """Find out who listens; to be called when that has changed.  Requests that run go on as they have begun.

        It may be called by the garbage collector, in any thread, and in the middle of itself: the last word counts.
        """
        while True:
            self._change = change = object()
            self._hooks = hooks = find_hooks(self.app.signals, self.app.report, self.response_timeout)
            self._before = hooks.handler_before
            self._long_way = self._nested or any(self.chain) or hooks.others
            self._watched = self._long_way or self._before is not None
            if self._change is change:
                return

    async def handle(self, exchange: Exchange) -> None:  # noqa: PLR0912 - in one piece, as every call costs
        """Handle one exchange: answer it, or raise `RequestCancelled` if it ended without an answer.

        Raises:
          RequestCancelled: nobody is there to be answered, or the response was cut short.
        """
        if self._watched and (self._long_way or exchange.head.content_length != 0):
            await self._course(self, exchange, self._hooks).run()
            return
        request = Request(self.app, exchange)
        head, lifetime = exchange.head, exchange.lifetime
        try:
            found = self._fixed.get((head.method, head.raw_path)) or self._search(request)  # `find`, without the call
            if isinstance(found, Response):
                whole: Whole | None = (found.status, found.raw_headers(), b"")
            else:
                request.route = found.route
                if found.on_disconnect != "cancel":
                    lifetime.on_disconnect = found.on_disconnect
                if head.content_length == 0 or (not found.route.stream and request.take_body(found.request_max_size)):
                    before = self._before
                    if before is not None and (told := before(request=request)) is not None:
                        await self._wait_for(told, request, found)
                    limit = exchange.started_at + found.timeout
                    whole = await lifetime.run_in_turn(self._handle, request, found, limit)
                else:
                    whole = await lifetime.run_in_turn(self._receive_and_handle, request, found)
                if lifetime.unwinding:
                    exchange.continuation = partial(self._conclude, request)
                    return
            if whole is None:
                if not exchange.finished:
                    await request.finish_response()
            else:
                status, headers, body = whole
                rest = exchange.start_response(status, headers, body)
                if rest is not None:
                    await rest
        except BaseException as exc:
            if lifetime.unwinding:
                exchange.continuation = partial(self._conclude, request)
                raise
            await self.answers.answer(request, exc)

    async def _wait_for(self, told: object, request: Request, planned: PlannedRoute) -> None:
        """Wait for receivers that are async, in bounded time."""
        if isawaitable(told):
            lifetime = request.exchange.lifetime
            lifetime.guard(trio.current_time() + planned.timeout)
            try:
                await told
            finally:
                lifetime.guarded = False
            await lifetime.heed_guard()

    async def _conclude(self, request: Request) -> None:
        """The rest of it, where the standing scope had to be left."""
        exchange = request.exchange
        try:
            whole = exchange.lifetime.outcome()
            if whole is not None:
                await exchange.send_response(*whole)
            elif not exchange.finished:
                await request.finish_response()
        except BaseException as exc:  # noqa: BLE001 - raised again unless it was answered
            await self.answers.answer(request, exc)

    # --- the handler -------------------------------------------------------------------------------------------------

    def find(self, request: Request) -> PlannedRoute | Response:
        """The route of a request; or the answer, if no route has to give it.

        Raises:
          HTTPError: there is none.
        """
        head = request.exchange.head
        return self._fixed.get((head.method, head.raw_path)) or self._search(request)

    def _search(self, request: Request) -> PlannedRoute | Response:
        head = request.exchange.head
        if head.method == "CONNECT":  # RFC 9110 section 9.3.6: this is no proxy
            raise HTTPError(501, "CONNECT is not supported here", quiet=True)
        if head.raw_path == b"*":  # RFC 9110 section 9.3.7: OPTIONS of the server as a whole
            return empty()
        method, asks_for_websocket = head.method, self._asks_for_websocket
        if asks_for_websocket is not None and method == "GET" and asks_for_websocket(head, request.headers):
            method = OPENING
        try:
            match = self._find(method, head.raw_path, head.authority.decode("latin-1"))
        except MethodNotAllowed as exc:
            if head.method == "OPTIONS":  # RFC 9110 section 9.3.7
                return empty(headers={"Allow": ", ".join(exc.allowed)})
            raise
        request.match_info = match.params
        return self._planned[match.route]

    async def _handle(self, request: Request, planned: PlannedRoute) -> Whole | None:
        """Inside the lifetime: the endpoint, and the stream it may have returned.

        Gives the response if it is still to be sent; if the handler has begun one by itself, that is still to be ended.
        """
        params = request.match_info
        result = await (planned.call(request, **params) if params else planned.call(request))
        if type(result) is Response and request.response_stream is None and not request.exchange.responded:
            response: Response = result  # as `judge` says, without the call
        elif (judged := self.judge(request, result)) is None:
            return None
        else:
            response = judged
        status, headers, body = response.parts()
        if isinstance(body, bytes):
            return status, headers, body
        await send(request.exchange, response)
        return None

    async def _receive_and_handle(self, request: Request, planned: PlannedRoute) -> Whole | None:
        """As `_handle`, when a body has to be waited for first, or is to be read as a stream."""
        self.prepare_body(request, planned)
        if not planned.route.stream:
            await request.receive_body()
        request.exchange.lifetime.limit_start(planned.timeout)  # whose client sends slowly is not slow
        return await self._handle(request, planned)

    def prepare_body(self, request: Request, planned: PlannedRoute) -> None:
        """Let its body be what the route allows."""
        body = request.exchange.body
        body.request_max_size = planned.request_max_size
        body.timeout = planned.body_timeout

    def judge(self, request: Request, result: Any) -> Response | None:
        """What a handler's return value means: a response; or None, if it has begun one by itself.

        Raises:
          ServerError: neither, or both.
          RequestCancelled: it was cancelled, has cleaned up, and there is nobody to answer.
        """
        if request.response_stream is not None or request.exchange.responded:
            if result is not None:
                raise ServerError("a handler has called request.respond(), and returned a response as well")
            return None
        if result is None and (reason := request.exchange.lifetime.reason) is not None:
            raise RequestCancelled(reason)
        return to_response(result, self.app.dumps)

    def to_response(self, result: Any, who: str = "a handler") -> Response:
        """See `conversion.to_response`."""
        return to_response(result, self.app.dumps, who)

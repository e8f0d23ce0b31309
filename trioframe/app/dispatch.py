"""Handles an exchange for an app: finds the route, runs its endpoint within the request's lifetime, sends the answer.

Rules of this file:

* What the user's handler does - the body read for it, and the stream it returned, included - happens inside
  `Lifetime.run_in_turn`, and so may be cancelled; everything else here may not be, and is bounded in time instead.
* Every exception of user code ends here: as the answer of an exception handler, as an error page, or, when the response
  has begun, as a broken connection.  What nobody expected is logged once, with its traceback.
* `RequestCancelled` is not an error: only a handler of `RequestCancelled` sees it.
* Cancellation from outside, and what is no `Exception`, go through.

It must not know how the exchange is carried.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from ..errors import (
    HTTPError,
    MethodNotAllowed,
    RemoteProtocolError,
    RequestCancelled,
    ServerError,
    ServiceUnavailable,
)
from ..http.events import RawHeaders
from ..http.exchange import Exchange
from .compile import Plan, PlannedRoute
from .errorpages import render_error
from .request import Request
from .response import Response, empty, json, raw, text
from .response_stream import ResponseStream, pieces_of

if TYPE_CHECKING:
    from .app import App

__all__ = ["Dispatcher"]

logger = logging.getLogger("trioframe.app")


Whole = tuple[int, RawHeaders, bytes]  # a response whose body is known: status, header fields and body


class Dispatcher:
    """Its `handle` is the `Handler` of an app.

    Parameters:
      app: given to requests as `request.app`.
      plan: what to run.
    """

    def __init__(self, app: App, plan: Plan) -> None:
        self._app = app
        self._find = plan.router.find
        self._planned = {planned.route: planned for planned in plan.routes}
        self._fixed = {key: self._planned[route] for key, route in plan.router.fixed()}
        self._exception_handlers = plan.exception_handlers
        self._debug = app.config.DEBUG
        self._fallback_format = app.config.FALLBACK_ERROR_FORMAT
        self._response_timeout = app.config.RESPONSE_TIMEOUT
        self._cancel_grace = app.config.CANCEL_GRACE

    async def handle(self, exchange: Exchange) -> None:
        """Handle one exchange: answer it, or raise `RequestCancelled` if it ended without an answer.

        Raises:
          RequestCancelled: nobody is there to be answered, or the response was cut short.
        """
        request = Request(self._app, exchange)
        head, lifetime = exchange.head, exchange.lifetime
        try:
            found = self._fixed.get((head.method, head.raw_path)) or self._search(request)
            if isinstance(found, Response):
                whole: Whole | None = (found.status, found.raw_headers(), b"")
            else:
                request.route = found.route
                if found.on_disconnect != "cancel":
                    lifetime.on_disconnect = found.on_disconnect
                if head.content_length == 0 or (not found.route.stream and request.take_body(found.request_max_size)):
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
            await self._answer(request, exc)

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
            await self._answer(request, exc)

    # --- the handler -------------------------------------------------------------------------------------------------

    def _search(self, request: Request) -> PlannedRoute | Response:
        """The route of a request; or the answer, if no route has to give it.

        Raises:
          HTTPError: there is none.
        """
        head = request.exchange.head
        if head.method == "CONNECT":  # RFC 9110 section 9.3.6: this is no proxy
            raise HTTPError(501, "CONNECT is not supported here", quiet=True)
        if head.raw_path == b"*":  # RFC 9110 section 9.3.7: OPTIONS of the server as a whole
            return empty()
        try:
            match = self._find(head.method, head.raw_path, head.authority.decode("latin-1"))
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
        exchange = request.exchange
        params = request.match_info
        result = await (planned.endpoint(request, **params) if params else planned.endpoint(request))
        if request.response_stream is not None or exchange.responded:
            if result is not None:
                raise ServerError("a handler has called request.respond(), and returned a response as well")
            return None
        if result is None and (reason := exchange.lifetime.reason) is not None:
            raise RequestCancelled(reason)  # it has cleaned up, and there is nobody to answer
        response = result if isinstance(result, Response) else self._to_response(result)
        status, headers, body = response.parts()
        if isinstance(body, bytes):
            return status, headers, body
        await send(exchange, response)
        return None

    async def _receive_and_handle(self, request: Request, planned: PlannedRoute) -> Whole | None:
        """As `_handle`, when a body has to be waited for first, or is to be read as a stream."""
        exchange = request.exchange
        exchange.body.request_max_size = planned.request_max_size
        exchange.body.timeout = planned.body_timeout
        if not planned.route.stream:
            await request.receive_body()
        exchange.lifetime.limit_start(planned.timeout)  # whose client sends slowly is not slow
        return await self._handle(request, planned)

    def _to_response(self, result: Any) -> Response:
        """A handler's return value as a response."""
        match result:
            case Response():
                return result
            case str():
                return text(result)
            case bytes():
                return raw(result)
            case dict() | list():
                return json(result, dumps=self._app.dumps)
            case AsyncIterable():  # a receive channel is one
                return Response(result)
        returned = "nothing, and did not call request.respond()" if result is None else f"a {type(result).__name__}"
        raise ServerError(f"a handler returned {returned}; it must return a response, str, bytes, dict, list or stream")

    # --- when it did not go well -------------------------------------------------------------------------------------

    async def _answer(self, request: Request, error: BaseException) -> None:
        try:
            if isinstance(error, RequestCancelled):
                await self._answer_cancelled(request, error)
            elif isinstance(error, Exception):  # whatever user code raises is answered
                await self._answer_error(request, error)
            else:
                raise error
        finally:
            del error  # its traceback holds this frame

    async def _answer_cancelled(self, request: Request, error: RequestCancelled) -> None:
        exchange = request.exchange
        response = None
        if handler := self._exception_handlers.get(RequestCancelled):
            response = await self._ask(handler, request, error, self._cancel_grace)
            if exchange.finished:
                return
        if error.status == 499 or exchange.responded:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        if response is None:
            response = self._error_page(request, ServiceUnavailable(quiet=True))
        await self._send_instead(exchange, response)

    async def _answer_error(self, request: Request, error: Exception) -> None:
        exchange = request.exchange
        response = None
        for type_ in type(error).__mro__:
            if handler := self._exception_handlers.get(type_):
                response = await self._ask(handler, request, error, self._response_timeout)
                if response is not None or exchange.finished:
                    break
        else:
            _log(request, error)
        if exchange.responded:
            if not exchange.finished:
                exchange.abandon()
            return
        await self._send_instead(exchange, response or self._error_page(request, error))

    async def _ask(
        self, handler: Callable[..., Any], request: Request, error: Exception, seconds: float
    ) -> Response | None:
        """What an exception handler answers; None if it declines, fails or takes too long."""
        began = request.responded
        request.exchange.lifetime.limit_blocks(seconds)
        try:
            with trio.move_on_after(seconds):
                result = handler(request, error)
                if inspect.isawaitable(result):
                    result = await result
                if result is not None:
                    return self._to_response(result)
                if request.responded and not began:
                    await request.finish_response()
                return None
            logger.error("the exception handler %r took longer than %s s for %r", handler, seconds, error)
        except RequestCancelled:
            raise
        except Exception as exc:  # noqa: BLE001 - a broken exception handler must not hide what it was called for
            _log(request, exc)
        return None

    def _error_page(self, request: Request, error: Exception) -> Response:
        return render_error(error, request=request, fallback=self._fallback_format, debug=self._debug)

    async def _send_instead(self, exchange: Exchange, response: Response) -> None:
        with trio.move_on_after(self._response_timeout):
            await send(exchange, response)
            return
        logger.error("the answer of an exception handler took longer than %s s to send", self._response_timeout)
        exchange.abandon()


async def send(exchange: Exchange, response: Response) -> None:
    """Send a response: whole in one write, or as a stream that is closed in any case."""
    status, headers, body = response.parts()
    if isinstance(body, bytes):
        await exchange.send_response(status, headers, body)
        return
    async with pieces_of(body) as pieces:  # also if the head is refused
        stream = ResponseStream(exchange, response)
        await stream.send_from(pieces)
    await stream.eof()


def _log(request: Request, error: Exception) -> None:
    if isinstance(error, HTTPError) and error.quiet:
        return
    if isinstance(error, RemoteProtocolError):
        logger.info("%r: %s", request, error)
        return
    logger.error("%r failed", request, exc_info=error)

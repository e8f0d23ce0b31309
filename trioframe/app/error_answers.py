"""What is answered where a request did not go well: by the app's exception handlers, or an error page.

Rules of this file:

* Every exception of user code ends here: as the answer of an exception handler, as an error page, or, when the response
  has begun, as a broken connection.  What nobody expected is reported once.
* `RequestCancelled` is not an error: only a handler of `RequestCancelled` sees it.
* Cancellation from outside, and what is no `Exception`, go through.
* Nothing of this is cancelled with the request; it is bounded in time instead.

It must not know how a request is handled.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from ..errors import HTTPError, RemoteProtocolError, RequestCancelled, ServiceUnavailable
from ..http.exchange import Exchange
from .conversion import to_response
from .errorpages import render_error
from .request import Request
from .response import Response
from .response_stream import send

if TYPE_CHECKING:
    from .app import App

__all__ = ["ErrorAnswers"]

logger = logging.getLogger("trioframe.app")


class ErrorAnswers:
    """Finds answers to exceptions.

    Parameters:
      app: whose configuration holds, and who reports what nobody expected.
      handlers: by exception type.
    """

    def __init__(self, app: App, handlers: Mapping[type[BaseException], Callable[..., Any]]) -> None:
        self._app = app
        self._exception_handlers = handlers
        self._debug = app.config.DEBUG
        self._fallback_format = app.config.FALLBACK_ERROR_FORMAT
        self._response_timeout = app.config.RESPONSE_TIMEOUT
        self._cancel_grace = app.config.CANCEL_GRACE

    async def answer(self, request: Request, error: BaseException) -> None:
        """Find the answer to `error`, and send it.  Raises as `find` does."""
        try:
            response = await self.find(request, error)
        finally:
            del error  # its traceback holds this frame
        if response is not None:
            await self.send(request.exchange, response)

    async def find(self, request: Request, error: BaseException) -> Response | None:
        """The answer to `error`; None if nothing is to be sent, or no more.

        Raises:
          RequestCancelled: `error` is that, and nobody is there to be answered, or the response was cut short.
          BaseException: `error` is no `Exception`, and not ours to answer.
        """
        try:
            if isinstance(error, RequestCancelled):
                return await self._find_for_cancelled(request, error)
            if isinstance(error, Exception):  # whatever user code raises is answered
                return await self._find_for_error(request, error)
            raise error
        finally:
            del error  # its traceback holds this frame

    async def _find_for_cancelled(self, request: Request, error: RequestCancelled) -> Response | None:
        exchange = request.exchange
        response = None
        if handler := self._exception_handlers.get(RequestCancelled):
            response = await self._ask(handler, request, error, self._cancel_grace)
            if exchange.finished:
                return None
        await _end_websocket(request, error)
        if error.status == 499 or exchange.responded:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return response or self._error_page(request, ServiceUnavailable(quiet=True))

    async def _find_for_error(self, request: Request, error: Exception) -> Response | None:
        exchange = request.exchange
        response = None
        for type_ in type(error).__mro__:
            if handler := self._exception_handlers.get(type_):
                response = await self._ask(handler, request, error, self._response_timeout)
                if response is not None or exchange.finished:
                    break
        else:
            await self._report(request, error)
        await _end_websocket(request, error)
        if exchange.responded:
            if not exchange.finished:
                exchange.abandon()
            return None
        return response or self._error_page(request, error)

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
                    return to_response(result, self._app.dumps, "an exception handler")
                if request.responded and not began:
                    await request.finish_response()
                return None
            logger.error("the exception handler %r took longer than %s s for %r", handler, seconds, error)
        except RequestCancelled:
            await _end_websocket(request, error)
            raise
        except Exception as exc:  # noqa: BLE001 - a broken exception handler must not hide what it was called for
            await self._report(request, exc)
        return None

    def _error_page(self, request: Request, error: Exception) -> Response:
        return render_error(error, request=request, fallback=self._fallback_format, debug=self._debug)

    async def send(self, exchange: Exchange, response: Response) -> None:
        """Send an answer, in bounded time."""
        with trio.move_on_after(self._response_timeout):
            await send(exchange, response)
            return
        logger.error("the answer to an error took longer than %s s to send", self._response_timeout)
        exchange.abandon()

    async def _report(self, request: Request, error: Exception) -> None:
        if isinstance(error, HTTPError) and error.quiet:
            return
        if isinstance(error, RemoteProtocolError):
            logger.info("%r: %s", request, error)
            return
        await self._app.report(error, request)


async def _end_websocket(request: Request, error: Exception) -> None:
    """If the request became a WebSocket, it is told of the error in the words of one."""
    if request.upgrade is not None:
        await request.upgrade.end(error)

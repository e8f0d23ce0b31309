"""What the route of a WebSocket runs: the handshake, the handler, and what the peer is told when that has ended.

    the handler has                                     the peer gets
    returned nothing                                    a close with 1000; the handshake is accepted first if need be
    returned a response or raised, and not accepted     that response, or that of the error, as of any route
    raised `HTTPError` of 400 to 499                    a close with 1008 and its message
    returned a response of 400 to 499                   a close with 1008 and the phrase of its status
    raised, or returned anything else, and accepted     a close with 1011
    let `WebSocketClosed` through, or a task of it      nothing more: the WebSocket has ended
    been cancelled: the server stops                    a close with 1001
    been cancelled otherwise                            a close with 1011; nothing, if the peer has gone

Rules of this file:

* The request is one like any other: middleware, signals and exception handlers stand around it, and the 101 is a
  response that they see.
* The handler runs in the lifetime of the request, and that it has returned is told there, shielded.  What tells of a
  failure, and what closes the WebSocket, does not.

It must not know frames.  It is imported for apps that have a WebSocket, as others need nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from ..config import Config
from ..errors import HTTPError, RequestCancelled, ServerError, WebSocketClosed
from ..http.headers import HeaderInput, MutableHeaders
from ..http.switched import Switched
from ..ws.bounds import WebSocketLimits
from ..ws.close_codes import STOPPING, CloseCode, fitting_reason
from ..ws.deflate import DeflateExtension
from ..ws.deflate_terms import Deflate, agree
from ..ws.handshake import (
    Extension,
    Offer,
    accept,
    check_origin,
    choose_subprotocol,
    read_offer,
    read_origin,
)
from ..ws.terms import WebSocketTerms
from ..ws.websocket import WebSocket
from .response import Response
from .response_stream import send
from .route import Route, WebSocketOptions
from .signal_hook import Hook

if TYPE_CHECKING:
    from .course import Course
    from .request import Request

__all__ = ["Upgrade", "websocket_endpoint"]


_NONE: Mapping[str, Any] = MappingProxyType({})  # of many idle WebSockets, each would hold a dictionary of its own


def websocket_endpoint(route: Route, options: WebSocketOptions, config: Config) -> Callable[..., Awaitable[Any]]:
    """What the dispatcher awaits in the place of the handler of a WebSocket."""
    size = config.WEBSOCKET_MAX_SIZE if options.max_size is None else options.max_size
    terms = WebSocketTerms(
        limits=WebSocketLimits(size, config.WEBSOCKET_MAX_FRAGMENTS),
        deflate=Deflate() if options.deflate is True else options.deflate or None,
        max_queue=config.WEBSOCKET_MAX_QUEUE,
        read_ahead=config.WEBSOCKET_MAX_SIZE,
        ping_interval=config.WEBSOCKET_PING_INTERVAL,
        ping_timeout=config.WEBSOCKET_PING_TIMEOUT,
        close_timeout=config.WEBSOCKET_CLOSE_TIMEOUT,
        linger_timeout=config.LINGER_TIMEOUT,
        cancel_on_close=options.cancel_on_close or options.send_only,
        send_only=options.send_only,
    )

    origins = None if options.origins is None else frozenset(filter(None, map(read_origin, options.origins)))

    def serve_websocket(request: Request, **params: Any) -> Awaitable[Any]:
        offer = read_offer(request.exchange.head)
        check_origin(offer, origins)
        upgrade = request.upgrade = Upgrade(request, offer, options, terms)
        return upgrade.run(route.handler, params or _NONE)

    return serve_websocket


class Upgrade:
    """One WebSocket and its request."""

    __slots__ = ("_departed", "_hooks", "_is_closed", "_owes_after", "_request", "websocket")

    def __init__(self, request: Request, offer: Offer, options: WebSocketOptions, terms: WebSocketTerms) -> None:
        self._request = request
        self._hooks = request.app.websocket_hooks
        self._owes_after = False  # the end of the handler is still to be told
        self._is_closed = False
        self._departed: Response | None = None
        exchange = request.exchange
        exchange.at_end = (*exchange.at_end, self._let_go)
        agreed = None if terms.deflate is None else agree(offer.extensions, terms.deflate)
        self.websocket = WebSocket(
            request.exchange,
            terms,
            partial(self._accept, offer, () if agreed is None else (agreed[0],)),
            opened=None if self._hooks.opened is None else partial(self._tell, self._hooks.opened),
            subprotocol=choose_subprotocol(offer, options.subprotocols),
            extensions=() if agreed is None else (DeflateExtension(terms.limits, agreed[1]),),
        )

    # --- within the lifetime -----------------------------------------------------------------------------------------

    async def run(self, handler: Callable[..., Awaitable[Any]], params: Mapping[str, Any]) -> Any:
        """Run the handler; what is left to be answered in HTTP, None if nothing is."""
        websocket, request = self.websocket, self._request
        lifetime = request.exchange.lifetime
        lifetime.pardon = self
        await self._tell(self._hooks.before)
        self._owes_after = True
        websocket.expect_refusal()
        try:
            result = await handler(request, websocket, **params)
            if result is None and not request.responded:
                await websocket.accept()
            elif result is not None:
                await websocket.opening_ended()
                if not websocket.note_refusal():
                    raise _too_late(result)
        except WebSocketClosed as closed:
            if not self._is_own(closed):
                raise
            result = None
        except BaseExceptionGroup as group:
            if self._split(group) is not None:
                raise
            result = None
        if websocket.accepted and lifetime.on_disconnect == "cancel":
            websocket.leave_to_children()
        if self._hooks.after is not None:
            with request.shielded(request.app.config.RESPONSE_TIMEOUT):
                await self._leave(None)
        return result

    def __call__(self, error: BaseException) -> bool:
        """Whether tasks of the request have raised nothing but that the WebSocket has ended; see `Lifetime.pardon`.

        Not a method by name, as a bound one would be held for each of many that wait.
        """
        return isinstance(error, BaseExceptionGroup) and self._split(error) is None

    def _split(self, group: BaseExceptionGroup[BaseException]) -> BaseExceptionGroup[BaseException] | None:
        """What else a group holds than that this WebSocket has ended."""
        return group.split(lambda error: self._is_own(error))[1]  # noqa: PLW0108 - Python 3.11 takes only functions

    def _is_own(self, error: BaseException) -> bool:
        """Whether this WebSocket says that it has ended, and not another one that the handler has."""
        return isinstance(error, WebSocketClosed) and getattr(error, "websocket", None) is self.websocket

    async def _accept(self, offer: Offer, extensions: Sequence[Extension], headers: HeaderInput) -> Switched:
        request, exchange = self._request, self._request.exchange
        fields = MutableHeaders(headers)
        answer = partial(accept, offer, subprotocol=self.websocket.subprotocol, extensions=extensions)
        lines = answer(headers=fields.raw)
        if request.course is not None:
            response = await self._depart(fields)
            if response.status != _Switching.code:
                await send(exchange, response)
                raise WebSocketClosed(CloseCode.ABNORMAL_CLOSURE, "refused by a middleware")
            lines = answer(headers=response.headers.raw)
        return await exchange.switch(lines)

    async def _depart(self, fields: MutableHeaders) -> Response:
        """The 101 as the middleware has left it, or what it has put in its place.

        It sees a response once.  So what it has said holds also for a second try, where the first was cancelled.
        """
        if self._departed is None:
            self._departed = await cast("Course", self._request.course).depart(_Switching(fields))
        elif self._departed.status == _Switching.code:
            for name, value in fields.items():
                self._departed.headers.setdefault(name, value)
        return self._departed

    # --- behind it ---------------------------------------------------------------------------------------------------

    async def end(self, error: Exception | None = None) -> None:
        """The handler has ended, with `error` if it failed or was cancelled: tell it, and close.  In bounded time."""
        websocket = self.websocket
        await self._leave(error)
        if websocket.accepted and not self._is_closed:
            self._is_closed = True
            await websocket.finish(*_farewell(error))
            await self._tell(self._hooks.closed, code=websocket.close_code, reason=websocket.close_reason)

    async def _leave(self, error: Exception | None) -> None:
        if self._owes_after:
            self._owes_after = False
            await self._tell(self._hooks.after, exception=error)
            if error is not None and not isinstance(error, RequestCancelled):
                await self._tell(self._hooks.exception, exception=error)

    def _let_go(self) -> None:
        """The request is over: nothing holds it any longer, nor does it hold this."""
        request = self._request
        self.websocket.detach()
        del self.websocket
        request.upgrade = request.exchange.lifetime.pardon = None
        request.exchange.at_end = ()

    async def _tell(self, hook: Hook | None, **context: object) -> None:
        if hook is not None:
            told = hook(request=self._request, websocket=self.websocket, **context)
            if told is not None and isawaitable(told):
                await told


class _Switching(Response):
    """The 101, as middleware sees it."""

    __slots__ = ()
    code = 101

    def __init__(self, headers: HeaderInput) -> None:
        super().__init__(b"", headers=headers)
        self._status = self.code


def _too_late(result: object) -> HTTPError:
    """What a handler that returns a response has done, where nothing can be answered any more."""
    if isinstance(result, Response) and 400 <= result.status < 500:
        return HTTPError(result.status)  # it refuses, only later than in HTTP
    return ServerError(
        f"the handler of a WebSocket returned {type(result).__name__}, and nothing can be answered any more: return a "
        "response only before the WebSocket is accepted, by its first operation or after a second without one"
    )


def _farewell(error: Exception | None) -> tuple[int, str]:
    """See the table at the top."""
    if error is None:
        return CloseCode.NORMAL_CLOSURE, ""
    if isinstance(error, RequestCancelled) and error.reason == "shutdown":
        return CloseCode.GOING_AWAY, STOPPING
    if isinstance(error, HTTPError) and error.status < 500:
        return CloseCode.POLICY_VIOLATION, fitting_reason(error.message)
    return CloseCode.INTERNAL_ERROR, ""

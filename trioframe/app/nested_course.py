"""The course of a request where something stands around its handler, and has to see how it ended.

    around http.lifecycle                     the whole request
      arrival, routing, the body              as in `course`
      middleware around                       has the response, which is final then
        request middleware
          around http.handler
            handler.before, the handler, handler.after
        response middleware, response
      send
      complete

Rules of this file:

* The handler has a scope of its own, and what it ends with, `RequestCancelled` too, is raised through all that stands
  around it.  It is answered behind them.
* A stream that middleware has still to see is sent when that has returned: until then its lifetime is suspended, and
  what feeds it lives on.  Whatever becomes of the stream, its lifetime is brought to an end.

It must not know what `course` must not know.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

import trio

from ..errors import RequestCancelled, ServerError
from ..http.exchange import Exchange
from .compile import PlannedRoute
from .course import Course
from .hooks import Hooks
from .request import Request
from .response import Response
from .response_stream import pieces_of, send

if TYPE_CHECKING:
    from .dispatch import Dispatcher

__all__ = ["NestedCourse"]


class NestedCourse(Course):
    """One request on the longest way."""

    __slots__ = ("_stream",)

    def __init__(self, dispatcher: Dispatcher, exchange: Exchange, hooks: Hooks) -> None:
        super().__init__(dispatcher, exchange, hooks)
        self._stream: Response | None = None  # which the handler has returned, in a suspended lifetime

    async def _go(self) -> None:
        try:
            await self._go_within()
        except BaseException:
            if self._exchange.lifetime.suspended:  # its stream will not be sent any more
                await self._drop_stream()
            raise

    async def _go_within(self) -> None:
        async with AsyncExitStack() as stack:
            for around in self._chain.lifecycle:
                await stack.enter_async_context(around.enter(self._request))
            await self._arrive()
            response = await self.respond()
            await self._leave_handler(RequestCancelled("application"))  # if a middleware has cancelled it by itself
            await self._finish(response)
            self._exchange.lifetime.guard(trio.current_time() + self._timeout)
            return
        raise ServerError("what stands around http.lifecycle has swallowed an exception, and there is no response")

    async def respond(self) -> Response:
        return await self._pass(0)

    async def _pass(self, index: int) -> Response:
        """The response of all that stands within the first `index` middleware around."""
        if index == len(self._chain.around):
            return await super().respond()
        middleware = self._chain.around[index]
        called = False

        async def call_next(request: Request) -> Response:
            nonlocal called
            if request is not self._request:
                raise ServerError(f"the middleware at {middleware.place} has called call_next() with another request")
            if called:
                raise ServerError(f"the middleware at {middleware.place} has called call_next() twice")
            called = True
            return await self._pass(index + 1)

        response = self._judge(await middleware.function(self._request, call_next))
        if response is None:
            how = "return what call_next(request) returns, or a response"
            raise ServerError(f"the middleware at {middleware.place} returned nothing: {how}")
        return response

    async def _run_handler(self) -> Response | None:
        if self._planned is None:
            return await super()._run_handler()
        async with AsyncExitStack() as stack:
            for around in self._chain.handler:
                await stack.enter_async_context(around.enter(self._request))
            return await super()._run_handler()
        raise ServerError("what stands around http.handler has swallowed an exception, and there is no response")

    # --- streams -----------------------------------------------------------------------------------------------------

    async def _handle(self, request: Request, planned: PlannedRoute) -> Response | None:
        """Within the lifetime: the handler alone."""
        response = self._dispatcher.judge(request, await planned.call(request, **request.match_info))
        if response is not None and not isinstance(response.body, bytes):
            self._exchange.lifetime.suspended = True
            self._stream = response
        return response

    async def _send_within(self, response: Response) -> None:
        if self._exchange.lifetime.suspended:
            self._exchange.lifetime.limit_start(self._timeout)
            await self._exchange.lifetime.run(self._send_suspended, response)
        else:
            await super()._send_within(response)

    async def _send_suspended(self, response: Response) -> None:
        """Within the lifetime: the stream, or what takes its place, and may read it."""
        await trio.lowlevel.checkpoint_if_cancelled()  # what has not begun can still be answered
        if isinstance(response.body, bytes):
            await self._drop()
            await send(self._exchange, response)
            return
        async with self._closing_stream():
            await send(self._exchange, response)
        if response.body is not cast("Response", self._stream).body:
            self._exchange.lifetime.cancel_children()  # nobody may have read what they feed

    async def _drop(self) -> None:
        self._exchange.lifetime.cancel_children()
        async with self._closing_stream():
            pass

    def _closing_stream(self) -> Any:
        return pieces_of(cast("AsyncIterable[bytes]", cast("Response", self._stream).body))

    async def _drop_stream(self) -> None:
        """Go on with the suspended lifetime, to its end."""
        try:
            await self._exchange.lifetime.run(self._drop)
        except RequestCancelled:
            return  # which is no news: it is over in any case
        except Exception as exc:  # noqa: BLE001 - it failed beside what is answered already
            await self._dispatcher.app.report(exc, self._request)

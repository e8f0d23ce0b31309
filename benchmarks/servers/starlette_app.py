"""The workloads as a user of Starlette would write them.

Middleware is plain ASGI, as a user writes it who wants speed: one object for both directions.  `BaseHTTPMiddleware`,
which is handier, runs what stands behind it in a task of its own, and costs many times as much.
"""

from __future__ import annotations

from asked import REQUEST_IDS
from order import receipt
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def hello(request: Request) -> Response:
    return PlainTextResponse("Hello, world!")


async def order(request: Request) -> Response:
    args = request.query_params
    return JSONResponse(
        receipt(
            request.path_params["id"],
            await request.json(),
            page=args["page"],
            sort=args["sort"],
            currency=args["currency"],
            request=request.headers["x-request-id"],
        )
    )


class RequestIds:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = Headers(scope=scope)["x-request-id"]

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


app = Starlette(
    routes=[Route("/", hello), Route("/order/{id:int}", order, methods=["POST"])],
    middleware=[Middleware(RequestIds)] if REQUEST_IDS else [],
)

"""The workloads as a user of Starlette would write them."""

from __future__ import annotations

from order import receipt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


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


# THE SEAT FOR MIDDLEWARE: one for requests and one for responses of /order; see trioframe_app.py.
app = Starlette(routes=[Route("/", hello), Route("/order/{id:int}", order, methods=["POST"])])

"""Three ways to answer with an error: ``curl -i http://127.0.0.1:8000/orders/0`` and others.

An `HTTPError` is an answer; an exception of the program's own becomes one in an exception handler; all else is a 500
that is logged with its traceback and tells the client nothing.
"""

from __future__ import annotations

import trio

from trioframe import App, NotFound, Request, Response, json

app = App("errors")
orders = {1: "open", 2: "paid"}


class AlreadyPaid(Exception):
    """The order has been paid."""


@app.get("/orders/<number:int>")
async def show(request: Request, number: int) -> Response:
    if number not in orders:
        raise NotFound("there is no such order", context={"order": number})
    return json({"order": number, "state": orders[number]})


@app.post("/orders/<number:int>/pay")
async def pay(request: Request, number: int) -> Response:
    if orders[number] == "paid":  # a KeyError is a 500
        raise AlreadyPaid
    orders[number] = "paid"
    return json({"order": number, "state": "paid"})


@app.exception(AlreadyPaid)
async def already_paid(request: Request, error: AlreadyPaid) -> Response:
    return json({"error": "the order has been paid"}, status=409)


if __name__ == "__main__":
    trio.run(app.serve)

"""What happens when the client leaves: ``curl -m 1 http://127.0.0.1:8000/report``, and look at what is printed.

The handler waits for two child tasks.  When curl gives up after a second all three are cancelled, each runs its own
`finally`, and then the handler of `RequestCancelled` learns why.
"""

from __future__ import annotations

import trio

from trioframe import App, Request, RequestCancelled, Response, json

app = App("cancellation")


@app.get("/report")
async def report(request: Request) -> Response:
    found: dict[str, int] = {}
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count, "orders", found)
            nursery.start_soon(count, "visits", found)
    finally:
        print("report: done or cancelled")
    return json(found)


async def count(what: str, found: dict[str, int]) -> None:
    try:
        await trio.sleep(5)  # a slow query
        found[what] = len(what)
    finally:
        print(f"{what}: the connection to the database goes back to its pool")


@app.get("/transfer")
async def transfer(request: Request) -> Response:
    with request.shielded(10):
        await trio.sleep(2)  # is not torn in half, though the client may leave
        print("transfer: booked")
    return json({"booked": True})


@app.exception(RequestCancelled)
async def cancelled(request: Request, error: RequestCancelled) -> None:
    print(f"{request.path}: ended early, reason: {error.reason}")


if __name__ == "__main__":
    trio.run(app.serve)

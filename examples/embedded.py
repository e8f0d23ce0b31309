"""Two apps in one Trio program, beside a task of its own: ``python examples/embedded.py``.

The public app counts; the private one shows the count, and stops the program: both apps drain, both `serve` return, and
the nursery is done.
"""

from __future__ import annotations

from functools import partial

import trio

from trioframe import App, Request, Response, json, text

public = App("public")
private = App("private")
public.ctx.served = 0


@public.get("/")
async def index(request: Request) -> Response:
    public.ctx.served += 1
    return text("Hello!\n")


@private.get("/count")
async def count(request: Request) -> Response:
    return json({"served": public.ctx.served})


@private.post("/stop")
async def stop(request: Request) -> Response:
    public.shutdown()
    private.shutdown()
    return text("Goodbye!\n")


async def main(*, task_status: trio.TaskStatus[dict[str, int]] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve both apps on ports that the system chooses, and report them."""
    ports = {}
    async with trio.open_nursery() as nursery:
        for app in (public, private):
            [listener] = await nursery.start(partial(app.serve, port=0))
            ports[app.name] = listener.socket.getsockname()[1]
            print(f"{app.name}: http://127.0.0.1:{ports[app.name]}")
        task_status.started(ports)


if __name__ == "__main__":
    trio.run(main)

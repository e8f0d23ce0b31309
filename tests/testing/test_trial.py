"""One request, cancelled at one of its checkpoints, and judged.  What is found at which one, is in `test_harness`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from trioframe import App, Request, RequestCancelled, Response, empty, text
from trioframe.testing import Watch
from trioframe.testing.trial import Reason, Scenario, Trial

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def app() -> App:
    return App("trial", env_prefix=None)


async def run(
    app: App, reason: Reason | None = None, at: int = 0, wire: Sequence[bytes] = (GET,), **options: Any
) -> Trial:
    method = "GET" if wire[0] == GET else "POST"
    defaults = {"endless": False, "patience": 30, "watch": Watch(), "after": None}
    trial = Trial(Scenario(app, method, wire, **{**defaults, **options}), reason, at)
    await trial.run()
    return trial


async def sleeps(request: Request) -> Response:
    await trio.sleep(1)
    return text("awake")


async def test_a_request_that_is_not_cancelled(app, autojump_clock):
    app.add_route(sleeps, "/")
    trial = await run(app)
    assert trial.response is not None
    assert (trial.response.status, trial.response.body) == (200, b"awake")
    assert (trial.handled, trial.stuck, trial.problems) == (True, False, [])
    assert trial.checkpoints.passed == 1


async def test_a_request_whose_client_leaves_gets_nothing(app, autojump_clock):
    app.add_route(sleeps, "/")
    trial = await run(app, "disconnect", at=1)
    assert trial.response is None
    assert trial.problems == []


@pytest.mark.parametrize("reason", ["timeout", "shutdown", "application"])
async def test_other_cancelled_requests_are_answered(app, autojump_clock, reason):
    app.add_route(sleeps, "/")
    trial = await run(app, reason, at=1)
    assert trial.response is not None
    assert trial.response.status == 503
    assert trial.problems == []


async def test_a_checkpoint_that_is_not_reached_cancels_nothing(app, autojump_clock):
    app.add_route(sleeps, "/")
    trial = await run(app, "timeout", at=2)
    assert trial.response is not None
    assert trial.response.status == 200


async def test_the_pieces_of_a_body_come_when_they_are_waited_for(app, autojump_clock):
    pieces = []

    @app.post("/", stream=True)
    async def upload(request: Request) -> Response:
        pieces.extend([piece async for piece in request.stream])
        return empty()

    trial = await run(app, wire=[POST, b"1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"])
    assert trial.problems == []
    assert pieces == [b"a", b"b"]


async def test_an_answer_may_come_before_the_request_is_complete(app, autojump_clock):
    @app.post("/", stream=True)
    async def refuses(request: Request) -> Response:
        return text("no", status=403)

    trial = await run(app, wire=[POST, b"8000\r\n" + bytes(0x8000), b"\r\n0\r\n\r\n"])
    assert trial.response is not None
    assert trial.response.status == 403
    assert trial.problems == []


async def test_a_client_that_leaves_in_the_middle_of_sending(app, autojump_clock):
    @app.post("/", stream=True)
    async def does_not_read(request: Request) -> Response:
        await trio.sleep(1)
        await trio.sleep(1)
        return empty()

    trial = await run(app, "disconnect", at=2, wire=[POST, b"80000\r\n" + bytes(0x80000)])
    assert trial.response is None
    assert trial.problems == []


async def test_a_write_that_is_cancelled_is_the_last(app, autojump_clock):
    @app.get("/")
    async def hints(request: Request) -> Response:
        await request.send_informational(103, {"Link": "</style.css>"})
        return empty()

    trial = await run(app, "timeout", at=1)
    assert trial.response is None
    assert trial.problems == []


async def test_of_a_response_without_end_the_head_is_enough(app, autojump_clock):
    @app.get("/")
    async def ticks(request: Request) -> None:
        response = await request.respond()
        while True:
            await response.send("tick")
            await trio.sleep(1)

    trial = await run(app, endless=True)
    assert trial.response is not None
    assert (trial.response.status, trial.problems) == (200, [])
    trial = await run(app, patience=10)
    assert (trial.response, trial.stuck) == (None, True)


async def test_the_access_log_has_to_be_right(app, autojump_clock):
    @app.get("/")
    async def streams(request: Request) -> None:
        response = await request.respond()
        await response.send("so far")
        await trio.sleep(1)

    @app.exception(RequestCancelled)
    async def lies(request: Request, error: RequestCancelled) -> None:
        error.reason = "shutdown"

    trial = await run(app, "disconnect", at=2)
    assert trial.problems == ["the access log says [503] and not [499]"]


async def test_the_answer_and_the_access_log_have_to_agree(app, autojump_clock):
    @app.get("/")
    async def lies(request: Request) -> None:
        response = await request.respond()
        await response.eof()
        request.exchange.status = 404

    trial = await run(app)
    assert trial.problems == ["the client got 200, the access log says [404]"]


async def test_a_handler_that_ends_and_a_connection_that_does_not(app, autojump_clock):
    @app.get("/")
    async def answers(request: Request) -> Response:
        return text("done")

    @app.exception(RequestCancelled)
    async def lingers(request: Request, error: RequestCancelled) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 60):
            await trio.sleep(100)

    app.add_route(sleeps, "/sleeps")
    wire = [GET.replace(b"/ ", b"/sleeps ")]
    trial = await run(app, "disconnect", at=1, wire=wire)
    assert trial.stuck
    assert trial.problems == ["it did not end within 30 s: the handler has ended, its connection has not"]

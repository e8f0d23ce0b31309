"""Cancelling a request everywhere: correct handlers pass, and bugs are found where they are."""

from __future__ import annotations

import logging

import pytest
import trio

from trioframe import App, NotFound, Request, RequestCancelled, Response, empty, text
from trioframe.testing import ALL_REASONS, Report, Watch, cancel_everywhere


@pytest.fixture
def app() -> App:
    return App("harness", env_prefix=None)


def problems(report: Report) -> list[str]:
    """Each problem once."""
    return list(dict.fromkeys(finding.problem for finding in report.findings))


# --- correct handlers -------------------------------------------------------------------------------------------------


async def plain(request: Request) -> Response:
    for _ in range(3):
        await trio.sleep(1)
    return text("done")


async def cleans_up(request: Request) -> Response:
    async with request.app.ctx.lock:
        await trio.sleep(1)
    return empty()


async def with_children(request: Request) -> Response:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        nursery.start_soon(trio.sleep, 2)
    return empty()


async def with_children_of_the_request(request: Request) -> Response:
    request.nursery.start_soon(trio.sleep, 1)
    await request.nursery.start(started)
    await trio.sleep(1)
    return empty()


async def started(*, task_status: trio.TaskStatus[None]) -> None:
    await trio.lowlevel.checkpoint()
    task_status.started()
    await trio.sleep(2)


async def cancellable(request: Request) -> Response:
    try:
        with request.cancellable():
            await trio.sleep(1)
    except RequestCancelled:
        await trio.sleep(1)  # cleaning up
        raise
    return empty()


async def cancellable_with_an_answer(request: Request) -> Response:
    try:
        with request.cancellable():
            await trio.sleep(1)
    except RequestCancelled:
        return text("never mind", status=202)
    return text("done", status=202)


async def shielded(request: Request) -> Response:
    with request.shielded(10):
        await trio.sleep(1)
        await trio.sleep(1)
    return empty()


async def shielded_cleanup(request: Request) -> Response:
    try:
        await trio.sleep(1)
    finally:
        with trio.move_on_after(2, shield=True):
            await trio.sleep(1)
    return empty()


async def streams(request: Request) -> None:
    response = await request.respond()
    for _ in range(3):
        await response.send("piece")
        await trio.sleep(1)


async def says_goodbye(request: Request) -> None:
    response = await request.respond()
    try:
        await response.send("piece")
        await trio.sleep(1)
    finally:
        with trio.move_on_after(2, shield=True):
            await response.send("goodbye")


async def returns_a_stream(request: Request) -> Response:
    async def pieces():
        for _ in range(3):
            yield "piece"
            await trio.sleep(1)

    return Response(pieces())


async def asks_to_be_cancelled(request: Request) -> Response:
    await trio.sleep(1)
    request.cancel()
    await trio.sleep_forever()
    return empty()


@pytest.mark.parametrize(
    "handler",
    [
        plain,
        cleans_up,
        with_children,
        with_children_of_the_request,
        cancellable,
        cancellable_with_an_answer,
        shielded,
        shielded_cleanup,
        streams,
        says_goodbye,
        returns_a_stream,
        asks_to_be_cancelled,
    ],
    ids=lambda handler: handler.__name__,
)
async def test_correct_handlers_pass(app, autojump_clock, handler):
    app.ctx.lock = trio.Lock()
    app.add_route(handler, "/")
    report = await cancel_everywhere(app, "GET", "/", reasons=ALL_REASONS)
    report.check()
    assert report.complete
    assert report.checkpoints > 0


async def test_every_checkpoint_is_tried_for_every_reason(app, autojump_clock):
    app.add_route(plain, "/")
    report = await cancel_everywhere(app, "GET", "/", reasons=ALL_REASONS)
    assert (report.checkpoints, report.runs) == (3, 3 * len(ALL_REASONS))


async def test_a_handler_that_is_not_cancelled_by_disconnects_passes_too(app, autojump_clock):
    app.add_route(plain, "/", on_disconnect="ignore")
    report = await cancel_everywhere(app, "GET", "/")
    report.check()


async def test_a_handler_in_a_thread_is_waited_for(app):  # without an autojump clock, which does not know of threads
    app.add_route(lambda request: text("from a thread"), "/")
    report = await cancel_everywhere(app, "GET", "/")
    report.check()
    assert report.checkpoints == 2  # for its turn, and for the thread


async def test_the_body_is_sent_and_can_be_cancelled_piece_by_piece(app, autojump_clock):
    received = []

    @app.post("/", stream=True)
    async def upload(request: Request) -> Response:
        received.append([piece async for piece in request.stream])
        return empty()

    report = await cancel_everywhere(app, "POST", "/", content=[b"one", b"two", b"three"], reasons=("disconnect",))
    report.check()
    assert report.checkpoints >= 3
    assert received[0] == [b"one", b"two", b"three"]
    report = await cancel_everywhere(app, "POST", "/", content=b"all of it", headers={"host": "elsewhere"})
    report.check()
    assert received[-1] == [b"all of it"]


async def test_what_the_app_answers_in_place_of_a_cancelled_handler_is_its_business(app, autojump_clock):
    app.add_route(plain, "/")

    @app.exception(RequestCancelled)
    async def sorry(request: Request, error: RequestCancelled) -> Response:
        return text("sorry", status=418)

    report = await cancel_everywhere(app, "GET", "/", reasons=ALL_REASONS)
    report.check()


# --- bugs -------------------------------------------------------------------------------------------------------------


async def test_swallowing_a_cancellation_is_found(app, autojump_clock):
    @app.get("/")
    async def swallows(request: Request) -> Response:
        try:
            await trio.sleep(1)
        except BaseException:  # noqa: BLE001 - this is the bug
            return text("whatever")
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    assert problems(report) == ["the handler swallowed its cancellation, and returned"]
    assert [(finding.reason, finding.checkpoint) for finding in report.findings] == [("disconnect", 1), ("timeout", 1)]
    assert report.findings[0].place.endswith("in swallows: await trio.sleep(1)")


async def test_turning_a_cancellation_into_an_answer_is_found(app, autojump_clock):
    @app.get("/")
    async def turns(request: Request) -> Response:
        try:
            await trio.sleep(1)
        except BaseException:  # noqa: BLE001 - this is the bug
            raise NotFound from None
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", reasons=("timeout",))
    assert problems(report) == ["the handler swallowed its cancellation, and raised NotFound('Not Found')"]


async def test_an_await_in_finally_that_skips_the_rest_is_found(app, autojump_clock):
    watch = Watch()

    @app.get("/")
    async def forgets(request: Request) -> Response:
        watch.opened("connection")
        try:
            await trio.sleep(1)
        finally:
            await trio.sleep(1)  # "log it"
            watch.closed("connection")
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", watch=watch)
    assert problems(report) == ["'connection' was opened 1 and closed 0 times"]
    assert {finding.checkpoint for finding in report.findings} == {1, 2}


async def test_a_finalizer_that_is_cut_short_is_found(app, autojump_clock):
    watch = Watch()

    @app.get("/")
    async def hurries(request: Request) -> Response:
        try:
            await trio.sleep(1)
        finally:
            with watch.finalizer("rollback"):
                await trio.sleep(1)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", watch=watch)
    assert problems(report) == ["the finalizer 'rollback' was cut short"]


async def test_a_task_that_goes_on_elsewhere_is_found(app, autojump_clock, nursery):
    @app.get("/")
    async def forgets(request: Request) -> Response:
        nursery.start_soon(trio.sleep, 60)
        await trio.sleep(1)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    [problem] = problems(report)
    assert problem.startswith("the task trio.sleep goes on after it")


async def test_a_task_that_ends_in_a_moment_is_no_problem(app, autojump_clock, nursery):
    @app.get("/")
    async def leaves_something_to_do(request: Request) -> Response:
        nursery.start_soon(trio.sleep, 0.5)
        await trio.sleep(1)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    report.check()


async def test_an_unclosed_async_generator_is_found(app, autojump_clock):
    async def rows():
        try:
            for row in range(3):
                yield row
        finally:
            await trio.lowlevel.checkpoint()

    @app.get("/")
    async def iterates(request: Request) -> Response:
        async for _ in rows():
            await trio.sleep(1)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    [problem] = problems(report)
    assert "rows (" in problem
    assert problem.endswith("was not closed")
    assert {finding.checkpoint for finding in report.findings} == {1, 2, 3}


async def test_a_coroutine_that_is_not_awaited_any_more_is_found(app, autojump_clock):
    async def undo() -> None:
        pass

    @app.get("/")
    async def prepares(request: Request) -> Response:
        prepared = undo()
        await trio.sleep(1)
        await prepared
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    [problem] = problems(report)
    assert problem.endswith("undo' was never awaited")


async def test_a_lock_that_is_kept_is_found_by_the_next_request(app, autojump_clock):
    lock = trio.Lock()

    @app.get("/")
    async def keeps(request: Request) -> Response:
        await lock.acquire()
        await trio.sleep(1)
        lock.release()
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    assert problems(report)[-1] == "in the next request: the answer was 500 instead of 200"
    assert not report.complete
    assert report.runs == 1


async def test_a_slot_that_is_kept_is_found_by_the_next_request(app, autojump_clock):
    slots = trio.CapacityLimiter(1)

    @app.get("/")
    async def keeps(request: Request) -> Response:
        await slots.acquire_on_behalf_of(request)
        await trio.sleep(1)
        slots.release_on_behalf_of(request)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", patience=10)
    [problem] = problems(report)
    assert problem.startswith("in the next request: it did not end within 10 s: ")
    assert problem.endswith("in keeps: await slots.acquire_on_behalf_of(request)")
    assert not report.complete


async def test_an_error_while_unwinding_is_found(app, autojump_clock):
    @app.get("/")
    async def stumbles(request: Request) -> Response:
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            raise ZeroDivisionError("oops") from None
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", reasons=("timeout",))
    [problem] = problems(report)
    assert problem.startswith("the server logged an error: ")
    assert problem.endswith("failed: ZeroDivisionError('oops')")


async def test_a_handler_that_does_not_end_is_found(app, autojump_clock):
    @app.get("/")
    async def stays(request: Request) -> Response:
        try:
            await trio.sleep(1)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 100):
                await trio.sleep(100)
        return text("done")

    report = await cancel_everywhere(app, "GET", "/", patience=50)
    assert not report.complete
    assert report.runs == 0  # it is as slow without being cancelled
    [problem] = problems(report)
    assert problem.startswith("it did not end within 50 s: ")
    assert "in stays: await trio.sleep(100)" in problem


async def test_a_handler_that_does_not_end_once_cancelled_is_found(app, autojump_clock):
    @app.get("/")
    async def stays(request: Request) -> Response:
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            with trio.move_on_after(100, shield=True):
                await trio.sleep_forever()
            raise
        return text("done")

    report = await cancel_everywhere(app, "GET", "/")
    assert not report.complete
    assert report.runs == 1
    [problem] = problems(report)
    assert problem.startswith("it did not end within 30 s: ")


# --- the user's own judgement -----------------------------------------------------------------------------------------


async def test_what_must_hold_afterwards_is_asked(app, autojump_clock):
    held = []
    asked = 0

    @app.get("/")
    async def keeps(request: Request) -> Response:
        held.append(True)
        await trio.sleep(1)
        held.clear()
        return text("done")

    def nothing_is_held() -> None:
        nonlocal asked
        asked += 1
        assert not held, "something is held"

    report = await cancel_everywhere(app, "GET", "/", after=nothing_is_held, reasons=("timeout",))
    assert asked > 2
    assert len(problems(report)) == 1
    assert problems(report)[0].startswith("afterwards: AssertionError: something is held")


async def test_it_may_be_asked_asynchronously(app, autojump_clock):
    app.add_route(plain, "/")
    asked = 0

    async def count() -> None:
        nonlocal asked
        await trio.lowlevel.checkpoint()
        asked += 1

    (await cancel_everywhere(app, "GET", "/", after=count)).check()
    assert asked > 0


# --- what is wrong in any case ----------------------------------------------------------------------------------------


async def test_what_goes_wrong_anyway_is_reported_once(app, autojump_clock):
    @app.get("/")
    async def fails(request: Request) -> Response:
        await trio.sleep(1)
        raise ZeroDivisionError("always")

    report = await cancel_everywhere(app, "GET", "/", reasons=("timeout",))
    assert [finding.reason for finding in report.findings] == [None]
    assert report.runs == 1


async def test_a_request_without_an_answer(app, autojump_clock):
    @app.get("/")
    async def breaks(request: Request) -> None:
        response = await request.respond()
        await response.send("so far")
        raise ZeroDivisionError("always")

    report = await cancel_everywhere(app, "GET", "/")
    assert problems(report)[0] == "the client got no answer"
    assert not report.complete


async def test_a_request_for_which_there_is_no_handler(app, autojump_clock):
    report = await cancel_everywhere(app, "GET", "/nowhere")
    assert problems(report) == ["no handler ran: the answer was 404"]
    assert not report.complete


async def test_a_request_that_is_refused(app, autojump_clock):
    report = await cancel_everywhere(app, "GET", "/", headers={"Host": "a b"})
    assert any(problem.startswith("the server refused the request with 400") for problem in problems(report))


async def test_a_reason_that_there_is_not(app, autojump_clock):
    with pytest.raises(ValueError, match="no such reason: boredom; there are disconnect, timeout"):
        await cancel_everywhere(app, "GET", "/", reasons=("boredom",))  # type: ignore[arg-type]


# --- responses without end --------------------------------------------------------------------------------------------


async def test_a_response_that_never_ends_is_tried_up_to_a_limit(app, autojump_clock):
    @app.get("/")
    async def ticks(request: Request) -> None:
        response = await request.respond()
        while True:
            await response.send("tick")
            await trio.sleep(1)

    report = await cancel_everywhere(app, "GET", "/", limit=5, reasons=ALL_REASONS)
    report.check()
    assert (report.checkpoints, report.runs) == (5, 5 * len(ALL_REASONS))


async def test_a_limit_that_is_not_reached(app, autojump_clock):
    app.add_route(plain, "/")
    report = await cancel_everywhere(app, "GET", "/", limit=5)
    report.check()
    assert report.checkpoints == 3


# --- the harness itself -----------------------------------------------------------------------------------------------


async def test_it_can_be_cancelled_itself(app, autojump_clock):
    ended = []

    @app.get("/")
    async def sleeps(request: Request) -> Response:
        try:
            await trio.sleep(10)
        finally:
            ended.append(True)
        return text("done")

    with trio.move_on_after(5) as scope:
        await cancel_everywhere(app, "GET", "/")
    assert scope.cancelled_caught
    assert ended == [True]


async def test_it_leaves_the_logging_as_it_was(app, autojump_clock):
    handlers = logging.getLogger("trioframe").handlers.copy()
    app.add_route(plain, "/")
    await cancel_everywhere(app, "GET", "/")
    assert logging.getLogger("trioframe").handlers == handlers

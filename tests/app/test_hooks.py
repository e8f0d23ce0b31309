"""Who is asked while a request runs, and how long those may take whom nothing else bounds."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioframe import App
from trioframe.app.hooks import Hooks, find_hooks
from trioframe.app.reserved import RESERVED

FIELDS = {
    "http.lifecycle.begin": ("begin",),
    "http.lifecycle.read_head": ("read_head",),
    "http.lifecycle.request": ("request",),
    "http.lifecycle.handle": ("handle",),
    "http.routing.before": ("routing_before",),
    "http.routing.after": ("routing_after",),
    "http.lifecycle.read_body": ("read_body",),
    "http.middleware.before": ("before_request_middleware", "before_response_middleware"),
    "http.middleware.after": ("after_request_middleware", "after_response_middleware"),
    "http.handler.before": ("handler_before",),
    "http.handler.after": ("handler_after",),
    "http.lifecycle.response": ("response",),
    "http.lifecycle.send": ("send",),
    "http.lifecycle.exception": ("exception",),
    "http.lifecycle.cancelled": ("cancelled",),
    "http.lifecycle.complete": ("complete",),
}
ARRIVING = list(FIELDS)[:5]
NOTICES = list(FIELDS)[-3:]


PATIENCE = 5  # seconds


@pytest.fixture
def app() -> App:
    return App("hooks", env_prefix=None)


async def no_report(exception: Exception, request: object) -> None:
    pytest.fail(f"{exception!r} was reported")


def test_every_signal_of_a_request_has_its_hook() -> None:
    assert set(FIELDS) == {name for name in RESERVED if name.startswith("http.")}
    assert {field for fields in FIELDS.values() for field in fields} == {*Hooks._fields} - {"arriving", "others"}


def test_nobody_is_asked_where_nobody_listens(app: App) -> None:
    app.add_signal(lambda: None, "server.init.before")
    app.add_signal(lambda: None, "user.order.done")
    assert find_hooks(app.signals, no_report, PATIENCE) == Hooks()


@pytest.mark.parametrize("name", FIELDS)
def test_a_receiver_is_asked_in_its_place_alone(app: App, name: str) -> None:
    @app.signal(name)
    def receiver(**context: Any) -> None: ...

    found = find_hooks(app.signals, no_report, PATIENCE)
    assert [field for field in Hooks._fields[:-2] if getattr(found, field) is not None] == list(FIELDS[name])
    assert found.arriving is (name in ARRIVING)
    assert found.others is (name != "http.handler.before")


@pytest.mark.parametrize("kind", ["request", "response"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_one_kind_of_middleware_may_be_listened_to(app: App, kind: str, when: str) -> None:
    app.add_signal(lambda: None, f"http.middleware.{when}", {"attach_to": kind})
    found = find_hooks(app.signals, no_report, PATIENCE)
    assert [field for field in Hooks._fields[:-2] if getattr(found, field) is not None] == [f"{when}_{kind}_middleware"]


@pytest.mark.parametrize("name", FIELDS)
async def test_only_what_a_notice_raises_is_reported(app: App, name: str) -> None:
    reported: list[Exception] = []

    async def report(exception: Exception, request: object) -> None:
        reported.append(exception)

    @app.signal(name)
    def receiver(**context: Any) -> None:
        raise LookupError(name)

    hook = getattr(find_hooks(app.signals, report, PATIENCE), FIELDS[name][0])
    if name in NOTICES:
        await hook()
        assert [str(exception) for exception in reported] == [name]
    else:
        with pytest.raises(LookupError):
            hook()
    assert RESERVED[name].notice is (name in NOTICES)


@pytest.mark.parametrize("name", NOTICES)
async def test_whoever_hears_a_notice_has_his_time_and_no_more(app: App, name: str, autojump_clock: MockClock) -> None:
    reported: list[Exception] = []

    async def report(exception: Exception, request: object) -> None:
        reported.append(exception)

    @app.signal(name)
    async def receiver(**context: Any) -> None:
        await trio.sleep_forever()

    await getattr(find_hooks(app.signals, report, PATIENCE), FIELDS[name][0])()
    assert trio.current_time() == PATIENCE
    assert len(reported) == 1


async def test_a_change_makes_other_hooks(app: App) -> None:
    receiver = app.signal("http.lifecycle.complete")(lambda: None)
    before = find_hooks(app.signals, no_report, PATIENCE)
    app.signals["http.lifecycle.complete"].disconnect(receiver)
    assert before.complete is not None
    assert find_hooks(app.signals, no_report, PATIENCE) == Hooks()

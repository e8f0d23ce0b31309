"""What a plan tells of a route: everything that runs, in its order, with its place."""

from __future__ import annotations

import functools
from typing import Any

from trioframe import App
from trioframe.app.plan_steps import Step, server_steps, steps
from trioframe.app.reserved import RESERVED


def receiver(**context: Any) -> None: ...
def listener(app: App) -> None: ...
def on_request(request: Any) -> None: ...
def on_response(request: Any, response: Any) -> None: ...


async def around_all(request: Any, call_next: Any) -> Any: ...
async def standing(subject: Any) -> Any:
    yield


def handler(request: Any) -> str:
    return ""


async def talk(request: Any, ws: Any) -> None: ...


def told(found: list[Step]) -> list[tuple[str, str]]:
    return [(step.kind, step.at) for step in found]


def test_everything_in_the_order_in_which_it_runs() -> None:
    app = App("all", env_prefix=None)
    for name in RESERVED:
        app.add_signal(receiver, name)
    for phase in ("http.handler", "http.lifecycle", "server.lifecycle"):
        app.around(phase)(standing)
    app.on_response(on_response)
    app.on_request(on_request)
    app.middleware(around_all)
    app.after_server_stop(listener)
    app.add_route(handler, "/")
    assert told(steps(app, app.compile().routes[0])) == [
        ("around", "http.lifecycle"),
        ("signal", "http.lifecycle.begin"),
        ("signal", "http.lifecycle.read_head"),
        ("signal", "http.lifecycle.request"),
        ("signal", "http.lifecycle.handle"),
        ("signal", "http.routing.before"),
        ("signal", "http.routing.after"),
        ("signal", "http.lifecycle.read_body"),
        ("middleware", "around"),
        ("signal", "http.middleware.before"),
        ("middleware", "request"),
        ("signal", "http.middleware.after"),
        ("around", "http.handler"),
        ("signal", "http.handler.before"),
        ("handler", "in a thread"),
        ("signal", "http.handler.after"),
        ("signal", "http.middleware.before"),
        ("middleware", "response"),
        ("signal", "http.middleware.after"),
        ("signal", "http.lifecycle.response"),
        ("signal", "http.lifecycle.send"),
        ("signal", "http.lifecycle.exception"),
        ("signal", "http.lifecycle.cancelled"),
        ("signal", "http.lifecycle.complete"),
    ]
    assert told(server_steps(app)) == [
        ("around", "server.lifecycle"),
        ("signal", "server.init.before"),
        ("signal", "server.init.after"),
        ("signal", "server.shutdown.before"),
        ("listener", "after_server_stop"),
        ("signal", "server.shutdown.after"),
        ("signal", "server.exception.report"),
    ]


def test_what_runs_for_a_websocket() -> None:
    app = App("websocket", env_prefix=None)
    for name in RESERVED:
        app.add_signal(receiver, name)
    for phase in ("http.handler", "websocket.handler"):
        app.around(phase)(standing)
    app.on_response(on_response)
    app.websocket("/ws")(talk)
    app.add_route(handler, "/")
    websocket, other = (told(steps(app, planned)) for planned in app.compile().routes)
    begin = websocket.index(("around", "http.handler"))
    assert websocket[begin:] == [
        ("around", "http.handler"),
        ("around", "websocket.handler"),
        ("signal", "http.handler.before"),
        ("signal", "websocket.handler.before"),
        ("handler", "of a WebSocket"),
        ("signal", "http.middleware.before"),
        ("middleware", "response"),
        ("signal", "http.middleware.after"),
        ("signal", "http.lifecycle.response"),
        ("signal", "http.lifecycle.send"),
        ("signal", "websocket.connection.open"),
        ("signal", "websocket.handler.after"),
        ("signal", "http.handler.after"),
        ("signal", "websocket.handler.exception"),
        ("signal", "websocket.connection.close"),
        ("signal", "http.lifecycle.exception"),
        ("signal", "http.lifecycle.cancelled"),
        ("signal", "http.lifecycle.complete"),
    ]
    assert not [at for _, at in other if at.startswith("websocket.")]


def test_the_handler_of_a_websocket_is_shown_as_it_is() -> None:
    app = App("websocket", env_prefix=None)
    app.websocket("/ws")(talk)
    (step,) = steps(app, app.compile().routes[0])
    assert step.function == "talk"
    assert step.place is not None
    assert step.place.startswith(__file__)


def test_receivers_whose_condition_never_holds_there_are_left_out() -> None:
    app = App("conditions", env_prefix=None)
    app.on_request(on_request)
    app.on_response(on_response)
    app.add_signal(receiver, "http.middleware.before", {"attach_to": "response"})
    app.add_signal(receiver, "http.handler.before", {"attach_to": "response"})
    app.add_route(handler, "/")
    assert told(steps(app, app.compile().routes[0])) == [
        ("middleware", "request"),
        ("handler", "in a thread"),
        ("signal", "http.middleware.before"),
        ("middleware", "response"),
    ]


def test_who_has_no_name_is_shown_as_it_is() -> None:
    app = App("partial", env_prefix=None)
    counting = functools.partial(receiver, step=1)
    app.add_signal(counting, "http.handler.before")
    app.add_route(handler, "/")
    step, _ = steps(app, app.compile().routes[0])
    assert step.function == repr(counting)
    assert step.place is not None
    assert step.place.startswith(__file__)


def test_who_listens_now() -> None:
    app = App("now", env_prefix=None)
    app.add_route(handler, "/")
    (planned,) = app.compile().routes
    with app.signals["http.handler.before"].connected_to(receiver):
        assert told(steps(app, planned))[0] == ("signal", "http.handler.before")
    assert told(steps(app, planned)) == [("handler", "in a thread")]

"""What the dispatcher asks while a request runs: for each reserved signal its hook, or None where nobody listens.

Hooks are a value: whoever connects or disconnects while requests run makes a new one, and a request that has begun with
the old one goes on with that.  So no request sees half of a change.

It must not know how receivers are called: a hook takes the context by keyword, and gives something to await, or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from .reserved import RESERVED
from .signal_hook import Hook, Report
from .signal_registry import Signals

__all__ = ["Hooks", "find_hook", "find_hooks"]


class Hooks(NamedTuple):
    """The hooks of a request, in the order of its course.

    Parameters:
      arriving: whether there is any up to routing.
      others: whether there is any beside `handler_before`.
    """

    begin: Hook | None = None
    read_head: Hook | None = None
    request: Hook | None = None
    handle: Hook | None = None
    routing_before: Hook | None = None
    routing_after: Hook | None = None
    read_body: Hook | None = None
    before_request_middleware: Hook | None = None
    after_request_middleware: Hook | None = None
    handler_before: Hook | None = None
    handler_after: Hook | None = None
    before_response_middleware: Hook | None = None
    after_response_middleware: Hook | None = None
    response: Hook | None = None
    send: Hook | None = None
    exception: Hook | None = None
    cancelled: Hook | None = None
    complete: Hook | None = None
    arriving: bool = False
    others: bool = False


def find_hooks(signals: Signals, report: Report, patience: float) -> Hooks:
    """The hooks of now.

    Parameters:
      report: told of what receivers of mere notices raise.
      patience: seconds that each of those may take.
    """

    hook = partial(find_hook, signals, report, patience)
    for_request, for_response = {"attach_to": "request"}, {"attach_to": "response"}
    hooks = Hooks(
        begin=hook("http.lifecycle.begin"),
        read_head=hook("http.lifecycle.read_head"),
        request=hook("http.lifecycle.request"),
        handle=hook("http.lifecycle.handle"),
        routing_before=hook("http.routing.before"),
        routing_after=hook("http.routing.after"),
        read_body=hook("http.lifecycle.read_body"),
        before_request_middleware=hook("http.middleware.before", for_request),
        after_request_middleware=hook("http.middleware.after", for_request),
        handler_before=hook("http.handler.before"),
        handler_after=hook("http.handler.after"),
        before_response_middleware=hook("http.middleware.before", for_response),
        after_response_middleware=hook("http.middleware.after", for_response),
        response=hook("http.lifecycle.response"),
        send=hook("http.lifecycle.send"),
        exception=hook("http.lifecycle.exception"),
        cancelled=hook("http.lifecycle.cancelled"),
        complete=hook("http.lifecycle.complete"),
    )
    first = (hooks.begin, hooks.read_head, hooks.request, hooks.handle, hooks.routing_before)
    return hooks._replace(arriving=any(first), others=any(hooks._replace(handler_before=None)))


def find_hook(
    signals: Signals, report: Report, patience: float, name: str, condition: Mapping[str, Any] | None = None
) -> Hook | None:
    """The hook of one signal; for the others see `find_hooks`."""
    if RESERVED[name].notice:
        return signals.hook(name, condition, report=report, patience=patience)
    return signals.hook(name, condition)

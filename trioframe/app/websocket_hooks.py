"""Whom to tell of WebSockets: like `hooks`, a value that is replaced when somebody connects or disconnects."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from .hooks import find_hook
from .signal_hook import Hook, Report
from .signal_registry import Signals

__all__ = ["WebSocketHooks", "find_websocket_hooks"]


class WebSocketHooks(NamedTuple):
    """Whom to tell of a WebSocket; None where nobody listens."""

    before: Hook | None = None
    opened: Hook | None = None
    after: Hook | None = None
    exception: Hook | None = None
    closed: Hook | None = None


def find_websocket_hooks(signals: Signals, report: Report, patience: float) -> WebSocketHooks:
    """The hooks of now; see `hooks.find_hooks`."""
    hook = partial(find_hook, signals, report, patience)
    return WebSocketHooks(
        before=hook("websocket.handler.before"),
        opened=hook("websocket.connection.open"),
        after=hook("websocket.handler.after"),
        exception=hook("websocket.handler.exception"),
        closed=hook("websocket.connection.close"),
    )

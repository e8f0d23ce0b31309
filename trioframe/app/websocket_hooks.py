"""Whom to tell of WebSockets: like `hooks`, a value that is replaced when somebody connects or disconnects."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

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
    notice = partial(signals.hook, report=report, patience=patience)
    return WebSocketHooks(
        before=signals.hook("websocket.handler.before"),
        opened=notice("websocket.connection.open"),
        after=notice("websocket.handler.after"),
        exception=notice("websocket.handler.exception"),
        closed=notice("websocket.connection.close"),
    )

"""A plug-in: logs each request whose handler took longer than a second.

It needs nothing of the app but its signals, and of trioframe nothing but that they are blinker's: a receiver that is
connected with blinker's verbs takes the sender, here the app, and the rest by keyword.  As always with blinker, it is
held weakly.  Functions of a module live as long as that does; what lives nowhere else needs ``weak=False``.
"""

from __future__ import annotations

import logging
from typing import Any

import trio

from trioframe import App, Request

SLOW = 1.0  # seconds
logger = logging.getLogger("slow_requests")


def setup(app: App) -> None:
    """Called with the app before it serves."""
    app.add_signal(begin, "http.handler.before")
    app.signals["http.handler.after"].connect(end)


def begin(request: Request) -> None:
    request.ctx.handler_began = trio.current_time()


def end(sender: App, request: Request, **context: Any) -> None:
    seconds = trio.current_time() - request.ctx.handler_began
    if seconds > SLOW:
        logger.warning("%s: %s took %.1f s", sender.name, request.path, seconds)

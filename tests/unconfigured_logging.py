"""Logging as it is in a program that has never heard of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def unconfigured() -> Iterator[logging.Logger]:
    """The logger "trioframe", out of reach of the handlers that pytest has configured; all is undone at the end."""
    root, logger, access = map(logging.getLogger, (None, "trioframe", "trioframe.access"))
    level, handlers = logger.level, root.handlers
    root.handlers = []
    try:
        yield logger
    finally:
        root.handlers = handlers
        logger.handlers.clear()
        logger.setLevel(level)
        access.handlers.clear()
        access.propagate = True

"""Whom a connection tells what became of each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..errors import RemoteProtocolError
from .exchange import ConnInfo, Exchange

__all__ = ["Observer"]


class Observer(Protocol):
    """Hears what became of each request; the server's access log is one."""

    @property
    def record(self) -> Callable[[Exchange], None] | None:
        """Called with each exchange that is over, or goes on in another protocol; None if nobody wants to know."""

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        """Input was refused before it became an exchange."""

"""What is raised when a WebSocket has ended: one error, which is also what a channel would raise.

    raised                      by the peer, or lost        by the handler itself
    receiving, closed in order  `trio.EndOfChannel`         `trio.EndOfChannel` and `trio.ClosedResourceError`
    otherwise                   `trio.BrokenResourceError`  `trio.BrokenResourceError` and `trio.ClosedResourceError`

Each is a `WebSocketClosed` as well, and goes by that name in a traceback: it is the one by which it is caught.
"""

from __future__ import annotations

from typing import Final

import trio

from ..errors import WebSocketClosed

__all__ = ["HERE", "Broken", "Ended"]


class _Closed(WebSocketClosed):
    websocket: object = None  # the one that has ended; a handler may have others as well

    def __init_subclass__(cls) -> None:
        public = WebSocketClosed
        cls.__module__, cls.__qualname__, cls.__name__ = public.__module__, public.__qualname__, public.__name__


class Ended(_Closed, trio.EndOfChannel):
    """Closed in order: for users of a channel, its end."""


class Broken(_Closed, trio.BrokenResourceError):
    """Nothing can be sent any more, or the connection was lost."""


class _EndedHere(Ended, trio.ClosedResourceError):
    """Closed in order, by the handler itself."""


class _BrokenHere(Broken, trio.ClosedResourceError):
    """Closed by the handler itself: nothing can be sent any more, or it told of a failure."""


HERE: Final[dict[type[Ended | Broken], type[Ended | Broken]]] = {Ended: _EndedHere, Broken: _BrokenHere}
"""What is raised in their place where the handler itself has closed."""

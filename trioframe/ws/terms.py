"""What holds for one WebSocket: sizes, times, and what its end does to its handler."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .bounds import WebSocketLimits
from .deflate_terms import Deflate

__all__ = ["WebSocketTerms"]


@dataclass(frozen=True, slots=True)
class WebSocketTerms:
    """The terms of a WebSocket.  Times in seconds; inf for no limit.

    Attributes:
      limits: what one message may be.
      deflate: how messages are compressed, with a client that offers it; None if they are not.
      max_queue: messages that wait while nobody receives them, 1 or more; fewer if they take more than `read_ahead`.
      read_ahead: octets of memory that messages, or a part of one, may take while nobody receives them; behind the
        piece that goes beyond it nothing more is read.
      ping_interval: how long the peer may be silent before it is pinged.
      ping_timeout: how long it may be silent behind a ping before it is given up.
      close_timeout: how long it may take to answer a close.
      linger_timeout: how long the connection is kept for a peer that has still to read our last words.
      cancel_on_close: whether the handler is cancelled also when the peer closes in order.
      send_only: whether messages of the peer are dropped as they come.
    """

    limits: WebSocketLimits = field(default_factory=WebSocketLimits)
    deflate: Deflate | None = None
    max_queue: int = 16
    read_ahead: float = 1 << 20
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 5.0
    linger_timeout: float = 5.0
    cancel_on_close: bool = False
    send_only: bool = False

    @property
    def most_held(self) -> float:
        """How much of one message is read ahead, as `read_ahead`; inf if its limit of size sees to that by itself."""
        return self.read_ahead if self.limits.max_message_size > self.read_ahead else math.inf

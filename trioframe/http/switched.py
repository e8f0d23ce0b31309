"""What a connection hands over when it goes on in another protocol.

The exchange that asked for it (`Exchange.switch`) lasts as long as that protocol is spoken, and its lifetime with it:
what cancels a request cancels what speaks.  When it is over, the connection ends.

It must not know which protocol it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .transport import Transport
from .writer import Writer

__all__ = ["Switched"]


@dataclass(frozen=True, slots=True)
class Switched:
    """A connection that speaks another protocol from now on.

    Attributes:
      transport: to be read, and watched, and closed early if need be; its connection closes it in the end.
      writer: to write with, each write in its time.
      leftover: what the peer has sent behind its request: the first bytes in the new protocol.
      buffer_size: bytes to read at once.
      draining: whether the server is draining already.
    """

    transport: Transport
    writer: Writer
    leftover: bytes
    buffer_size: int
    draining: bool

"""What a connection needs of the bytes below it.

A `Transport` is a Trio stream that also *tells* when its peer has gone, at once and without being read: that is how a
busy request learns that nobody waits for it any more.  Who finds out how - a task that reads ahead, or the kernel's own
event - is the business of the server; the drivers see only this protocol.

Rules:

* `watch` names one listener at a time; a peer that has already gone is reported to a new listener at once.
* The listener is called synchronously, from whatever task found out, and must not block.
* FIN is reported when it is seen: by the reactor at once, by a reader behind what it has read ahead; a reset at once.
* Whoever answers a peer also while nobody waits for its bytes names what is to be called when some have come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

import trio

__all__ = ["PeerListener", "Transport"]


class PeerListener(Protocol):
    """Wants to know when the peer goes; `H1Driver` is one, and tells the `Lifetime` of the request that runs."""

    def peer_half_closed(self) -> None:
        """FIN: the peer will send no more, though it may still read."""

    def peer_reset(self) -> None:
        """RST or anything like it: nothing reaches the peer any more."""


class Transport(trio.abc.Stream):
    """A Trio stream with a watch on its peer."""

    __slots__ = ()

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `trio.abc.ReceiveStream`, with nothing but `bytes`."""

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """What can be received without waiting, b"" at the end; None if this transport only knows how to wait.

        No checkpoint, as with `send_nowait`.  Raises as `receive_some`.
        """
        return None

    def send_nowait(self, data: bytes | memoryview, more: bool = False) -> int:
        """How many bytes of `data` could be sent without waiting; 0 if this transport only knows how to wait.

        Parameters:
          more: more will be sent at once, so that the last bytes may wait for it, to leave in fewer and larger packets.
            If it is not after all, `push` has to be called.

        No checkpoint: whoever calls it sees to it that others have their turn.  Raises as `send_all`.
        """
        return 0

    def push(self) -> None:
        """Let leave what waits for more."""

    @abstractmethod
    def watch(self, listener: PeerListener | None) -> None:
        """Report the peer's going to `listener` from now on; None for nobody."""

    def when_readable(self, call: Callable[[], object] | None) -> None:
        """Call `call` whenever bytes, or the end, have come while no task waits for them; None for nobody.

        It is called synchronously, must not block, and takes them by `receive_nowait`, until that is None.  A transport
        that only knows how to wait never calls it.
        """

    @abstractmethod
    async def linger(self) -> None:
        """Close gently: say that nothing more comes, then read and discard until the peer closes, or has sent too much.

        A connection closed while the peer still sends would reset it, and destroy the answer on its way (RFC 9112 9.6).
        Raises nothing but cancellation; the caller bounds the time.  The stream is still to be closed.
        """

    def close_nowait(self) -> bool:
        """Close at once, if this transport can do that without waiting; whether it could."""
        return False

    @abstractmethod
    def abort(self) -> None:
        """Let closing reset the connection, so that a truncated answer cannot pass for a whole one."""

"""What the wire of a WebSocket tells its driver.

A driver that wants messages asks for `Message`; one that streams asks for `Fragment`, the same data as it comes.  What
the peer says about the connection itself stands between them: `Ping`, `Pong`, `Close`.  Two signals stand beside the
events, and mean what they mean for HTTP:

* `NEED_DATA`: nothing more can be said before more bytes arrive;
* `CLOSED`: nothing more will come.  Where no `Close` came before it, the peer left without one (1006).

Events are facts about bytes; nobody changes one.  They know neither limits nor what will be answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import RemoteProtocolError
from ..http.events import CLOSED, NEED_DATA, Signalled

__all__ = ["CLOSED", "NEED_DATA", "Close", "Event", "Fragment", "Message", "Ping", "Pong", "WebSocketError"]


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message: text is str, binary is bytes; it may be empty."""

    data: str | bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some of a message, cut where its bytes happened to be cut, never within a character.

    Only the last one, the `final`, may be empty.  All fragments of a message are of one type.
    """

    data: str | bytes
    final: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer asks for a `Pong` with the same payload, at most 125 octets (RFC 6455 section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer to a ping, or a sign of life that nobody asked for (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer begins to close, or answers our close (RFC 6455 section 5.5.1).

    Attributes:
      code: NO_STATUS (1005) if the peer gave none.
      reason: the peer's words, at most 123 octets of UTF-8.
    """

    code: int
    reason: str


Event = Message | Fragment | Ping | Pong | Close | Literal[Signalled.NEED_DATA, Signalled.CLOSED]


class WebSocketError(RemoteProtocolError):
    """The peer broke the protocol of WebSockets, or a limit.

    Parameters:
      message: a few words for the log and the peer; never echoes the peer.
      code: the close code to fail the connection with (RFC 6455 section 7.4.1).
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

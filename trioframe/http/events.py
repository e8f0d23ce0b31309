"""What wire code tells its driver: the events of one HTTP request, the same for every HTTP version.

A message arrives as ``RequestHead, Data*, EndOfMessage``.  `EndOfMessage` always comes, also right after a head without
a body, so a driver needs no rule of HTTP to know when a request is whole.  Three signals stand beside the events:

* `NEED_DATA`: nothing more can be said before more bytes arrive;
* `PAUSED`: this message is whole; the next one is not looked at before its answer is complete;
* `CLOSED`: no further message will come.

Events are immutable facts about bytes.  They know neither sockets nor limits nor what will be answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple

from ..errors import RemoteProtocolError

__all__ = [
    "CLOSED",
    "NEED_DATA",
    "PAUSED",
    "Data",
    "EndOfMessage",
    "Event",
    "IncompleteMessage",
    "RawHeaders",
    "RequestHead",
    "Signalled",
]

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Field lines in the order of the wire: names in lower case, values without the whitespace around them."""


class RequestHead(NamedTuple):
    """A request line and its header section, complete and valid (RFC 9112 sections 3 and 5).

    Attributes:
      method: a token, in the case it was sent (methods are case-sensitive, RFC 9110 section 9.1).
      target: the request-target as sent.
      raw_path: its path, still percent-encoded; ``b"*"`` for ``OPTIONS *``, ``b""`` for CONNECT.
      query_string: what follows the first ``?``, without it.
      authority: of the absolute or authority form, else the Host field, else ``b""``.
      headers: all field lines.
      version: "1.0", "1.1", "2" or "3".
      content_length: bytes of body; 0 when there is no body, None when only the end of the body will tell.
      expect_continue: a 100 (Continue) is awaited before the body is sent (RFC 9110 section 10.1.1).
      upgrade: the first protocol of a valid Upgrade request, in lower case, else ``b""`` (RFC 9110 section 7.8).
    """

    method: str
    target: bytes
    raw_path: bytes
    query_string: bytes
    authority: bytes
    headers: RawHeaders
    version: str
    content_length: int | None
    expect_continue: bool
    upgrade: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """Some of the body, with transfer codings removed; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The request is whole.  Trailer fields stay apart from the headers (RFC 9110 section 6.5.1)."""

    trailers: RawHeaders = ()


class Signalled(Enum):
    """What is not an event of the message itself."""

    NEED_DATA = "need data"
    PAUSED = "paused"
    CLOSED = "closed"


NEED_DATA: Final[Literal[Signalled.NEED_DATA]] = Signalled.NEED_DATA
PAUSED: Final[Literal[Signalled.PAUSED]] = Signalled.PAUSED
CLOSED: Final[Literal[Signalled.CLOSED]] = Signalled.CLOSED

Event = RequestHead | Data | EndOfMessage | Signalled


class IncompleteMessage(RemoteProtocolError):
    """The peer ended its stream inside a message (RFC 9112 section 8): the request must not be acted on."""

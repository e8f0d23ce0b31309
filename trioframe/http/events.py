"""What wire code tells its driver: the events of one HTTP request, the same for every HTTP version.

A message arrives as ``RequestHead, Data*, EndOfMessage``.  `EndOfMessage` always comes, also right after a head without
a body, so a driver needs no rule of HTTP to know when a request is whole.  Three signals stand beside the events:

* `NEED_DATA`: nothing more can be said before more bytes arrive;
* `PAUSED`: this message is whole; the next one is not looked at before its answer is complete;
* `CLOSED`: no further message will come.

Events are facts about bytes; nobody changes one (a `RequestHead` takes its lines apart when asked).  They know neither
sockets nor limits nor what will be answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

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


class RequestHead:
    """A request line and its header section, complete and valid (RFC 9112 sections 3 and 5).

    Parameters:
      headers: the field lines, or the octets of a plain header section (see `head`), which are taken apart when
        somebody asks: most handlers look at a few fields or at none.

    Attributes:
      method: a token, in the case it was sent (methods are case-sensitive, RFC 9110 section 9.1).
      target: the request-target as sent.
      raw_path: its path, still percent-encoded; ``b"*"`` for ``OPTIONS *``, ``b""`` for CONNECT.
      query_string: what follows the first ``?``, without it.
      authority: of the absolute or authority form, else the Host field, else ``b""``.
      version: "1.0", "1.1", "2" or "3".
      content_length: bytes of body; 0 when there is no body, None when only the end of the body will tell.
      expect_continue: a 100 (Continue) is awaited before the body is sent (RFC 9110 section 10.1.1).
      upgrade: the first protocol of a valid Upgrade request, in lower case, else ``b""`` (RFC 9110 section 7.8).
      keep_alive: the peer is ready to send another request on this connection (RFC 9112 section 9.3).
    """

    __slots__ = (
        "_headers",
        "authority",
        "content_length",
        "expect_continue",
        "keep_alive",
        "method",
        "query_string",
        "raw_path",
        "target",
        "upgrade",
        "version",
    )

    def __init__(  # noqa: PLR0917 - in the order of the wire
        self,
        method: str,
        target: bytes,
        raw_path: bytes,
        query_string: bytes,
        authority: bytes,
        headers: RawHeaders | bytes,
        version: str,
        content_length: int | None,
        expect_continue: bool,
        upgrade: bytes,
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.raw_path = raw_path
        self.query_string = query_string
        self.authority = authority
        self._headers = headers
        self.version = version
        self.content_length = content_length
        self.expect_continue = expect_continue
        self.upgrade = upgrade
        self.keep_alive = keep_alive

    @property
    def headers(self) -> RawHeaders:
        """All field lines."""
        headers = self._headers
        if isinstance(headers, bytes):
            headers = self._headers = tuple([(name.lower(), value) for name, value in _PLAIN_LINES(headers)])
        return headers

    def single_lines(self) -> dict[bytes, bytes] | None:
        """The field lines by name, if none repeats; else None.  It is the short way to a few of them."""
        headers = self._headers
        pairs = _PLAIN_LINES(headers) if isinstance(headers, bytes) else headers
        lines = {name.lower(): value for name, value in pairs}
        return lines if len(lines) == len(pairs) else None

    def _facts(self) -> tuple[object, ...]:
        return (
            *(self.method, self.target, self.raw_path, self.query_string, self.authority, self.headers, self.version),
            *(self.content_length, self.expect_continue, self.upgrade, self.keep_alive),
        )

    def __eq__(self, other: object) -> bool:
        return self._facts() == other._facts() if isinstance(other, RequestHead) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._facts())

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.target.decode('ascii', 'backslashreplace')} HTTP/{self.version}>"


# One line of a plain header section, name and value; there is nothing between two of them.
_PLAIN_LINES: Final = re.compile(rb"([^:]++): ([^\r]*+)\r\n").findall


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

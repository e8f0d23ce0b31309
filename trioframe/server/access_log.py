"""The access log: one record for every exchange, a second one for a WebSocket, and one for input that was refused.

Rules of this file:

* A message is complete by itself - who, when, what, how it ended - so that no formatter is forced on anybody.  The same
  facts are attributes of the record (``record.status``), for handlers that want them one by one.
* Whatever a peer chose is printable ASCII without quotes and backslashes by the time it is in a record, and bounded: a
  request cannot forge a second line, end its field or speak to a terminal, in any format and through any handler.
* Nothing is computed while nobody listens.  Which format it is, is decided once.

It must not know who answered, nor how.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import trio

from ..errors import RemoteProtocolError
from ..http.exchange import ConnInfo, Exchange

__all__ = ["MAX_FIELD", "AccessLog", "RejectionLog"]

MAX_FIELD = 1024  # characters of a target or a message that are shown; the rest is "..."

Fields = dict[str, Any]
Render = Callable[[str, Fields], tuple[str, tuple[Fields] | tuple[()]]]

_RECORD = (
    '%(client)s %(time)s "%(method)s %(target)s HTTP/%(version)s" %(status)03d %(bytes)d %(duration_ms).3fms'
    " #%(connection)d"
)
_CLOSED = _RECORD.replace("%(status)03d", "%(status)03d closed %(close_code)d")
_REJECTED = '%(client)s %(time)s "-" %(status)03d "%(error)s" #%(connection)d'

# Everything but printable ASCII, and the two characters that end or escape a quoted field.
_UNSAFE = re.compile(r'[^ -~]|["\\]')


class AccessLog:
    r"""Writes the access log.

    In the text format an exchange is a line like the first, refused input one like the second; the number at the end
    counts connections::

        127.0.0.1:50312 2026-01-02T03:04:05.678+00:00 "GET /hello?x=1 HTTP/1.1" 200 143 0.412ms #17
        [::1]:50313 2026-01-02T03:04:06.001+00:00 "-" 400 "the Host header is missing" #18

    A WebSocket has two lines: one when it was accepted, and one when it has ended, with the code it was closed with::

        127.0.0.1:50314 2026-01-02T03:04:07.000+00:00 "GET /feed HTTP/1.1" 101 129 0.398ms #19
        127.0.0.1:50314 2026-01-02T03:14:08.250+00:00 "GET /feed HTTP/1.1" 101 closed 1000 4711 601250.310ms #19

    In the JSON format they are objects with the keys ``client time method target version status bytes duration_ms
    connection``, and ``client time status error connection``; the second one of a WebSocket has ``close_code`` as well,
    and nothing else has.  So who counts requests, or adds up `bytes`, leaves out one of the two.

    `bytes` counts the whole response, and of a WebSocket that has ended all that was sent, `duration_ms` all of its
    time.  `status` is 499 if the client left before it had its answer, 0 if nothing was answered at all; it stays 101
    for a WebSocket, whatever ends it: the code is 1006 if the connection was lost.  A character that could do harm is
    written as ``\x1b``.

    Parameters:
      format: "text" or "json".
      logger: where the records go, at level INFO.
      clock: gives seconds since 1970.
    """

    def __init__(
        self,
        format: Literal["text", "json"] = "text",
        logger: logging.Logger | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._logger = logging.getLogger("trioframe.access") if logger is None else logger
        self._render: Render = _RENDER[format]
        self._clock = clock

    def record(self, exchange: Exchange) -> None:
        """`exchange` is over, or has become a WebSocket."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        head = exchange.head
        fields = {
            "client": _client(exchange.conn),
            "time": self._now(),
            "method": _harmless(head.method),
            "target": _harmless(head.target.decode("latin-1")),
            "version": head.version,
            "status": exchange.status or 0,
            "bytes": exchange.bytes_sent,
            "duration_ms": round((trio.current_time() - exchange.started_at) * 1000, 3),
            "connection": exchange.conn.id,
        }
        if exchange.close_code is None:
            self._write(_RECORD, fields)
        else:  # how it ended the code tells
            self._write(_CLOSED, fields | {"status": 101, "close_code": exchange.close_code})

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        """What came on `conn` was refused, with `status`, before it was an exchange."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        self._write(
            _REJECTED,
            {
                "client": _client(conn),
                "time": self._now(),
                "status": status,
                "error": _harmless(str(error)),
                "connection": conn.id,
            },
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")

    def _write(self, template: str, fields: Fields) -> None:
        # Made by hand because `Logger.info` would walk the stack to find its caller, which is always this line.
        message, args = self._render(template, fields)
        self._logger.handle(
            self._logger.makeRecord(
                self._logger.name, logging.INFO, __file__, 0, message, args, None, func=None, extra=fields
            )
        )


class RejectionLog:
    """What is left of the access log when it is off: one line for each refusal, in the server's own log."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logging.getLogger("trioframe.server") if logger is None else logger

    record = None

    def rejected(self, conn: ConnInfo, error: RemoteProtocolError, status: int) -> None:
        """What came on `conn` was refused, with `status`, before it was an exchange."""
        self._logger.info("%s: %d %s", _client(conn), status, _harmless(str(error)))


def _render_text(template: str, fields: Fields) -> tuple[str, tuple[Fields]]:
    return template, (fields,)


def _render_json(template: str, fields: Fields) -> tuple[str, tuple[()]]:
    return json.dumps(fields), ()


_RENDER: Mapping[str, Render] = {"text": _render_text, "json": _render_json}


def _client(conn: ConnInfo) -> str:
    """The peer's address; "unix" for a unix socket, "-" for a stream that has none."""
    if conn.client_ip is None:
        return "unix" if conn.unix else "-"
    host = f"[{conn.client_ip}]" if ":" in conn.client_ip else conn.client_ip
    return f"{host}:{conn.client_port}"


def _harmless(text: str) -> str:
    if len(text) > MAX_FIELD:
        text = f"{text[:MAX_FIELD]}..."
    return _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)

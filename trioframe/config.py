"""Every number and switch of the server, with the reason beside it.

Rules of this file:

* It is one table.  What its rows mean, and how they are set and checked, is in `trioframe.options`.
* Everything that bounds a client is on by default.  A size is what is held in memory at most; a time is a deadline, so
  that a client gains nothing by sending a byte now and then.
* A row is added with the code that obeys it.  Parts read what they need when they are built, not per request, and the
  table is frozen when the application is compiled.
* A program keeps settings of its own, checked and documented alike, in a subclass of `Config` with more rows.
"""

from __future__ import annotations

from typing import Literal

from .options import DURATION, FLAG, HEADER, MODE, PATH, TEXT, WAIT, Option, OptionTable, limit, one_of, whole

__all__ = ["AccessLogFormat", "Config", "ErrorFormat", "HalfClose", "OnDisconnect", "WarningFilter"]

AccessLogFormat = Literal["text", "json"]
ErrorFormat = Literal["auto", "html", "json", "text"]
HalfClose = Literal["disconnect", "allow"]
OnDisconnect = Literal["cancel", "ignore"]
WarningFilter = Literal["default", "error", "ignore", "always", "module", "once"]

KIB = 1024
MIB = 1024 * KIB


class Config(OptionTable):
    """The configuration of one application; see `OptionTable` for the ways to set it."""

    # Where to listen.

    HOST = Option(TEXT, "127.0.0.1", "", "The address to listen on: only this machine, until you say otherwise.")
    PORT = Option(whole(0, 65535), 8000, "", "The TCP port to listen on.  0 lets the system choose a free one.")
    UNIX = Option(PATH.or_none(), None, "", "Listen on this Unix socket instead of on HOST and PORT.")
    UNIX_MODE = Option(
        MODE.or_none(), None, "", "The permissions of that socket.  None leaves them to the umask, as for any file."
    )
    BACKLOG = Option(
        whole(1).or_none(),
        1024,
        "connections",
        "How many connections wait in the kernel to be accepted.  Long enough for a burst, short enough that nobody "
        "waits there past their patience.  None takes the longest the system has.",
    )

    # How much one request may be.

    REQUEST_MAX_HEADER_SIZE = Option(
        whole(256),
        16 * KIB,
        "bytes",
        "The whole head of a request, trailers too; more is answered 431.  It has to be in memory before anybody "
        "knows who is asking.",
    )
    REQUEST_MAX_TARGET_SIZE = Option(
        whole(64),
        8 * KIB,
        "bytes",
        "The target in the request line; more is answered 414.  RFC 9112 section 3 asks for at least 8000.",
    )
    REQUEST_MAX_HEADERS = Option(
        whole(1),
        128,
        "headers",
        "How many header lines; more is answered 431.  A line costs far more memory parsed than sent.",
    )
    REQUEST_MAX_SIZE = Option(
        limit(0),
        1 * MIB,
        "bytes",
        "The body of a request that is read before its handler runs; more is answered 413 as soon as a length shows "
        "it.  Streaming routes hold no body in memory and have no limit unless the route sets one.",
    )
    REQUEST_BUFFER_SIZE = Option(
        whole(1 * KIB),
        64 * KIB,
        "bytes",
        "What one connection reads ahead of its handler.  When it is full nothing more is read, and TCP slows the "
        "client.",
    )
    DRAIN_MAX_SIZE = Option(
        whole(0),
        64 * KIB,
        "bytes",
        "What is left of a body its handler did not read is read and dropped up to this size, so that the connection "
        "can be used again; more than that costs less to reconnect.",
    )

    # How long a client may take.

    TLS_HANDSHAKE_TIMEOUT = Option(
        WAIT, 10.0, "s", "The whole TLS handshake.  Until it is complete the client has shown nothing but a socket."
    )
    REQUEST_TIMEOUT = Option(
        WAIT,
        15.0,
        "s",
        "The whole head, from its first byte; then 408.  Absolute: a client that sends a byte now and then gains "
        "nothing.",
    )
    BODY_TIMEOUT = Option(WAIT, 60.0, "s", "How long a body may stand still while it is being read; then 408.")
    BODY_MIN_RATE = Option(
        whole(0),
        240,
        "bytes/s",
        "The average a body must keep, or 408: BODY_TIMEOUT alone never ends a body that trickles.  Slower than any "
        "modem in use.  0 turns it off.",
    )
    BODY_MIN_RATE_GRACE = Option(
        DURATION, 5.0, "s", "How long a body may be slower than BODY_MIN_RATE at its start, as every TCP connection is."
    )
    SEND_TIMEOUT = Option(
        WAIT,
        60.0,
        "s",
        "How long one write may stand still because the client does not read; then the connection closes.",
    )
    KEEP_ALIVE_TIMEOUT = Option(
        DURATION,
        75.0,
        "s",
        "How long an idle connection stays open for another request.  Longer than the usual minute of load "
        "balancers, so that they close first and lose no request in a race.  0 closes after each response.",
    )
    LINGER_TIMEOUT = Option(
        DURATION,
        5.0,
        "s",
        "After an answer that ends the connection, how long to go on reading: closing at once would reset the "
        "connection and could destroy the answer before the client has read it.",
    )
    MAX_CONNECTIONS = Option(
        limit(1),
        10_000,
        "connections",
        "How many are open at once; further ones wait in the backlog.  Times the buffers above it bounds the memory.",
    )
    MAX_REQUESTS_PER_CONNECTION = Option(
        limit(1),
        1000,
        "requests",
        "After so many the connection is closed, politely: load spreads again after a deployment, and nothing that "
        "gathers in a connection gathers for ever.",
    )

    # How long a handler may take, and when it is cancelled.

    RESPONSE_TIMEOUT = Option(
        WAIT,
        60.0,
        "s",
        "How long a handler may take to start its response; then it is cancelled and the client gets 503.  A route's "
        "own timeout= goes before it.",
    )
    ON_DISCONNECT: Option[OnDisconnect] = Option(
        one_of(OnDisconnect),
        "cancel",
        "",
        "What becomes of a handler whose client has left: cancelled, as nobody reads the answer, or let run to its "
        "end.",
    )
    HALF_CLOSE: Option[HalfClose] = Option(
        one_of(HalfClose),
        "disconnect",
        "",
        "What it means that a client has finished sending (TCP FIN) while its handler waits.  Browsers and proxies "
        "have left; only hand-made clients still listen.  An open WebSocket is lost by it whatever this says, unless a "
        "close frame came before.",
    )
    CANCEL_GRACE = Option(
        DURATION,
        5.0,
        "s",
        "How long a cancelled handler may clean up in `request.cancellable()` before it is cancelled for good.",
    )
    GRACEFUL_SHUTDOWN_TIMEOUT = Option(
        DURATION, 15.0, "s", "How long shutting down waits for running requests before it cancels them."
    )
    THREAD_LIMIT = Option(
        whole(1),
        40,
        "threads",
        "How many handlers that are not async run at once, each in a thread.  As many as Trio's own.",
    )

    # WebSocket.

    WEBSOCKET_MAX_SIZE = Option(
        limit(1), 1 * MIB, "bytes", "One message, decompressed; more closes with 1009.  It is held in memory whole."
    )
    WEBSOCKET_PING_INTERVAL = Option(
        WAIT,
        20.0,
        "s",
        "How often a quiet client is pinged.  Shorter than the time proxies and NATs keep a quiet connection.",
    )
    WEBSOCKET_MAX_QUEUE = Option(
        whole(1),
        16,
        "messages",
        "How many wait for a handler that does something else; fewer if they take more memory than "
        "WEBSOCKET_MAX_SIZE.  When there is no room nothing more is read, and TCP slows the client.",
    )
    WEBSOCKET_MAX_FRAGMENTS = Option(
        whole(1),
        1024,
        "frames",
        "Into how many one message may be cut, and one more for each KiB of it; more closes with 1008.  A frame of one "
        "byte costs far more than a byte.",
    )
    WEBSOCKET_CLOSE_TIMEOUT = Option(
        WAIT, 5.0, "s", "How long a client may take to answer a close; then the connection is cut."
    )
    WEBSOCKET_PING_TIMEOUT = Option(
        WAIT, 20.0, "s", "How long to wait for the pong; then the client is gone and the connection closes with 1011."
    )

    # Who the client is, behind proxies.  Nothing is believed by default: any client can send these headers.

    PROXIES_COUNT = Option(
        whole(0),
        0,
        "proxies",
        "How many proxies of yours stand in front.  The client is so many places from the right in X-Forwarded-For.",
    )
    REAL_IP_HEADER = Option(
        HEADER.or_none(),
        None,
        "",
        "A header in which your proxy gives the client's address, and which it always overwrites.",
    )
    FORWARDED_SECRET = Option(
        TEXT.or_none(),
        None,
        "",
        "The secret by which your proxy signs its element of Forwarded (RFC 7239).",
        secret=True,
    )

    # What is shown, and to whom.

    DEBUG = Option(
        FLAG, False, "", "Show tracebacks in error pages.  They tell a stranger too much to be on by default."
    )
    FALLBACK_ERROR_FORMAT: Option[ErrorFormat] = Option(
        one_of(ErrorFormat), "auto", "", "The format of error pages where neither the route nor Accept decides."
    )
    ACCESS_LOG = Option(FLAG, False, "", "Log every request.  Off, as a record costs about as much as a small request.")
    ACCESS_LOG_FORMAT: Option[AccessLogFormat] = Option(
        one_of(AccessLogFormat), "text", "", "The access log in lines for people, or in JSON for programs."
    )
    DEPRECATION_FILTER: Option[WarningFilter] = Option(
        one_of(WarningFilter),
        "once",
        "",
        "What is done with trioframe's own deprecation warnings: a filter of `warnings`.",
    )
    INSPECTOR = Option(
        FLAG,
        False,
        "",
        "Run the inspector, which shows, restarts and stops workers.  A door that is not there by default.",
    )
    INSPECTOR_HOST = Option(TEXT, "127.0.0.1", "", "The address the inspector listens on: only this machine.")
    INSPECTOR_PORT = Option(whole(0, 65535), 6457, "", "The TCP port the inspector listens on.")
    INSPECTOR_API_KEY = Option(
        TEXT.or_none(), None, "", "The key that callers of the inspector must show.", secret=True
    )
    INSPECTOR_TLS_CERT = Option(PATH.or_none(), None, "", "The inspector's certificate, a PEM file.")
    INSPECTOR_TLS_KEY = Option(PATH.or_none(), None, "", "The key of INSPECTOR_TLS_CERT, a PEM file.")

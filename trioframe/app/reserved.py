"""The signals that trioframe itself sends, in one table: when each is sent, and with what.

The table is read by everybody who has to know: the registry refuses unknown names, the compiler unknown keywords, the
dispatcher finds its hooks, and the documentation is generated from it.

Rules of this file:

* A row stands here when something sends it.  What is promised for later is not in it.
* For each request the rows come in the order of the table, those of middleware again behind its handler; and exactly
  one of its ends: `http.lifecycle.complete`, `http.lifecycle.exception` or `http.lifecycle.cancelled`.  Where one of
  the latter two is answered, `http.lifecycle.response` and `http.lifecycle.send` come behind it.  None comes if the
  program ends in the middle of it.
* A receiver that is called before the response has begun may raise: that fails the request, as if the handler had.
  Behind that nobody could be told, so what it raises is reported, and the others are called all the same.

It must not know who sends, nor who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["NAMESPACES", "PHASES", "RESERVED", "Reserved"]

NAMESPACES: Final = frozenset({"http", "server", "websocket"})


class Reserved(NamedTuple):
    """A row of the table.

    Parameters:
      when: when it is sent.
      context: what its receivers may ask for by keyword, each with what it is.
      backwards: whether receivers are called in the opposite order, those of high priority last.
      notice: whether it only tells: what a receiver raises is reported and stops nothing.
    """

    when: str
    context: Mapping[str, str]
    backwards: bool = False
    notice: bool = False


_APP = {"app": "the app"}
_REQUEST = {"request": "the `Request`"}
_CONNECTION = {"conn_info": "the `ConnInfo` of the connection"}
_WEBSOCKET = {**_REQUEST, "websocket": "the `WebSocket`"}
_MIDDLEWARE = {**_REQUEST, "response": "the `Response`; None on the way to the handler, unless it ends there"}

RESERVED: Final[Mapping[str, Reserved]] = MappingProxyType(
    {
        # the server
        "server.init.before": Reserved("Before the server listens.", _APP),
        "server.init.after": Reserved("The server listens.", _APP),
        "server.shutdown.before": Reserved(
            "The server is asked to stop; it goes on until its receivers have returned, then it drains.",
            _APP,
            backwards=True,
        ),
        "server.shutdown.after": Reserved("All connections and tasks have ended.", _APP, backwards=True),
        "server.exception.report": Reserved(
            "Something raised that nobody has handled: a handler, a receiver, a task in the background.",
            {**_APP, "exception": "what was raised", "request": "the `Request` it concerns; None for none"},
            backwards=True,
            notice=True,
        ),
        # a request
        "http.lifecycle.begin": Reserved("The head of a request has arrived.", _CONNECTION),
        "http.lifecycle.read_head": Reserved(
            "The head was read.", {"head": "the `RequestHead`: method, target, fields", **_CONNECTION}
        ),
        "http.lifecycle.request": Reserved("The `Request` was made.", _REQUEST),
        "http.lifecycle.handle": Reserved("The app begins with it.", _REQUEST),
        "http.routing.before": Reserved("Before its route is searched for.", _REQUEST),
        "http.routing.after": Reserved(
            "Its route was found.",
            {
                **_REQUEST,
                "route": "the `Route`",
                "kwargs": "the parameters of its path, by name",
                "handler": "what answers there",
            },
        ),
        "http.lifecycle.read_body": Reserved(
            "A piece of its body was read; many times for a large one, never for none.",
            {**_REQUEST, "body": "the piece, octets"},
        ),
        "http.middleware.before": Reserved(
            "Before each middleware of request or response; the condition `attach_to` says which.", _MIDDLEWARE
        ),
        "http.middleware.after": Reserved("Behind each of them.", _MIDDLEWARE, backwards=True),
        "http.handler.before": Reserved("Before the handler is called.", _REQUEST),
        "http.handler.after": Reserved(
            "The handler has returned, raised, or was cancelled; a stream that it returned is still to be sent.",
            {
                **_REQUEST,
                "exception": "what it raised, `RequestCancelled` if it was cancelled; None if it has returned",
            },
            backwards=True,
        ),
        "http.lifecycle.response": Reserved(
            "The response is final, and will be sent.", {**_REQUEST, "response": "the `Response`"}
        ),
        "http.lifecycle.send": Reserved(
            "Before each write of the response.", {**_REQUEST, "data": "the octets for the wire, framing included"}
        ),
        "http.lifecycle.exception": Reserved(
            "The request failed: with what a handler, a middleware or a receiver raised, or for want of a route.  An "
            "answer to that may follow.",
            {**_REQUEST, "exception": "what was raised"},
            backwards=True,
            notice=True,
        ),
        "http.lifecycle.cancelled": Reserved(
            "The request was cancelled.",
            {**_REQUEST, "reason": '"disconnect", "timeout", "shutdown", "reset" or "application"'},
            notice=True,
        ),
        "http.lifecycle.complete": Reserved(
            "The response was sent, to its end.",
            {**_REQUEST, "response": "the `Response`", **_CONNECTION},
            notice=True,
        ),
        # a WebSocket, while the handler of its request runs, and until that has been answered
        "websocket.handler.before": Reserved(
            "Before the handler of a WebSocket is called; the handshake is still to be answered.", _WEBSOCKET
        ),
        "websocket.connection.open": Reserved("The handshake was accepted.", _WEBSOCKET, notice=True),
        "websocket.handler.after": Reserved(
            "The handler has returned, raised, or was cancelled.",
            {
                **_WEBSOCKET,
                "exception": "what it raised, `RequestCancelled` if it was cancelled; None if it has returned",
            },
            backwards=True,
            notice=True,
        ),
        "websocket.handler.exception": Reserved(
            "The handler failed.", {**_WEBSOCKET, "exception": "what was raised"}, backwards=True, notice=True
        ),
        "websocket.connection.close": Reserved(
            "It has ended, after it was open.",
            {
                **_WEBSOCKET,
                "code": "that of the first close frame; 1005 if it had none, 1006 if there was no such frame",
                "reason": "the words in it",
            },
            backwards=True,
            notice=True,
        ),
    }
)

PHASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "http.handler": "The handler of a request, within all middleware; called with the request.",
        "websocket.handler": "The handler of a WebSocket, within that; called with the request.",
        "http.lifecycle": "A request, from its beginning to its end; called with the request.",
        "server.lifecycle": "As long as the server serves; called with the app, as `app.lifespan` is.",
    }
)
"""What `app.around` can stand around."""

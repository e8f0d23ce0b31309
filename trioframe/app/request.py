"""What a handler is given: a `Request`, the user's view of one exchange.

Rules of this file:

* One is made for every request, so making it costs next to nothing; whatever has to be parsed is parsed when it is
  first looked at, and kept.
* The exchange and everything below it know no request: there is no reference cycle, and a request goes when its handler
  has ended.
* Whatever a peer can get wrong is an `HTTPError` that says so.

It must not know how the exchange is carried, nor who calls the handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import trio

from ..errors import BadRequest, ServerError
from ..http.body import RequestBody
from ..http.cookies import Cookies, parse_cookies
from ..http.exchange import ConnInfo, Exchange
from ..http.headers import HeaderInput, Headers, MutableHeaders
from ..http.multidict import MultiDict
from ..http.request_nursery import RequestNursery
from .accept import Accept, parse_accept
from .charset import decode_text
from .forwarded import Origin, find_origin
from .json_text import read_json
from .lazy import lazy
from .query import parse_query
from .request_id import request_id
from .response import OCTETS, WITHOUT_CONTENT, Response
from .response_stream import ResponseStream, pieces_of
from .url import asked_url, scheme_at

if TYPE_CHECKING:
    from .app import App
    from .course import Course
    from .credentials import Credentials
    from .route import Route
    from .websocket import Upgrade

__all__ = ["MAX_QUERY_FIELDS", "Request"]

MAX_QUERY_FIELDS = 1000

# RFC 9110 sections 9.2.1 to 9.2.3
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
IDEMPOTENT = SAFE | {"PUT", "DELETE"}
CACHEABLE = frozenset({"GET", "HEAD"})


class Request:
    """A request, from the head until its handler has ended.

    Attributes:
      app: the application that answers it.
      exchange: the server's side of it.
      course: the long way it takes, if somebody stands beside it.
      route: the route that matched; None before one has, and where none does.
      match_info: the parameters of the path.
      response_stream: what `respond` has given; None before.
      upgrade: the WebSocket that it asks for, and what runs it; None if it asks for none, or in a wrong way.
    """

    __slots__ = (
        "__weakref__",
        "_accept",
        "_args",
        "_body",
        "_cookies",
        "_credentials",
        "_ctx",
        "_forwarded",
        "_headers",
        "_id",
        "_json",
        "_path",
        "_receiving",
        "app",
        "course",
        "exchange",
        "match_info",
        "response_stream",
        "route",
        "upgrade",
    )
    _body: bytes
    _receiving: trio.Event

    def __init__(
        self, app: App, exchange: Exchange, route: Route | None = None, params: dict[str, Any] | None = None
    ) -> None:
        self.app = app
        self.exchange = exchange
        self.course: Course | None = None
        self.response_stream: ResponseStream | None = None
        self.upgrade: Upgrade | None = None
        self.route = route
        self.match_info = {} if params is None else params

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target.decode('ascii', 'backslashreplace')}>"

    # --- the request line --------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The method as sent; methods are case-sensitive."""
        return self.exchange.head.method

    @property
    def target(self) -> bytes:
        """The whole request target as sent."""
        return self.exchange.head.target

    @property
    def raw_path(self) -> bytes:
        """The path as sent, percent-encoded."""
        return self.exchange.head.raw_path

    @lazy
    def path(self) -> str:
        """The path, percent-decoded, for reading; octets that are no UTF-8 are replaced."""
        return unquote_to_bytes(self.exchange.head.raw_path).decode("utf-8", "replace")

    @property
    def query_string(self) -> str:
        """What follows the ``?``, percent-encoded."""
        return self.exchange.head.query_string.decode("latin-1")

    @property
    def http_version(self) -> str:
        """ "1.0", "1.1", "2" or "3"."""
        return self.exchange.head.version

    @lazy
    def args(self) -> MultiDict[str]:
        """The fields of the query; ``args.get(name)`` is the first of that name, ``args.getlist(name)`` has them all.

        Raises:
          BadRequest: more than MAX_QUERY_FIELDS.
        """
        try:
            fields = parse_query(self.query_string, MAX_QUERY_FIELDS)
        except ValueError:
            raise BadRequest(f"the query has more than {MAX_QUERY_FIELDS} fields") from None
        return MultiDict(fields)

    @property
    def is_safe(self) -> bool:
        """Whether the method asks for nothing to be changed (RFC 9110 section 9.2.1)."""
        return self.method in SAFE

    @property
    def is_idempotent(self) -> bool:
        """Whether asking twice is as good as once (RFC 9110 section 9.2.2)."""
        return self.method in IDEMPOTENT

    @property
    def is_cacheable(self) -> bool:
        """Whether an answer to this method may be kept (RFC 9110 section 9.2.3)."""
        return self.method in CACHEABLE

    # --- the headers -------------------------------------------------------------------------------------------------

    @lazy
    def headers(self) -> Headers:
        """The header fields."""
        return Headers(self.exchange.head)

    @lazy
    def cookies(self) -> Cookies:
        """The cookies; ``cookies.get(name)`` is the first of that name, ``cookies.getlist(name)`` has them all."""
        return parse_cookies(self.headers.get("cookie", ""))

    @property
    def content_type(self) -> str | None:
        """What Content-Type says of the body."""
        return self.headers.get("content-type")

    @lazy
    def accept(self) -> Accept:
        """What the client would like: ``accept.match("text/html", "application/json")``."""
        return parse_accept(self.headers.get("accept"))

    @lazy
    def credentials(self) -> Credentials | None:
        """What Authorization says, taken apart; None without it."""
        from .credentials import parse_credentials  # noqa: PLC0415 - where nobody asks who it is, it is not needed

        return parse_credentials(self.headers.get("authorization"))

    @property
    def token(self) -> str | None:
        """The bearer token (RFC 6750 section 2.1); None without one."""
        credentials = self.credentials
        return credentials.token if credentials is not None and credentials.scheme == "bearer" else None

    @lazy
    def id(self) -> str:
        """Names the request in logs: the X-Request-ID it came with, if that is short and plain, or a new one."""
        return request_id(self.headers.get("x-request-id", ""))

    @lazy
    def ctx(self) -> SimpleNamespace:
        """Room for your own facts about this request."""
        return SimpleNamespace()

    # --- where it came from ------------------------------------------------------------------------------------------

    @property
    def conn_info(self) -> ConnInfo:
        """The connection it came on; ``conn_info.ctx`` is room for your own facts about that."""
        return self.exchange.conn

    @lazy
    def forwarded(self) -> Origin:
        """Where the request came from, as far as the configuration lets proxies be believed."""
        head = self.exchange.head
        return find_origin(self.headers, head.authority.decode("latin-1"), self.exchange.conn, self.app.config)

    @property
    def client_ip(self) -> str | None:
        """The client's address, behind proxies if they are configured; None where it is unknown."""
        return self.forwarded.client_ip

    @property
    def client_port(self) -> int | None:
        """The client's port; None where it is unknown."""
        return self.forwarded.client_port

    @property
    def scheme(self) -> str:
        """ "http" or "https", as the client spoke it; "ws" or "wss" once its route is found to be a WebSocket's."""
        return scheme_at(self.route, self.forwarded.scheme)

    @property
    def host(self) -> str:
        """Host and port as the client asked for them; "" if an HTTP/1.0 client named none."""
        return self.forwarded.host

    @property
    def url(self) -> str:
        """What the client asked for, as a URL; without scheme and host if it named no host."""
        return asked_url(self.exchange.head, self.scheme, self.host)

    # --- the body ----------------------------------------------------------------------------------------------------

    @property
    def stream(self) -> RequestBody:
        """The body to be read piece by piece, also to limit its size by ``request.stream.request_max_size``."""
        return self.exchange.body

    def take_body(self, limit: float) -> bool:
        """Keep the body, as `receive_body` does, if it has come whole and is no larger than `limit`; whether it was."""
        body = self.exchange.take_body(limit)
        if body is None:
            return False
        self._body = body
        return True

    async def receive_body(self) -> bytes:
        """Read what is left of the body, once, and keep it; further calls, also at the same time, get the same.

        Raises:
          PayloadTooLarge: it is, or announces itself, larger than ``request.stream.request_max_size``.
          RequestTimeout: the client stalls or trickles.
          RemoteProtocolError: the client's framing is broken.
          RequestCancelled: the client has gone.
          ServerError: an earlier call failed or was cancelled, and what it had read is lost.
        """
        if hasattr(self, "_body"):
            return self._body
        if hasattr(self, "_receiving"):
            await self._receiving.wait()
            return self.body
        self._receiving = trio.Event()
        try:
            self._body = await self.exchange.body.read_all()
        finally:
            self._receiving.set()
        return self._body

    @property
    def body(self) -> bytes:
        """The body.  On a route with ``stream=True`` it has to be received first.

        Raises:
          ServerError: it has not been received.
        """
        try:
            return self._body
        except AttributeError:
            if self.exchange.head.content_length == 0:
                return b""
        if hasattr(self, "_receiving"):
            raise ServerError("the body of this request is lost: receiving it failed or was cancelled") from None
        raise ServerError(
            "the body of this request has not been received: await request.receive_body() first, or read request.stream"
        ) from None

    @property
    def text(self) -> str:
        """The body, decoded by the charset of Content-Type; UTF-8 if it names none.

        Raises:
          HTTPError: 400 if the body is not in that charset, 415 if the charset is not supported.
        """
        return decode_text(self.body, self.content_type)

    @lazy
    def json(self) -> Any:
        """The body, parsed as JSON by the app's `loads`; None for an empty one.

        Raises:
          BadRequest: it is not JSON.
        """
        return self.load_json(self.app.loads or read_json)

    def load_json(self, loads: Callable[[bytes], Any]) -> Any:
        """The body, parsed by `loads`; None for an empty one.  Raises as `json` does."""
        body = self.body
        if not body:
            return None
        try:
            return loads(body)
        except (ValueError, RecursionError) as exc:
            raise BadRequest("the body is not valid JSON") from exc

    # --- the response ------------------------------------------------------------------------------------------------

    async def respond(
        self,
        response: Response | None = None,
        *,
        status: int = 200,
        headers: HeaderInput | None = None,
        content_type: str | None = None,
    ) -> ResponseStream:
        """Begin a response, to be sent piece by piece; the head leaves with the first piece.

        Parameters:
          response: gives status, headers and, if it has a body, the first pieces; in place of the other parameters.

        Raises:
          ServerError: this request is being answered already.
          LocalProtocolError: a status or header that HTTP cannot say.
        """
        if self.responded:
            raise ServerError("the response has begun: request.respond() can be called once")
        if self.upgrade is not None:
            self.upgrade.websocket.note_refusal()
        if response is None:
            if content_type is None and status not in WITHOUT_CONTENT:
                content_type = OCTETS
            response = Response(b"", status, headers, content_type)
        if self.course is not None:
            response = await self.course.depart(response)
        if isinstance(response.body, bytes):
            self.response_stream = ResponseStream(self.exchange, response)
            if response.body:
                await self.response_stream.send(response.body)
            return self.response_stream
        async with pieces_of(response.body) as pieces:
            self.response_stream = ResponseStream(self.exchange, response)
            await self.response_stream.send_from(pieces)
        return self.response_stream

    @property
    def responded(self) -> bool:
        """Whether a response has been begun, here or by what the handler returned."""
        return self.response_stream is not None or self.exchange.responded

    async def finish_response(self) -> None:
        """End the response that `respond` has begun, or the WebSocket.  Raises what `ResponseStream.eof` does."""
        if self.upgrade is not None:
            await self.upgrade.end()
        if self.response_stream is not None:
            await self.response_stream.eof()

    async def send_informational(self, status: int, headers: HeaderInput = ()) -> None:
        """Send an interim response (RFC 9110 section 15.2), such as 103; nothing to an HTTP/1.0 client.

        Raises:
          LocalProtocolError: not 1xx, or the response has begun.
          RequestCancelled: the client has gone.
        """
        await self.exchange.send_informational(status, MutableHeaders(headers).encode())

    # --- the lifetime ------------------------------------------------------------------------------------------------

    @property
    def nursery(self) -> RequestNursery:
        """For tasks that belong to this request: awaited before it ends, cancelled with it."""
        return self.exchange.lifetime.nursery

    @property
    def deadline(self) -> float:
        """When the request is cancelled as "timeout", in seconds of `trio.current_time()`; inf for never."""
        return self.exchange.lifetime.deadline

    @deadline.setter
    def deadline(self, when: float) -> None:
        self.exchange.lifetime.deadline = when

    def after_response(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `async_fn(*args)` when this request is over, answered or not.

        It outlives the client's leaving, and is awaited while the server drains.  What it raises is reported.

        Raises:
          RuntimeError: this request is over, or the app is not served.
        """
        if self.exchange.over:
            raise RuntimeError("this request is over, and nothing can follow it any more")
        self.app.follow(self.exchange, async_fn, *args)

    def cancellable(self) -> AbstractContextManager[None]:
        """A block that a cancellation of the request ends, raising `RequestCancelled` there.

        What follows the block may await; it is bounded by CANCEL_GRACE.
        """
        return self.exchange.lifetime.cancellable()

    def shielded(self, timeout: float) -> AbstractContextManager[None]:
        """A block that a cancellation of the request waits for, `timeout` seconds at most."""
        return self.exchange.lifetime.shielded(timeout)

    def cancel(self) -> None:
        """End this request now, as "application"."""
        self.exchange.lifetime.cancel("application")

    @property
    def disconnected(self) -> bool:
        """Whether the client has left."""
        return self.exchange.lifetime.disconnected

    async def wait_disconnected(self) -> None:
        """Wait until the client has left.  Cancellation leaves nothing behind."""
        await self.exchange.lifetime.wait_disconnected()

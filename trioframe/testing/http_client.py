"""httpx2 over connections in memory.

httpx2's client stands on httpcore2's connection pool, and that on a network of which it asks nothing but connecting,
reading and writing.  Here that network is a `Network`, so everything above it - HTTP itself, keep-alive, streaming - is
what a program would use against a real server.

Rules of this file:

* Only public names of httpx2 and httpcore2 are used.
* Time is Trio's: nothing times out and nothing expires by itself, unless the test says so.
* Of what goes wrong, an error of the server is raised first, if the test asked for those: it is the cause.

It is imported late, because httpx2 is an extra.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import httpcore2
import httpx2
import trio

from ..app.app import App
from .error_log import ErrorLog
from .faults import FaultyStream
from .memory import MemoryStream
from .network import Network, open_network
from .serving import serving

if TYPE_CHECKING:
    from trio_websocket import WebSocketConnection

__all__ = ["MAX_MESSAGE_SIZE", "MESSAGE_QUEUE_SIZE", "Client", "open_client"]

MESSAGE_QUEUE_SIZE = 128  # messages; enough for a test to let time pass
MAX_MESSAGE_SIZE = 1024 * 1024  # octets, or characters

_CORE_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
)


class Client(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` whose server is an app.

    Attributes:
      connections: the client's end of each connection it has made, the newest last; to be reset, stopped and so on.
    """

    def __init__(self, network: Network, patience: float, **options: Any) -> None:
        # The environment may know proxies, and the way to the app leads through none.
        super().__init__(transport=_Transport(network), trust_env=False, **options)
        self.connections: list[FaultyStream] = network.connections
        self._network = network
        self._patience = patience

    def websocket(  # type: ignore[override]
        self,
        url: str,
        *,
        subprotocols: Iterable[str] = (),
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        message_queue_size: int = MESSAGE_QUEUE_SIZE,
        max_message_size: int = MAX_MESSAGE_SIZE,
    ) -> AbstractAsyncContextManager[WebSocketConnection]:
        """A `trio_websocket.WebSocketConnection`: ``async with http.websocket("/feed") as ws: ...``.

        It is trio-websocket's, and stands in the place of what httpx2 has under this name.

        It has a connection of its own, the newest of `connections`.  The handshake carries what a GET of this client
        would: its headers, cookies and auth; cookies that are set by the answer are kept.

        Leaving the block closes with 1000, and waits for the handler as long as a draining server would
        (GRACEFUL_SHUTDOWN_TIMEOUT).  A block that raises, or is cancelled, cuts the connection.

        Parameters:
          url: relative to the base URL, or with ws, wss, http or https.
          subprotocols: to be offered, the best one first.
          headers: further ones for the handshake.
          message_queue_size: messages that wait for the test to take them.  With more, nothing is read any more, and no
            ping answered.
          max_message_size: octets of a message, or characters; what is larger is refused with 1009.

        Raises:
          ImportError: trio-websocket is not installed; it comes with ``trioframe[testing]``.
          trio_websocket.ConnectionRejected: the server has refused; it has the response's status, headers and body.
          trio_websocket.HandshakeError: the connection has ended, and no answer came.
          Exception: with `raise_errors`, what the server would have logged; in place of these two, and, at the end of
            the block, in place of a `trio_websocket.ConnectionClosed` that nobody has caught.
        """
        try:
            from .websocket_client import open_websocket  # noqa: PLC0415 - trio-websocket is an extra
        except ModuleNotFoundError as exc:
            if exc.name != "trio_websocket":
                raise
            raise ImportError("the WebSocket client needs trio-websocket: pip install 'trioframe[testing]'") from exc
        return open_websocket(
            self,
            self._network,
            url,
            patience=self._patience,
            subprotocols=subprotocols,
            headers=headers,
            message_queue_size=message_queue_size,
            max_message_size=max_message_size,
        )


@asynccontextmanager
async def open_client(
    app: App, *, raise_errors: bool, base_url: str, buffer_size: int, **options: Any
) -> AsyncIterator[Client]:
    """See `trioframe.testing.client`."""
    errors = ErrorLog()
    with errors if raise_errors else nullcontext():
        async with (
            serving(app, errors) as serve,
            # The server drains, and waits for what has to be waited for.
            open_network(serve, errors=errors, leave_timeout=0, buffer_size=buffer_size) as network,
            Client(network, app.config.GRACEFUL_SHUTDOWN_TIMEOUT, base_url=base_url, **options) as client,
        ):
            yield client
    if (error := errors.take()) is not None:
        raise error


# --- the network, as httpcore2 sees it --------------------------------------------------------------------------------


class _Backend(httpcore2.AsyncNetworkBackend):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Whatever it is called, it is the app."""
        await trio.lowlevel.checkpoint()
        return _Stream(self._network.connect())


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, stream: FaultyStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _translate(httpcore2.ReadTimeout, httpcore2.ReadError), trio.fail_after(_seconds(timeout)):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _translate(httpcore2.WriteTimeout, httpcore2.WriteError), trio.fail_after(_seconds(timeout)):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """As if a proxy in front of the app had ended TLS: the same bytes, without it."""
        return self

    def get_extra_info(self, info: str) -> Any:
        # An idle connection that can be read has been closed by the server; the pool does not use it again.
        return cast(MemoryStream, self._stream.stream).readable if info == "is_readable" else None


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


@contextmanager
def _translate(too_slow: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except trio.TooSlowError as exc:
        raise too_slow(str(exc)) from exc
    except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
        raise broken(str(exc)) from exc


# --- the transport, as httpx2 sees it ---------------------------------------------------------------------------------


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, network: Network) -> None:
        self._errors = network.errors
        self._pool = httpcore2.AsyncConnectionPool(max_connections=None, network_backend=_Backend(network))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        with _causes(self._errors):
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    request.method,
                    httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            if self._errors.records:
                await response.aclose()
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, self._errors),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response, errors: ErrorLog) -> None:
        self._response = response
        self._errors = errors

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _causes(self._errors):
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _causes(errors: ErrorLog) -> Iterator[None]:
    """Raise what the server has logged, if anything; otherwise httpcore2's errors by their names in httpx2."""
    try:
        yield
    except _CORE_ERRORS as exc:
        raise errors.take() or getattr(httpx2, type(exc).__name__)(str(exc)) from exc
    if (error := errors.take()) is not None:
        raise error

"""trio-websocket over a connection in memory.

It is given a stream of the test client's network, and the head of a request as httpx2 would have sent it: so cookies,
base headers and base URL are those of the client.

Rules of this file:

* Only public names of trio-websocket and httpx2 are used.
* Its tasks end with the block.  What the block raises comes out as it was raised.
* A block that ends closes with 1000, and waits until the server has done with the connection, as long as a draining
  server would wait.  A block that fails or is cancelled leaves as a client does that gives up: without a word.
* Of what goes wrong, an error of the server is raised first, if the test asked for those: it is the cause.

It is imported late, because trio-websocket is an extra.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, cast

import httpx2
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from ..http.closing import close_now
from ..server.linger import discard
from .faults import FaultyStream
from .network import Network, plain_nursery

__all__ = ["open_websocket"]

_NOT_PASSED_ON = frozenset({b"host", b"connection"})  # wsproto writes its own


@asynccontextmanager
async def open_websocket(
    client: httpx2.AsyncClient,
    network: Network,
    url: str,
    *,
    patience: float,
    headers: Any,
    subprotocols: Iterable[str],
    message_queue_size: int,
    max_message_size: int,
) -> AsyncIterator[WebSocketConnection]:
    """See `trioframe.testing.http_client.Client.websocket`."""
    request = await _head(client, url, headers)
    connection = network.connect()
    stream = _Stream(connection)
    leave = partial(_leave, stream, partial(network.wait_served, connection), patience)
    begin = partial(
        wrap_client_stream,
        # Declared for sockets, and documented for any stream.
        stream=cast(trio.SocketStream, stream),
        host=request.headers["host"],
        resource=request.url.raw_path.decode("ascii"),
        subprotocols=subprotocols,
        extra_headers=[field for field in request.headers.raw if field[0].lower() not in _NOT_PASSED_ON],
        message_queue_size=message_queue_size,
        max_message_size=max_message_size,
    )
    try:
        async with plain_nursery() as nursery:
            websocket: WebSocketConnection = await nursery.start(_run, stream, begin)
            client.cookies.extract_cookies(httpx2.Response(101, headers=websocket.handshake_headers, request=request))
            try:
                yield websocket
            except ConnectionClosed:
                await leave(websocket)
                raise
            await leave(websocket)
            nursery.cancel_scope.cancel(reason="the block of the WebSocket has ended")
    except (ConnectionClosed, HandshakeError) as exc:
        if (error := network.errors.take()) is not None:
            raise error from exc
        raise
    finally:
        await close_now(stream)
    if (error := network.errors.take()) is not None:
        raise error


async def _head(client: httpx2.AsyncClient, url: str, headers: Any) -> httpx2.Request:
    """What httpx2 would have sent."""
    request = client.build_request("GET", url, headers=headers)
    if client.auth is not None:
        async with aclosing(client.auth.async_auth_flow(request)) as flow:
            request = await anext(flow)
    return request


async def _run(
    stream: _Stream,
    begin: Callable[[trio.Nursery], Awaitable[WebSocketConnection]],
    *,
    task_status: trio.TaskStatus[WebSocketConnection],
) -> None:
    """Shake hands, then read until the connection ends."""
    try:
        async with trio.open_nursery() as nursery:
            with stream.until_it_ends():
                task_status.started(await begin(nursery))
                return
            raise HandshakeError("the server has closed the connection, and not answered the handshake")
    except BaseExceptionGroup as group:
        # A ping that crosses its close is answered by trio-websocket, and wsproto does not allow that.
        if stream.leaving and group.split(LocalProtocolError)[1] is None:
            await stream.discard()
            return
        failed, _ = group.split(HandshakeError)
        if failed is None:
            raise
        raise failed.exceptions[0] from None
    finally:
        stream.end()


async def _leave(
    stream: _Stream, wait_served: Callable[[], Awaitable[None]], patience: float, websocket: WebSocketConnection
) -> None:
    stream.leaving = True
    with trio.move_on_after(patience):
        if stream.is_read:  # else no answer would come
            with stream.until_it_ends():
                await websocket.aclose()
        await stream.aclose()
        await wait_served()


class _Stream(trio.abc.Stream):
    """Knows of its end, of which trio-websocket does not tell everybody who waits for what would come.

    Attributes:
      leaving: whether the block has ended.
    """

    def __init__(self, stream: FaultyStream) -> None:
        self._stream = stream
        self._ended = False
        self._waiting = trio.CancelScope()
        self.leaving = False

    @contextmanager
    def until_it_ends(self) -> Iterator[None]:
        """Cancel the block when nothing more comes."""
        with trio.CancelScope() as self._waiting:
            if self._ended:
                self.end()
            yield

    def end(self) -> None:
        """Nothing more comes, or it is not read."""
        self._ended = True
        self._waiting.cancel(reason="the connection has ended")

    @property
    def is_read(self) -> bool:
        """Whether the test has not stopped its reading."""
        return not self._stream.stopped

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.end()
            raise
        if not data:
            self.end()
        return data

    async def discard(self) -> None:
        """Receive until the end, and throw it away."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await discard(self)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.end()
        await self._stream.aclose()

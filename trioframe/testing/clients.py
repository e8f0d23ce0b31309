"""The test client: `httpx2`, straight into the server, without sockets or threads.

This file is there without httpx2, and says so when somebody needs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..app.app import App
from .memory import BUFFER_SIZE

if TYPE_CHECKING:
    from trio_websocket import WebSocketConnection

    from .http_client import Client

__all__ = ["ClientContext", "client"]

Open = Callable[[], AbstractAsyncContextManager["Client"]]


class ClientContext(AbstractAsyncContextManager["Client"]):
    """Serves an app as long as it is entered, for the `Client` that it gives; made by `client`."""

    def __init__(self, open_client: Open) -> None:
        self._open = open_client
        self._entered: AbstractAsyncContextManager[Client]

    async def __aenter__(self) -> Client:
        self._entered = self._open()
        return await self._entered.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._entered.__aexit__(kind, error, traceback)

    def websocket(self, url: str, **options: Any) -> AbstractAsyncContextManager[WebSocketConnection]:
        """A WebSocket and nothing else: a client is opened for it alone, as long as the block lasts.

        See `Client.websocket` for `options`, and what is raised.
        """
        return _websocket_alone(self._open, url, options)


@asynccontextmanager
async def _websocket_alone(open_client: Open, url: str, options: dict[str, Any]) -> AsyncIterator[WebSocketConnection]:
    async with open_client() as client, client.websocket(url, **options) as websocket:
        yield websocket


def client(
    app: App,
    *,
    raise_errors: bool = False,
    base_url: str = "http://testserver",
    buffer_size: int = BUFFER_SIZE,
    **options: Any,
) -> ClientContext:
    """An `httpx2.AsyncClient` whose requests are answered by `app`: ``async with client(app) as c: await c.get("/")``.

    The bytes go through memory into the real connection code.  Both ways are streamed, and as narrow as TCP is: a
    handler that sends more than the client reads has to wait.  As always with httpx, the whole request is sent before
    the response is read.

    A response whose reading is given up, or cancelled, closes its connection, as a client that leaves does.
    ``client.connections`` are the connections as `FaultyStream`, to be reset, stalled or stopped from outside.

    ``client.websocket("/feed")`` opens a WebSocket, see `Client.websocket`; who needs nothing else writes
    ``async with client(app).websocket("/feed") as ws: ...``.

    Leaving the block closes the connections, and waits for the handlers to end as long as a draining server would
    (GRACEFUL_SHUTDOWN_TIMEOUT).

    Parameters:
      raise_errors: raise what the server would have logged as an error, such as an exception of a handler, where the
        client meets it; otherwise it meets the 500.  What it does not meet is raised at the end of the block.
      base_url: stands before relative URLs.  With "https" the app is used as behind a proxy that has ended TLS: the
        client believes in TLS and sends its Secure cookies; the app sees plain HTTP.
      buffer_size: bytes that may be on their way in each direction of a connection.
      options: of `httpx2.AsyncClient`.  `timeout` is None by default: use Trio's `move_on_after` and `fail_after`.

    Raises:
      ImportError: httpx2 is not installed; it comes with ``trioframe[testing]``.
      CompileError: the app has mistakes.
    """
    try:
        from .http_client import open_client  # noqa: PLC0415 - httpx2 is an extra
    except ModuleNotFoundError as exc:
        if exc.name not in ("httpx2", "httpcore2"):
            raise
        raise ImportError("the test client needs httpx2: pip install 'trioframe[testing]'") from exc
    app.compile()
    options = {"timeout": None, **options}
    return ClientContext(
        partial(open_client, app, raise_errors=raise_errors, base_url=base_url, buffer_size=buffer_size, **options)
    )

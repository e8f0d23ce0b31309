"""An exchange that nobody carries: requests to be looked at, and a record of what is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import trio

from trioframe.app.app import App
from trioframe.app.request import Request
from trioframe.app.route import Route
from trioframe.config import Config
from trioframe.errors import LocalProtocolError
from trioframe.http.alarm import Alarm, Alarms
from trioframe.http.body import RequestBody
from trioframe.http.events import RawHeaders, RequestHead
from trioframe.http.exchange import ConnInfo, Exchange
from trioframe.http.lifetime import Lifetime
from trioframe.http.switched import Switched


class FakeBody:
    """A body that is there; a piece that is an exception is raised, one that is an event is waited for."""

    def __init__(self, *pieces: bytes | Exception | trio.Event) -> None:
        self.pieces = list(pieces)
        self.announced = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        self.trailers: RawHeaders = ()
        self.refused = False

    def next_piece_nowait(self) -> bytes | None:
        if self.pieces and not isinstance(self.pieces[0], bytes):
            return None
        return cast(bytes, self.pieces.pop(0)) if self.pieces else b""

    async def wait(self, timeout: float | None) -> None:
        awaited = self.pieces.pop(0)
        if isinstance(awaited, Exception):
            raise awaited
        assert isinstance(awaited, trio.Event)
        await awaited.wait()

    def stop(self) -> None:
        self.stopped = True

    def refuse_body(self) -> None:
        self.refused = True


class FakeExchange(Exchange):
    """Records what is sent in `sent`, as (what, arguments...)."""

    def __init__(
        self,
        target: bytes = b"/",
        headers: RawHeaders = (),
        *,
        method: str = "GET",
        authority: bytes = b"a.example",
        body: Sequence[bytes | Exception | trio.Event] = (),
        conn: ConnInfo | None = None,
        spawn: Callable[[Callable[[], Awaitable[object]]], object] | None = None,
    ) -> None:
        raw_path, _, query = target.partition(b"?")
        head = RequestHead(
            method=method,
            target=target,
            raw_path=raw_path,
            query_string=query,
            authority=authority,
            headers=headers,
            version="1.1",
            content_length=None if body else 0,
            expect_continue=False,
            upgrade=b"",
        )
        conn = conn or ConnInfo(peername=("203.0.113.9", 4711), sockname=("203.0.113.1", 80))
        super().__init__(head, conn, Lifetime(cast(Any, spawn)))
        self._body = RequestBody(FakeBody(*body))
        self.alarms = Alarms()
        self.sent: list[tuple[Any, ...]] = []
        self.held: tuple[Any, ...] | None = None

    @property
    def body(self) -> RequestBody:
        return self._body

    async def send_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> None:
        self.sent.append(("response", status, tuple(headers), body))
        self.responded = self.finished = True

    def send_head(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        content_length: int | None = None,
        reason: str | None = None,
    ) -> None:
        if self.responded:
            raise LocalProtocolError("the response has already begun")
        self.held = ("head", status, tuple(headers), content_length)

    def _release_head(self) -> None:
        if self.held is not None:
            self.sent.append(self.held)
            self.held = None
            self.responded = True

    async def send_data(self, data: bytes) -> None:
        self._release_head()
        self.sent.append(("data", data))
        await trio.lowlevel.checkpoint()

    async def send_end(self, trailers: RawHeaders = ()) -> None:
        self._release_head()
        self.sent.append(("end",))
        self.finished = True
        await trio.lowlevel.checkpoint()

    async def switch(self, headers: Sequence[tuple[bytes, bytes]]) -> Switched:
        raise LocalProtocolError("nobody carries this exchange: it cannot go on in another protocol")

    def open_alarm(self, ring: Callable[[], object]) -> Alarm:
        return self.alarms.alarm(ring)

    def spawn(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        raise AssertionError("nobody carries this exchange: it has no connection to start tasks of")

    def abandon(self) -> None:
        self.sent.append(("abandoned",))

    async def send_informational(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.sent.append(("informational", status, tuple(headers)))


@dataclass
class FakeApp:
    """As much of an app as a request asks of it."""

    config: Config
    loads: Callable[[bytes], Any] | None = None


def make_request(
    target: bytes = b"/",
    headers: dict[str, str] | None = None,
    *,
    config: dict[str, object] | None = None,
    loads: Callable[[bytes], Any] | None = None,
    route: Route | None = None,
    **options: Any,
) -> Request:
    """A request for `target`; `config` and `loads` are the app's, `options` go to `FakeExchange`."""
    raw = tuple((name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items())
    app = cast(App, FakeApp(Config.from_mapping(config or {}), loads))
    return Request(app, FakeExchange(target, raw, **options), route)


def sent(request: Request) -> list[tuple[Any, ...]]:
    """What was sent in answer to a request of `make_request`."""
    exchange = request.exchange
    assert isinstance(exchange, FakeExchange)
    return exchange.sent

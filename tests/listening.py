"""Apps with somebody in the way of their requests, and what came to pass there, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from fake_exchange import FakeExchange
from wire import Peer, connected

from trioframe import App, Response
from trioframe.app.dispatch import Dispatcher
from trioframe.app.reserved import RESERVED
from trioframe.testing.memory import memory_pair

Course = list[str]  # the signals that were sent, by the ends of their names, among what middleware noted

ENDS = ("complete", "exception", "cancelled")
ENDS_OF_REQUESTS = ("http.lifecycle.complete", "http.lifecycle.exception", "http.lifecycle.cancelled")
TOO_LONG = 24 * 60 * 60.0  # seconds: who hangs is found by an autojump clock
ARRIVED = ["begin", "read_head", "request", "handle", "routing.before"]


def listen(app: App, *names: str) -> Course:
    """Note each signal about requests that is sent, or those with these names, each with what tells most of it."""
    course: Course = []

    def note(name: str) -> Any:
        short = name.removeprefix("http.").removeprefix("lifecycle.")

        def receiver(**context: Any) -> None:
            course.append(f"{short} {what}" if (what := _what(short, context)) else short)

        return receiver

    for name in names or [name for name in RESERVED if name.startswith("http.")]:
        app.add_signal(note(name), name)
    return course


def _what(short: str, context: dict[str, Any]) -> str:
    match short:
        case "read_head":
            return ""
        case "read_body":
            return str(len(context["body"]))
        case "middleware.before" | "middleware.after":
            return "of request" if context["response"] is None else "of response"
        case "handler.after" | "exception":
            return repr(context["exception"])
        case "cancelled":
            return str(context["reason"])
        case "response" | "complete":
            return str(context["response"].status)
    return ""


def ends(course: Course) -> list[str]:
    """Which ends of requests were told."""
    return [entry for entry in course if entry.split()[0] in ENDS]


@asynccontextmanager
async def talking_to(app: App, **options: Any) -> AsyncIterator[Peer]:
    """A client of `app`, on one connection; `options` as for `wire.connected`."""
    with trio.fail_after(TOO_LONG):
        async with connected(Dispatcher(app, app.compile()).handle, **options) as peer:
            yield peer


def request_for(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode() + body


async def ask(peer: Peer, path: str = "/", method: str = "GET", body: bytes = b"") -> tuple[int, bytes, str]:
    """Status, body and head of one answer."""
    await peer.send(request_for(path, method, body))
    head, _, content = (await peer.read_response()).partition(b"\r\n\r\n")
    return int(head.split()[1]), content, head.decode().lower()


class PromptExchange(FakeExchange):  # type: ignore[misc]  # found by pytest, not by mypy
    """On a connection that has room for a whole response: there is nothing to wait for."""

    def start_response(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: str | None = None
    ) -> None:
        self.sent.append(("response", status, tuple(headers), body))
        self.responded = self.finished = True


# --- an app to be listened to


def app_with_routes() -> App:
    """One route for each way in which a handler may end."""
    app = App("course", {"RESPONSE_TIMEOUT": 60, "CANCEL_GRACE": 5}, env_prefix=None)

    @app.get("/")
    async def hello(request: Any) -> str:
        return "hello"

    @app.get("/stream")
    async def stream(request: Any) -> object:
        return pieces()

    @app.get("/respond")
    async def respond(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send("by hand")

    @app.get("/broken")
    async def broken(request: Any) -> None:
        raise KeyError("broken")

    @app.post("/body")
    async def body(request: Any) -> str:
        return str(len(request.body))

    return app


async def pieces() -> AsyncIterator[str]:
    yield "one "
    yield "two"


def mark(request: Any, response: Response) -> None:
    response.headers.add("x-mark", "marked")


# --- a client that takes its time


async def read_slowly(app: App, path: str) -> tuple[int, float]:
    """How many bytes a client has got that reads 32 KiB a second, and how long it took."""
    client, server = memory_pair()
    received = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        await client.send_all(request_for(path))
        await client.send_eof()
        while piece := await client.receive_some():
            received += len(piece)
            await trio.sleep(len(piece) / 32768)
    return received, trio.current_time()

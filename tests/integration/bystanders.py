"""An accident on one connection, and those who stand by: they must not notice it."""

from __future__ import annotations

import logging
from typing import Any, Literal

import pytest
from integration.live_server import Live
from integration.raw_client import CutShortError, RawClient

from trioframe import App, Request, Response, text


class Bystanders:
    """One client from before the accident, and one from afterwards."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._before: RawClient

    async def __aenter__(self) -> Bystanders:
        self._before = await self.live.connect()
        assert (await self._before.get("/fine")).body == b"fine"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._before.aclose()

    async def are_served(self) -> bool:
        """Whether both get their answers; then they leave, so that nobody has to wait for them."""
        async with await self.live.connect() as after, self._before:
            answers = [await client.get("/fine") for client in (self._before, after)]
        return self.live.is_running() and all(answer.body == b"fine" for answer in answers)


def new_app(**config: Any) -> App:
    app = App("broken", config, env_prefix=None)

    @app.get("/fine")
    async def fine(request: Request) -> Response:
        return text("fine")

    return app


async def end(live: Live) -> None:
    """`serve` returns as asked, with nothing to complain about."""
    live.app.shutdown()
    await live.ended.wait()


async def outcome(client: RawClient) -> int | Literal["cut"]:
    """The status of the answer, or that there is none, or not all of it."""
    try:
        return (await client.answer()).status
    except CutShortError:
        return "cut"


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]

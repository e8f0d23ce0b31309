"""What the integration tests share: certificates, the records of the access log, and figures for the summary."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
from integration.live_server import Certificates

_FIGURES: dict[str, list[float]] = {}


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """Keeps a measured figure: ``figure("what, in which unit", value)``; the summary shows them all."""
    return lambda what, value: _FIGURES.setdefault(what, []).append(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section("figures")
    for what, values in sorted(_FIGURES.items()):
        values.sort()
        spread = f"{values[0]:g} to {values[-1]:g}, median {values[len(values) // 2]:g}"
        terminalreporter.write_line(f"{what}: {spread if len(values) > 1 else f'{values[0]:g}'}")


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(params=["TCP", "TLS"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> Certificates | None:
    """Runs a test twice: without TLS, and with it."""
    return certificates if request.param == "TLS" else None


class AccessRecords(logging.Handler):
    """The access log, record by record: ``await records.next()``."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._send, self._receive = trio.open_memory_channel[Any](math.inf)

    def emit(self, record: logging.LogRecord) -> None:
        self._send.send_nowait(record)

    async def next(self) -> Any:
        return await self._receive.receive()


@pytest.fixture
def access_records() -> Iterator[AccessRecords]:
    logger = logging.getLogger("trioframe.access")
    level = logger.level
    records = AccessRecords()
    logger.addHandler(records)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(records)
    logger.setLevel(level)

"""What the integration tests share: transports, certificates, the records of the access log, figures for the summary.

There are two ways from a socket to a connection: the reactor, where the system has epoll, and Trio's own streams, read
ahead of the handler by a task.  Every test runs on both, in one and the same process.  Two markers say otherwise:
``any_transport`` for what does not depend on it, or runs a server that is a program of its own; ``only_on("reactor")``
for what only one of them promises.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
from integration.live_server import Certificates

from trioframe.server.reactor import Reactor

TRANSPORTS = ["reactor", "streams"] if Reactor.available else ["streams"]

_FIGURES: dict[str, list[float]] = {}


# --- figures ----------------------------------------------------------------------------------------------------------


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


# --- transports -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What carries the connections of the servers that the test starts: "reactor" or "streams"."""
    chosen = getattr(request, "param", TRANSPORTS[0])
    monkeypatch.setattr(Reactor, "available", chosen == "reactor")
    return str(chosen)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("any_transport") is None:
        metafunc.parametrize("transport", TRANSPORTS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if promises(item)]


def promises(item: pytest.Item) -> bool:
    """Whether what is tested is promised for the transport that it is tested with."""
    only = item.get_closest_marker("only_on")
    return only is None or (isinstance(item, pytest.Function) and item.callspec.params["transport"] in only.args)


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(params=["TCP", "TLS"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> Certificates | None:
    """Runs a test twice: without TLS, and with it."""
    return certificates if request.param == "TLS" else None


# --- the access log ---------------------------------------------------------------------------------------------------


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

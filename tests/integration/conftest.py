"""What the integration tests share: certificates, and the records of the access log."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from integration.live_server import Certificates


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


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
    level, propagate = logger.level, logger.propagate
    records = AccessRecords()
    logger.addHandler(records)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(records)
    logger.setLevel(level)
    logger.propagate = propagate

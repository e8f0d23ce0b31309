"""The access log: complete, bounded, and out of reach of whoever is logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.exchange import ConnInfo
from trioframe.server.access_log import MAX_FIELD, AccessLog, RejectionLog

NOON = 1_767_268_800.25  # 2026-01-01T12:00:00.250Z


class Records(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.all.append(record)

    @property
    def only(self) -> logging.LogRecord:
        (record,) = self.all
        return record


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def logger(records: Records) -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.access")
    logger.setLevel(logging.INFO)
    logger.addHandler(records)
    yield logger
    logger.removeHandler(records)


def head(method: str = "GET", target: bytes = b"/hello?x=1", version: str = "1.1") -> RequestHead:
    path, _, query = target.partition(b"?")
    return RequestHead(method, target, path, query, b"example.org", (), version, 0, False, b"")


def exchange(request_head: RequestHead | None = None, **facts: Any) -> Any:
    """What the log reads of an exchange that took 1.25 ms."""
    conn = ConnInfo(peername=("127.0.0.1", 50312), id=17)
    facts = {"status": 200, "bytes_sent": 143, "close_code": None, "conn": conn} | facts
    return SimpleNamespace(head=request_head or head(), started_at=trio.current_time() - 0.00125, **facts)


async def test_an_exchange_is_one_line_that_says_everything(records, logger, autojump_clock):
    AccessLog("text", logger, clock=lambda: NOON).record(exchange())
    assert records.only.getMessage() == (
        '127.0.0.1:50312 2026-01-01T12:00:00.250+00:00 "GET /hello?x=1 HTTP/1.1" 200 143 1.250ms #17'
    )
    assert records.only.levelno == logging.INFO
    assert records.only.name == "test.access"


async def test_the_same_facts_in_json(records, logger, autojump_clock):
    AccessLog("json", logger, clock=lambda: NOON).record(exchange())
    assert json.loads(records.only.getMessage()) == {
        "client": "127.0.0.1:50312",
        "time": "2026-01-01T12:00:00.250+00:00",
        "method": "GET",
        "target": "/hello?x=1",
        "version": "1.1",
        "status": 200,
        "bytes": 143,
        "duration_ms": 1.25,
        "connection": 17,
    }


@pytest.mark.parametrize("format", ["text", "json"])
async def test_handlers_find_the_facts_on_the_record(records, logger, autojump_clock, format):
    AccessLog(format, logger, clock=lambda: NOON).record(exchange(status=404))
    found = vars(records.only)
    assert (found["status"], found["method"], found["target"], found["bytes"]) == (404, "GET", "/hello?x=1", 143)
    assert (found["client"], found["duration_ms"], found["connection"]) == ("127.0.0.1:50312", 1.25, 17)


async def test_an_exchange_without_any_answer_has_status_0(records, logger):
    AccessLog("text", logger).record(exchange(status=None, bytes_sent=0))
    assert '" 000 0 ' in records.only.getMessage()


async def test_a_websocket_has_a_line_for_its_beginning_and_one_for_its_end(records, logger, autojump_clock):
    log = AccessLog("text", logger, clock=lambda: NOON)
    log.record(exchange(status=101))
    log.record(exchange(status=101, close_code=1000, bytes_sent=4711))
    begin, end = (record.getMessage() for record in records.all)
    assert begin.endswith('"GET /hello?x=1 HTTP/1.1" 101 143 1.250ms #17')
    assert end == (
        '127.0.0.1:50312 2026-01-01T12:00:00.250+00:00 "GET /hello?x=1 HTTP/1.1" 101 closed 1000 4711 1.250ms #17'
    )


async def test_only_the_end_of_a_websocket_has_a_code(records, logger, autojump_clock):
    log = AccessLog("json", logger, clock=lambda: NOON)
    log.record(exchange(status=101))
    log.record(exchange(status=101, close_code=1001, bytes_sent=4711))
    begin, end = (json.loads(record.getMessage()) for record in records.all)
    assert "close_code" not in begin
    assert end == {**begin, "bytes": 4711, "close_code": 1001}
    assert vars(records.all[1])["close_code"] == 1001


@pytest.mark.parametrize("status", [499, 503, None])
async def test_what_ended_a_websocket_is_not_what_was_answered(records, logger, status):
    AccessLog("text", logger).record(exchange(status=status, close_code=1006))
    assert '" 101 closed 1006 143 ' in records.only.getMessage()
    assert vars(records.only)["status"] == 101


@pytest.mark.parametrize(
    ("conn", "shown"),
    [
        (ConnInfo(peername=("::1", 50313, 0, 0)), "[::1]:50313"),
        (ConnInfo(peername="", unix=True), "unix"),
        (ConnInfo(), "-"),
    ],
)
async def test_every_kind_of_client(records, logger, conn, shown):
    AccessLog("text", logger).record(exchange(conn=conn))
    assert records.only.getMessage().startswith(f"{shown} ")


def test_refused_input_is_logged_with_its_reason(records, logger):
    log = AccessLog("text", logger, clock=lambda: NOON)
    log.rejected(ConnInfo(peername=("10.0.0.1", 1), id=18), RemoteProtocolError("the Host header is missing"), 400)
    assert records.only.getMessage() == (
        '10.0.0.1:1 2026-01-01T12:00:00.250+00:00 "-" 400 "the Host header is missing" #18'
    )


def test_refused_input_in_json(records, logger):
    log = AccessLog("json", logger, clock=lambda: NOON)
    log.rejected(ConnInfo(peername=("10.0.0.1", 1), id=18), RemoteProtocolError("too long", 431), 431)
    assert json.loads(records.only.getMessage()) == {
        "client": "10.0.0.1:1",
        "time": "2026-01-01T12:00:00.250+00:00",
        "status": 431,
        "error": "too long",
        "connection": 18,
    }


INJECTIONS = [
    (b'/" 200 1 0.1ms #1\n127.0.0.1:1 "GET /forged', r"/\x22 200 1 0.1ms #1\x0a127.0.0.1:1 \x22GET /forged"),
    (b"/\x1b[2J\x1b]0;owned\x07", r"/\x1b[2J\x1b]0;owned\x07"),
    (b"/\r\x00\x7f", r"/\x0d\x00\x7f"),
    (b"/\x9b31m\xe2\x80\xae", r"/\x9b31m\xe2\x80\xae"),
    (rb"/\x1b is not an escape", r"/\x5cx1b is not an escape"),
    (b"/%0A%1b", "/%0A%1b"),
]


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize(("target", "shown"), INJECTIONS)
async def test_a_target_cannot_leave_its_field(records, logger, format, target, shown):
    AccessLog(format, logger).record(exchange(head(target=target)))
    message = records.only.getMessage()
    assert vars(records.only)["target"] == shown
    assert message.isprintable()
    assert message.isascii()
    assert shown in (json.loads(message)["target"] if format == "json" else message)


async def test_a_method_and_a_refusal_cannot_either(records, logger):
    log = AccessLog("text", logger)
    log.record(exchange(head(method='G"\n')))
    log.rejected(ConnInfo(), RemoteProtocolError("bad\x1b[31m token"), 400)
    assert r'"G\x22\x0a /hello?x=1 HTTP/1.1"' in records.all[0].getMessage()
    assert r'"bad\x1b[31m token"' in records.all[1].getMessage()


async def test_a_percent_sign_is_no_format(records, logger):
    AccessLog("json", logger).record(exchange(head(target=b"/%(client)s/%s")))
    AccessLog("text", logger).record(exchange(head(target=b"/%(client)s/%s")))
    assert all("/%(client)s/%s" in record.getMessage() for record in records.all)


async def test_a_long_target_is_cut(records, logger):
    AccessLog("text", logger).record(exchange(head(target=b"/" + b"a" * 10_000)))
    assert vars(records.only)["target"] == "/" + "a" * (MAX_FIELD - 1) + "..."


async def test_nothing_is_computed_while_nobody_listens(records, logger):
    logger.setLevel(logging.WARNING)
    log = AccessLog("text", logger)
    log.record(object())  # type: ignore[arg-type]
    log.rejected(object(), RemoteProtocolError("no"), 400)  # type: ignore[arg-type]
    assert records.all == []


async def test_by_default_it_goes_to_the_logger_trioframe_access(caplog):
    with caplog.at_level(logging.INFO, "trioframe.access"):
        AccessLog().record(exchange())
    assert [record.name for record in caplog.records] == ["trioframe.access"]


# --- without an access log --------------------------------------------------------------------------------------------


def test_refusals_are_logged_also_without_an_access_log(records, logger):
    log = RejectionLog(logger)
    log.rejected(ConnInfo(peername=("10.0.0.1", 1)), RemoteProtocolError('bad "\x1b[31m" token'), 400)
    assert records.only.getMessage() == r"10.0.0.1:1: 400 bad \x22\x1b[31m\x22 token"


def test_requests_are_not():
    assert RejectionLog.record is None  # so that nobody even calls it


def test_by_default_refusals_go_to_the_log_of_the_server(caplog):
    with caplog.at_level(logging.INFO, "trioframe.server"):
        RejectionLog().rejected(ConnInfo(), RemoteProtocolError("no"), 400)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("trioframe.server", "-: 400 no")]

"""Hearing what the server logs as an error, and only in one's own tasks."""

from __future__ import annotations

import logging

import pytest
import trio

from trioframe.testing.error_log import ErrorLog

logger = logging.getLogger("trioframe.somewhere")


def fail(message: str) -> ZeroDivisionError:
    try:
        raise ZeroDivisionError(message)
    except ZeroDivisionError as exc:
        logger.exception("failed")
        return exc


def test_what_is_called_is_heard():
    with ErrorLog() as log:
        error = log.run(fail, "one")
    assert [record.getMessage() for record in log.records] == ["failed"]
    assert log.take() is error
    assert log.take() is None


def test_several_errors_are_a_group():
    with ErrorLog() as log:
        errors = [log.run(fail, "one"), log.run(fail, "two")]
    group = log.take()
    assert isinstance(group, ExceptionGroup)
    assert list(group.exceptions) == errors


def test_an_error_without_an_exception_is_only_a_record():
    with ErrorLog() as log:
        log.run(logger.error, "no exception")
        assert len(log.records) == 1
        assert log.take() is None


def test_warnings_are_not_heard():
    with ErrorLog() as log:
        log.run(logger.warning, "careful")
    assert log.records == []


def test_nobody_hears_another():
    with ErrorLog() as log, ErrorLog() as other:
        fail("of nobody")
        log.run(fail, "one")
    assert len(log.records) == 1
    assert other.records == []


def test_nothing_is_heard_before_and_after():
    log = ErrorLog()
    log.run(fail, "before")
    with log:
        pass
    log.run(fail, "after")
    assert log.records == []


async def test_tasks_are_heard_and_what_they_start():
    async def child() -> None:
        await trio.lowlevel.checkpoint()
        fail("in a child")

    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    with ErrorLog() as log:
        async with trio.open_nursery() as nursery:
            log.run(nursery.start_soon, parent)
    assert str(log.take()) == "in a child"


def test_others_hear_it_as_well(caplog: pytest.LogCaptureFixture):
    with ErrorLog() as log:
        log.run(fail, "one")
    assert [record.name for record in caplog.records] == ["trioframe.somewhere"]

"""Errors by whose fault they are: what they carry, and how they are made."""

from __future__ import annotations

import pytest

from trioframe import errors
from trioframe.errors import (
    CompileError,
    HTTPError,
    MethodNotAllowed,
    Mistake,
    RemoteProtocolError,
    RequestCancelled,
    TrioframeError,
    WebSocketClosed,
    reason_phrase,
)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BadRequest", 400),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("MethodNotAllowed", 405),
        ("RequestTimeout", 408),
        ("PayloadTooLarge", 413),
        ("RangeNotSatisfiable", 416),
        ("ExpectationFailed", 417),
        ("ServerError", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_an_http_error_by_its_name(name: str, status: int) -> None:
    kind = getattr(errors, name)
    error = kind("what is wrong", headers={"X-A": "b"}, context={"c": 1}, extra={"d": 2})
    assert kind.status == error.status == status
    assert (error.message, str(error)) == ("what is wrong", "what is wrong")
    assert error.headers["X-A"] == "b"
    assert (error.context, error.extra) == ({"c": 1}, {"d": 2})
    assert kind().message == reason_phrase(status)


def test_only_our_own_faults_are_loud() -> None:
    assert HTTPError(404).quiet
    assert not HTTPError(500).quiet
    assert not HTTPError(404, quiet=False).quiet
    assert HTTPError().status == 500


def test_a_405_says_what_is_allowed() -> None:
    assert MethodNotAllowed(allowed=["GET", "PUT"]).headers == {"Allow": "GET, PUT"}
    assert MethodNotAllowed().headers == {}


def test_phrases_are_those_of_rfc_9110() -> None:
    assert reason_phrase(413) == "Content Too Large"
    assert reason_phrase(200) == "OK"
    assert reason_phrase(299) == "Unknown"


@pytest.mark.parametrize(
    ("reason", "status"),
    [("disconnect", 499), ("reset", 499), ("timeout", 503), ("shutdown", 503), ("application", 503)],
)
def test_a_cancelled_request_has_a_status_for_the_log(reason: errors.CancelReason, status: int) -> None:
    error = RequestCancelled(reason)
    assert (error.reason, error.status, str(error)) == (reason, status, reason)


def test_a_closed_websocket_says_how() -> None:
    closed = WebSocketClosed(1001, "bye")
    assert (closed.code, closed.reason, str(closed)) == (1001, "bye", "the WebSocket has ended with 1001: bye")
    assert str(WebSocketClosed(1000)) == "the WebSocket has ended with 1000"
    assert str(WebSocketClosed(1005)) == "the WebSocket has ended with 1005: a close without a code"
    assert str(WebSocketClosed(1006)) == "the WebSocket has ended with 1006: no close came"


def test_the_peer_s_faults_carry_a_status() -> None:
    assert RemoteProtocolError("no").status == 400
    assert RemoteProtocolError("no", 431).status == 431


def test_mistakes_come_together() -> None:
    error = CompileError("2 mistakes", [Mistake("one", "a.py:1"), Mistake("two")])
    assert isinstance(error, TrioframeError)
    assert str(error) == "2 mistakes\n  a.py:1: one\n  two"
    part = error.subgroup(lambda mistake: isinstance(mistake, Mistake) and mistake.message == "two")
    assert isinstance(part, ExceptionGroup)
    assert len(part.exceptions) == 1

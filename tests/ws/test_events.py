"""The events of a WebSocket are facts, the error carries the code to close with."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from trioframe.errors import RemoteProtocolError
from trioframe.http import events as http_events
from trioframe.ws.events import CLOSED, NEED_DATA, Close, Fragment, Message, Ping, Pong, WebSocketError


def test_nobody_changes_one() -> None:
    for event, name in (
        (Message("a"), "data"),
        (Fragment(b"a", final=True), "final"),
        (Ping(b""), "payload"),
        (Pong(b""), "payload"),
        (Close(1000, ""), "code"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(event, name, None)


def test_events_of_different_kinds_differ() -> None:
    assert Ping(b"a") != Pong(b"a")
    assert Message("") != Message(b"")


def test_the_signals_are_those_of_http() -> None:
    assert NEED_DATA is http_events.NEED_DATA
    assert CLOSED is http_events.CLOSED


def test_an_error_is_the_peers_fault_and_carries_its_code() -> None:
    error = WebSocketError("a message larger than 5 octets", 1009)
    assert isinstance(error, RemoteProtocolError)
    assert (str(error), error.code) == ("a message larger than 5 octets", 1009)

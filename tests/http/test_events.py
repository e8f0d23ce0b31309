"""Events are facts: they do not change, and the signals are three."""

from __future__ import annotations

import dataclasses

import pytest

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import CLOSED, NEED_DATA, PAUSED, Data, EndOfMessage, IncompleteMessage, Signalled


@pytest.mark.parametrize(("event", "name"), [(Data(b"a"), "data"), (EndOfMessage(), "trailers")])
def test_events_are_immutable(event: object, name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, name, b"")


def test_a_message_has_no_trailers_unless_they_came() -> None:
    assert EndOfMessage().trailers == ()


def test_there_are_three_signals() -> None:
    assert list(Signalled) == [NEED_DATA, PAUSED, CLOSED]


def test_an_incomplete_message_is_the_peers_fault() -> None:
    error = IncompleteMessage("the stream ended")
    assert isinstance(error, RemoteProtocolError)
    assert error.status == 400

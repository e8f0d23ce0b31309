"""What holds for a WebSocket when nobody says anything else."""

from __future__ import annotations

import dataclasses
import math

import pytest

from trioframe import Config
from trioframe.ws.bounds import WebSocketLimits
from trioframe.ws.terms import WebSocketTerms

CONFIGURED = {
    "max_queue": "WEBSOCKET_MAX_QUEUE",
    "ping_interval": "WEBSOCKET_PING_INTERVAL",
    "ping_timeout": "WEBSOCKET_PING_TIMEOUT",
    "close_timeout": "WEBSOCKET_CLOSE_TIMEOUT",
    "linger_timeout": "LINGER_TIMEOUT",
}


def test_they_are_those_of_the_configuration() -> None:
    terms, config = WebSocketTerms(), Config()
    assert {name: getattr(terms, name) for name in CONFIGURED} == {
        name: getattr(config, option) for name, option in CONFIGURED.items()
    }
    assert terms.limits == WebSocketLimits(config.WEBSOCKET_MAX_SIZE, config.WEBSOCKET_MAX_FRAGMENTS)
    assert terms.cancel_on_close is False


def test_nobody_changes_them() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WebSocketTerms().max_queue = 1  # type: ignore[misc]


def test_of_a_message_that_cannot_be_larger_nothing_is_held_up() -> None:
    for size, most in ((999, math.inf), (1000, math.inf), (1001, 1000), (math.inf, 1000)):
        assert WebSocketTerms(limits=WebSocketLimits(size), read_ahead=1000).most_held == most

"""The table of options: the published defaults, the types users see, and that every row is documented."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, assert_type

import pytest

from trioframe.config import Config
from trioframe.errors import ConfigError
from trioframe.options import Option

# What the documentation promises.  A change here is a change of the contract.
DEFAULTS: dict[str, object] = {
    "HOST": "127.0.0.1",
    "PORT": 8000,
    "UNIX": None,
    "UNIX_MODE": None,
    "BACKLOG": 1024,
    "REQUEST_MAX_HEADER_SIZE": 16 * 1024,
    "REQUEST_MAX_TARGET_SIZE": 8 * 1024,
    "REQUEST_MAX_HEADERS": 128,
    "REQUEST_MAX_SIZE": 1024 * 1024,
    "REQUEST_BUFFER_SIZE": 64 * 1024,
    "DRAIN_MAX_SIZE": 64 * 1024,
    "TLS_HANDSHAKE_TIMEOUT": 10.0,
    "REQUEST_TIMEOUT": 15.0,
    "BODY_TIMEOUT": 60.0,
    "BODY_MIN_RATE": 240,
    "BODY_MIN_RATE_GRACE": 5.0,
    "SEND_TIMEOUT": 60.0,
    "KEEP_ALIVE_TIMEOUT": 75.0,
    "LINGER_TIMEOUT": 5.0,
    "MAX_CONNECTIONS": 10_000,
    "MAX_REQUESTS_PER_CONNECTION": 1000,
    "RESPONSE_TIMEOUT": 60.0,
    "ON_DISCONNECT": "cancel",
    "HALF_CLOSE": "disconnect",
    "CANCEL_GRACE": 5.0,
    "GRACEFUL_SHUTDOWN_TIMEOUT": 15.0,
    "THREAD_LIMIT": 40,
    "WEBSOCKET_MAX_SIZE": 1024 * 1024,
    "WEBSOCKET_MAX_QUEUE": 16,
    "WEBSOCKET_MAX_FRAGMENTS": 1024,
    "WEBSOCKET_CLOSE_TIMEOUT": 5.0,
    "WEBSOCKET_PING_INTERVAL": 20.0,
    "WEBSOCKET_PING_TIMEOUT": 20.0,
    "PROXIES_COUNT": 0,
    "REAL_IP_HEADER": None,
    "FORWARDED_SECRET": None,
    "DEBUG": False,
    "FALLBACK_ERROR_FORMAT": "auto",
    "ACCESS_LOG": False,
    "ACCESS_LOG_FORMAT": "text",
    "DEPRECATION_FILTER": "once",
    "INSPECTOR": False,
    "INSPECTOR_HOST": "127.0.0.1",
    "INSPECTOR_PORT": 6457,
    "INSPECTOR_API_KEY": None,
    "INSPECTOR_TLS_CERT": None,
    "INSPECTOR_TLS_KEY": None,
}
ROWS = list(Config.options().values())


def test_the_defaults_are_those_published() -> None:
    config = Config()
    assert {name: getattr(config, name) for name in Config.options()} == DEFAULTS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_documented(row: Option[Any]) -> None:
    assert row.reason.endswith(".")
    assert "  " not in row.reason.replace(".  ", ". ")
    timed = row.name.endswith(("_TIMEOUT", "_INTERVAL", "_GRACE"))
    assert (row.unit == "s") == timed
    assert (row.unit == "bytes") == row.name.endswith("_SIZE")


@pytest.mark.parametrize("row", [row for row in ROWS if row.unit == "s"], ids=lambda row: row.name)
def test_every_time_may_be_without_end(row: Option[Any]) -> None:
    config = Config()
    config.load_environment(environ={f"TRIOFRAME_{row.name}": "inf"})
    assert getattr(config, row.name) == math.inf


@pytest.mark.parametrize("name", ["REQUEST_TIMEOUT", "BODY_TIMEOUT", "SEND_TIMEOUT", "WEBSOCKET_PING_INTERVAL"])
def test_a_time_that_would_forbid_everything_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} cannot be 0; allowed is a number of seconds above 0, or inf$"):
        Config(**{name: 0})


def test_secrets_are_hidden() -> None:
    assert "sesame" not in repr(Config(FORWARDED_SECRET="sesame", INSPECTOR_API_KEY="sesame"))


if TYPE_CHECKING:  # what a user's type checker sees
    config = Config()
    assert_type(config.REQUEST_TIMEOUT, float)
    assert_type(config.PORT, int)
    assert_type(config.MAX_CONNECTIONS, float)
    assert_type(config.BACKLOG, int | None)
    assert_type(config.ACCESS_LOG, bool)
    assert_type(config.HOST, str)
    assert_type(config.FORWARDED_SECRET, str | None)
    assert_type(config.ON_DISCONNECT, Literal["cancel", "ignore"])
    assert_type(config.HALF_CLOSE, Literal["disconnect", "allow"])
    assert_type(config.ACCESS_LOG_FORMAT, Literal["text", "json"])
    assert_type(config.FALLBACK_ERROR_FORMAT, Literal["auto", "html", "json", "text"])

"""The settings of HTTP/1 are those of the configuration."""

from __future__ import annotations

from trioframe.config import Config
from trioframe.http.h1_settings import H1Settings
from trioframe.http.terms import Terms


def test_every_setting_is_an_option() -> None:
    config = Config(
        REQUEST_MAX_HEADER_SIZE=1000,
        REQUEST_MAX_TARGET_SIZE=500,
        REQUEST_MAX_HEADERS=7,
        REQUEST_BUFFER_SIZE=5000,
        KEEP_ALIVE_TIMEOUT=1,
        REQUEST_TIMEOUT=2,
        BODY_TIMEOUT=3,
        BODY_MIN_RATE=4,
        BODY_MIN_RATE_GRACE=5,
        SEND_TIMEOUT=6,
        LINGER_TIMEOUT=7,
        DRAIN_MAX_SIZE=8,
        MAX_REQUESTS_PER_CONNECTION=9,
        CANCEL_GRACE=10,
        HALF_CLOSE="allow",
    )
    settings = H1Settings.from_config(config)
    assert settings.limits.max_head_size == 1000
    assert settings.limits.max_target_size == 500
    assert settings.limits.max_headers == 7
    assert settings.limits.max_trailer_size == 1000
    assert [getattr(settings, name) for name in H1Settings.__slots__[1:]] == [
        5000,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        Terms(10, "allow"),
    ]

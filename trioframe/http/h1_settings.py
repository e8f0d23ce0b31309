"""What the configuration says about HTTP/1 connections, read once when a server starts."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from .limits import H1Limits
from .terms import Terms

__all__ = ["H1Settings"]


@dataclass(frozen=True, slots=True)
class H1Settings:
    """Times in seconds, sizes in bytes; the options of `Config` explain themselves."""

    limits: H1Limits
    buffer_size: int
    keep_alive_timeout: float
    request_timeout: float
    body_timeout: float
    body_min_rate: float
    body_min_rate_grace: float
    send_timeout: float
    linger_timeout: float
    drain_max_size: int
    max_requests: float
    terms: Terms

    @classmethod
    def from_config(cls, config: Config) -> H1Settings:
        """The settings that `config` describes."""
        return cls(
            limits=H1Limits(
                max_head_size=config.REQUEST_MAX_HEADER_SIZE,
                max_target_size=config.REQUEST_MAX_TARGET_SIZE,
                max_headers=config.REQUEST_MAX_HEADERS,
                max_trailer_size=config.REQUEST_MAX_HEADER_SIZE,
            ),
            buffer_size=config.REQUEST_BUFFER_SIZE,
            keep_alive_timeout=config.KEEP_ALIVE_TIMEOUT,
            request_timeout=config.REQUEST_TIMEOUT,
            body_timeout=config.BODY_TIMEOUT,
            body_min_rate=config.BODY_MIN_RATE,
            body_min_rate_grace=config.BODY_MIN_RATE_GRACE,
            send_timeout=config.SEND_TIMEOUT,
            linger_timeout=config.LINGER_TIMEOUT,
            drain_max_size=config.DRAIN_MAX_SIZE,
            max_requests=config.MAX_REQUESTS_PER_CONNECTION,
            terms=Terms(config.CANCEL_GRACE, config.HALF_CLOSE),
        )

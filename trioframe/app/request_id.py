"""Names requests in logs."""

from __future__ import annotations

import re

__all__ = ["request_id"]

# Short and without anything that could be taken for more than an id where it is logged.
_SANE_ID = re.compile(r"[0-9A-Za-z._~+/=:@-]{1,128}")


def request_id(given: str) -> str:
    """What a request is called: `given`, what it came with, if that is short and plain; or else something new."""
    if _SANE_ID.fullmatch(given):
        return given
    import uuid  # noqa: PLC0415 - a proxy or nobody gives names to most requests

    return str(uuid.uuid4())

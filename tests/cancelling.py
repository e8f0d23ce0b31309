"""What the tests of lifetimes and their blocks expect of a cancelled request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from trioframe.errors import RequestCancelled
from trioframe.http.lifetime import Lifetime

GRACE = 5.0  # seconds


async def expect_cancelled(lifetime: Lifetime, handler: Callable[[], Awaitable[object]], reason: str) -> None:
    with pytest.raises(RequestCancelled) as caught:
        await lifetime.run(handler)
    assert caught.value.reason == reason
    assert lifetime.reason == reason
    assert caught.value.__context__ is None

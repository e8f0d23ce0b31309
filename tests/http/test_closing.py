"""`close_now` closes, waits for nothing, and hides no error."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair

from trioframe.http.closing import close_now


async def test_it_closes() -> None:
    one, other = memory_stream_pair()
    await close_now(one)
    assert await other.receive_some() == b""


async def test_it_does_not_wait() -> None:
    class Slow(trio.abc.AsyncResource):
        async def aclose(self) -> None:
            await trio.sleep_forever()

    await close_now(Slow())


async def test_an_outer_cancellation_does_not_replace_the_error() -> None:
    one, _ = memory_stream_pair()
    with trio.CancelScope() as scope, pytest.raises(ValueError, match="the error"):
        scope.cancel()
        try:
            raise ValueError("the error")
        finally:
            await close_now(one)

"""Closing at once, on the way out of anything.

`trio.aclose_forcefully` in a `finally` may itself be cancelled from outside, and that Cancelled would take the place of
the exception on its way: an error would be lost.  `close_now` cannot wait, so it may be shielded.
"""

from __future__ import annotations

import trio

from .transport import Transport

__all__ = ["close_now"]


async def close_now(resource: trio.abc.AsyncResource) -> None:
    """Close `resource` without being polite, and without replacing what is being raised."""
    if isinstance(resource, Transport) and resource.close_nowait():
        return
    with trio.CancelScope(shield=True) as scope:
        scope.cancel()
        await resource.aclose()

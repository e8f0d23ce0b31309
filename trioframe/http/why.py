"""The reasons for which a request is cancelled, in words."""

from __future__ import annotations

from ..errors import CancelReason

__all__ = ["WHY"]

WHY: dict[CancelReason, str] = {
    "disconnect": "the client left",
    "timeout": "the deadline of the request passed",
    "shutdown": "the server is stopping",
    "reset": "the client reset the stream",
    "application": "request.cancel() was called",
}
"""The text in `trio.Cancelled.reason`."""

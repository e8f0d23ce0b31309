"""What can come next from an HTTP/1 peer.

HEAD --+--> LENGTH -----+
       +--------------> END --+--> PAUSED --start_next_cycle--> HEAD
       +--> CHUNKED ----------+--> CLOSED, behind the last request
       +--> CLOSED, when the stream ends between two requests
FAILED, from anywhere, when the peer breaks a rule
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Reading"]


class Reading(IntEnum):
    """What comes next from the peer."""

    HEAD = 0
    LENGTH = 1  # body, as many bytes as Content-Length said
    CHUNKED = 2  # body, in chunks
    END = 3  # nothing more of this message
    PAUSED = 4  # the next message, which must wait
    CLOSED = 5  # nothing that counts
    FAILED = 6  # nothing that could be trusted

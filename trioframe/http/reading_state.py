"""What can come next from an HTTP/1 peer.

state      next
HEAD       LENGTH, CHUNKED or END, with a head; CLOSED, when the stream ends between two requests
LENGTH     END, with the last byte of the body
CHUNKED    PAUSED, with the end of the body; CLOSED, if no request can follow
END        PAUSED, when the end is asked for, or CLOSED, if no request can follow; HEAD, by `start_next_cycle`
PAUSED     HEAD, by `start_next_cycle`; CLOSED, behind the last response
any        FAILED, when the peer breaks a rule
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

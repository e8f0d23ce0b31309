"""The bytes a peer sent that are not events yet.

Most reads hold exactly one request head, or nothing but body; then the read itself becomes the event and no byte is
copied.  Only when several reads must be joined, or one read holds several messages, does a `bytearray` appear: it grows
at its end and shrinks at its front in amortised linear time, however finely the peer cuts its bytes.
"""

from __future__ import annotations

__all__ = ["Inbox"]


class Inbox:
    """A queue of bytes; `data` may be searched, and is changed only through the methods."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""

    def __len__(self) -> int:
        return len(self.data)

    def append(self, received: bytes) -> None:
        """Add what one read returned."""
        if not self.data:
            self.data = received
        else:
            if type(self.data) is bytes:
                self.data = bytearray(self.data)
            self.data += received

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` bytes, or all there are if fewer."""
        data = self.data
        if size >= len(data):
            self.data = b""
            return bytes(data)  # no copy when `data` is bytes
        taken = bytes(data[:size])
        self.discard(size)
        return taken

    def discard(self, size: int) -> None:
        """Remove the first `size` bytes."""
        if size >= len(self.data):
            self.data = b""
        elif size:
            if type(self.data) is bytes:
                self.data = bytearray(memoryview(self.data)[size:])
            else:
                del self.data[:size]  # type: ignore[union-attr]

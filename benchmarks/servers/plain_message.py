"""What is told to all in a broadcast: the same 64 characters by every server."""

from __future__ import annotations

__all__ = ["MESSAGE"]

MESSAGE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

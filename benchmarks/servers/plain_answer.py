"""The bytes that the servers without HTTP send for every request: the same ones, so that they can be compared."""

from __future__ import annotations

__all__ = ["ANSWER"]

ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 13\r\n"
    b"\r\n"
    b"Hello, world!"
)

"""The sizes an HTTP/1 peer must keep to.  Each bounds memory or work that one connection can cause."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["H1Limits"]


@dataclass(frozen=True, slots=True)
class H1Limits:
    """Limits in bytes, or counts where it says so; the status answered beyond each stands beside it.

    Attributes:
      max_head_size: request line, field lines and the empty line together (431, RFC 6585 section 5).
      max_target_size: the request-target (414).
      max_headers: number of field lines, and of trailer lines (431).
      max_leading_crlf: number of empty lines ignored before a request line (400, RFC 9112 section 2.2).
      max_chunk_overhead: one chunk size line; and all chunked framing beyond a fair share per chunk (400, RFC 9112
        section 7.1.1).
      max_trailer_size: the trailer section (431).
      harmless_head_size: a head of no more bytes is within all limits of a head, if none of its lines is shorter than
        ``a: b`` (none of a plain one is, see `head`).
    """

    max_head_size: int = 16384
    max_target_size: int = 8192
    max_headers: int = 128
    max_leading_crlf: int = 2
    max_chunk_overhead: int = 16384
    max_trailer_size: int = 16384
    harmless_head_size: int = field(init=False)

    def __post_init__(self) -> None:
        lines = self.max_headers * len("a: b\r\n")
        object.__setattr__(self, "harmless_head_size", min(self.max_head_size, self.max_target_size, lines))

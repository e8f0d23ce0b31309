"""Whether the fast lane and the law read a request head alike: what every differential test of them asks.

The law is `strict.parse_head`, which is h11 and what we demand beyond it.  The lane may decline any head; but a head
that it takes, the law takes, and finds the same in it, to the last field.  What is compared is not only equal but of
the same type: a view of bytes, or a number that is a bool, would go wrong only later.

It knows no test framework, so that a fuzzer can use it too.
"""

from __future__ import annotations

from trioframe.errors import RemoteProtocolError
from trioframe.http.events import RequestHead
from trioframe.http.head import recognise
from trioframe.http.limits import H1Limits
from trioframe.http.strict import parse_head

__all__ = ["SMALL", "agrees", "block_of", "facts", "is_lawful", "takes_the_lane"]

SMALL = H1Limits(
    max_head_size=150, max_target_size=12, max_headers=3, max_chunk_overhead=40, max_trailer_size=60, max_leading_crlf=1
)
"""Limits that a short message can be beyond."""


def agrees(block: bytes, limits: H1Limits) -> bool:
    """Whether the law says of `block` what the lane says, if that says anything.

    Parameters:
      block: a whole head; see `block_of`.
    """
    recognised = recognise(block, limits)
    if recognised is None:
        return True
    law = _law(block, limits)
    return law is not None and facts(recognised) == facts(law)


def takes_the_lane(block: bytes, limits: H1Limits) -> bool:
    """Whether `block` is plain enough for the lane."""
    return recognise(block, limits) is not None


def is_lawful(block: bytes, limits: H1Limits) -> bool:
    """Whether the law takes `block`."""
    return _law(block, limits) is not None


def block_of(octets: bytes) -> bytes:
    """The head that a connection would cut from the front of `octets`; one that has no end is given one."""
    while octets.startswith(b"\r\n"):  # empty lines before a request line are skipped
        octets = octets[2:]
    end = octets.find(b"\r\n\r\n")
    return octets[: end + 4] if end >= 0 else octets.removesuffix(b"\r\n") + b"\r\n\r\n"


def facts(head: RequestHead) -> str:
    """Everything that is known of `head`, spelled so that types show."""
    return repr(
        {
            "method": head.method,
            "target": head.target,
            "path": head.raw_path,
            "query": head.query_string,
            "authority": head.authority,
            "version": head.version,
            "headers": tuple(head.headers),
            "content length": head.content_length,
            "expects continue": head.expect_continue,
            "upgrade": head.upgrade,
            "keep alive": head.keep_alive,
        }
    )


def _law(block: bytes, limits: H1Limits) -> RequestHead | None:
    try:
        return parse_head(block, limits)
    except RemoteProtocolError:
        return None

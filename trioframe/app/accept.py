"""What a client would like to get: the Accept header (RFC 9110 section 12.5.1).

    Accept: text/html, application/*;q=0.8, */*;q=0.1

Reading is lenient and linear: an element that is no media range, or has no valid weight, is left out.  Parameters other
than the weight are read over: what clients mean by ``application/json; charset=utf-8`` is ``application/json``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Accept", "MediaRange", "parse_accept"]

# media-range = "*/*" / type "/*" / type "/" subtype, each of them a token
_RANGE = re.compile(r"(\*(?=/\*)|[!#$%&'+.^_`|~0-9a-z-]+)/(\*|[!#$%&'+.^_`|~0-9a-z-]+)")
# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) (RFC 9110 section 12.4.2)
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class MediaRange(NamedTuple):
    """One element of Accept; `type` and `subtype` in lower case, ``*`` for any."""

    type: str
    subtype: str
    quality: float

    @property
    def specificity(self) -> int:
        """0 for ``*/*``, 1 for ``text/*``, 2 for ``text/html``."""
        return (self.type != "*") + (self.subtype != "*")

    def covers(self, type: str, subtype: str) -> bool:
        """Whether a media type is in this range."""
        return self.type in ("*", type) and self.subtype in ("*", subtype)

    def __str__(self) -> str:
        return f"{self.type}/{self.subtype};q={self.quality:g}"


class Accept(tuple[MediaRange, ...]):
    """The media ranges a client accepts, in its order of preference."""

    __slots__ = ()

    def quality(self, media_type: str) -> float:
        """How much the client likes `media_type`, 0 (not at all) to 1; the most specific range decides."""
        type_, _, subtype = media_type.partition(";")[0].strip().lower().partition("/")
        fitting = [element for element in self if element.covers(type_, subtype)]
        return max(fitting, key=lambda element: element.specificity).quality if fitting else 0.0

    def match(self, *offers: str) -> str | None:
        """The one of `offers`, media types, that the client likes best; the first of equals, None if it wants none.

        A client that sent no Accept takes the first.
        """
        best = max(offers, key=self.quality, default=None)
        return best if best is not None and self.quality(best) > 0 else None


def parse_accept(header: str | None) -> Accept:
    """The preferences in an Accept header; None, for no header, and an empty one accept everything."""
    if not header:
        return Accept((MediaRange("*", "*", 1.0),))
    ranges = [found for element in header.lower().split(",") if (found := _parse_range(element)) is not None]
    return Accept(sorted(ranges, key=lambda found: (-found.quality, -found.specificity)))


def _parse_range(element: str) -> MediaRange | None:
    media_range, *parameters = (part.strip(" \t") for part in element.split(";"))
    match = _RANGE.fullmatch(media_range)
    weight = next((value for key, _, value in (p.partition("=") for p in parameters) if key == "q"), "1")
    if match is None or not _WEIGHT.fullmatch(weight):
        return None
    return MediaRange(match[1], match[2], float(weight))

"""Dates as HTTP writes them (RFC 9110 section 5.6.7).

    Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate, the one that is sent
    Sunday, 06-Nov-94 08:49:37 GMT    RFC 850, obsolete, to be accepted
    Sun Nov  6 08:49:37 1994          asctime, obsolete, to be accepted

Rendering is done once per second, however many responses leave in it, and never asks the locale.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

__all__ = ["http_date", "parse_http_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(timestamp: float) -> bytes:
    """`timestamp`, in seconds since the epoch, as IMF-fixdate; parts of a second are cut off."""
    return _render(int(timestamp))


@lru_cache(maxsize=64)  # the current second, and the modification times that are asked for again and again
def _render(second: int) -> bytes:
    year, month, day, hour, minute, sec, weekday, _, _ = time.gmtime(second)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{sec:02} GMT".encode()


_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_FORMATS: Final = tuple(
    re.compile(pattern, re.ASCII).fullmatch
    for pattern in (
        rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"(?:{'|'.join(_LONG_DAYS)}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<short_year>[0-9]{{2}}) {_TIME} GMT",
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse_http_date(value: bytes | str, *, now: float | None = None) -> float | None:
    """The seconds since the epoch that `value` means, or None if it is no valid HTTP-date.

    Parameters:
      now: what the two digits of an RFC 850 year are relative to, in seconds since the epoch; the current time if None.

    The name of the day is not compared with the date.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    for matches in _FORMATS:
        if match := matches(text):
            return _timestamp(match.groupdict(), time.time() if now is None else now)
    return None


def _timestamp(parts: dict[str, str], now: float) -> float | None:
    month = _MONTHS.index(parts["month"]) + 1
    day, hour, minute, second = (int(parts[name]) for name in ("day", "hour", "minute", "second"))
    if "year" in parts:
        year = int(parts["year"])
    else:
        # "a timestamp that appears to be more than 50 years in the future" means the past
        this_year, *rest = time.gmtime(now)[:6]
        year = this_year - this_year % 100 + int(parts["short_year"])
        if (year, month, day, hour, minute, second) > (this_year + 50, *rest):
            year -= 100
    leap = second == 60  # a leap second has no timestamp of its own
    try:
        return datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC).timestamp() + leap
    except ValueError:
        return None

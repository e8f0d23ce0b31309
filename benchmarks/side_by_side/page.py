"""The part of a page that a run writes: what stands between two marks.  The rest of the page is written by people."""

from __future__ import annotations

__all__ = ["BEGIN", "END", "with_results"]

BEGIN = "<!-- results of make bench: begin -->"
END = "<!-- results of make bench: end -->"


def with_results(page: str, results: str) -> str:
    """The page with `results` in place of what stood between its marks.

    Raises:
      ValueError: the marks are not there, once each and in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in head + tail:
        raise ValueError(f"the page must have {BEGIN} and behind it {END}, once each")
    return f"{head}{BEGIN}\n\n{results.strip()}\n\n{END}{tail}"

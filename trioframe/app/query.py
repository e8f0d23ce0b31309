"""The fields of a query, as HTML forms write them (application/x-www-form-urlencoded, WHATWG URL section 5).

`urllib.parse.parse_qsl` is the law.  Of most of what it does a short query needs nothing: where there is neither ``%``
nor ``+`` there is nothing to decode, and such a query is split here, with the same result.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

__all__ = ["parse_query"]


def parse_query(query: str, max_fields: int) -> list[tuple[str, str]]:
    """The fields of `query` in their order; one without ``=`` has an empty value, and an empty one is none.

    Parameters:
      query: what follows the ``?``; what is decoded is taken to be UTF-8, and replaced where it is none.
      max_fields: empty ones count too, for they cost as much.

    Raises:
      ValueError: there are more.
    """
    if "%" in query or "+" in query or query.count("&") >= max_fields:
        return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=max_fields)
    parts = [field.partition("=") for field in query.split("&") if field]
    return [(name, value) for name, _, value in parts]

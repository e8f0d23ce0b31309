"""What is answered to a posted order, so that every framework does the same work for it.

Knows no framework: it gets what one has made of the request.
"""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = ["Receipt", "receipt"]


class Receipt(TypedDict):
    id: int
    request: str
    customer: str
    lines: int
    cents: int
    page: int
    sort: str
    currency: str
    note: str


def receipt(id: int, order: Any, *, page: str, sort: str, currency: str, request: str) -> Receipt:
    """Some 200 bytes of JSON: of the path, the body, the query and a header."""
    lines = order["lines"]
    return {
        "id": id,
        "request": request,
        "customer": order["customer"]["name"],
        "lines": len(lines),
        "cents": sum(line["quantity"] * line["cents"] for line in lines),
        "page": int(page),
        "sort": sort,
        "currency": currency,
        "note": order["note"],
    }

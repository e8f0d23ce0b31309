"""A day's work of an API: JSON in and out, a typed path parameter, a query, a header that is read among eight, and a
middleware for the request and one for the response, which give it the id of the request.
"""

from __future__ import annotations

import json

from side_by_side.workload import Figures, Goal, Line, Probe, Round, Server, Workload
from side_by_side.wrk import wrk

TARGET = "/order/42?page=3&sort=price&currency=EUR"

# With Host and Content-Length, which the client adds: eight.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Content-Type": "application/json",
    "X-Request-ID": "7f3a9c52e1b84d06",
}

ORDER = {
    "customer": {
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "address": {"street": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH", "country": "GB"},
    },
    "lines": [
        {
            "article": f"A-{number:05}",
            "title": f"Punched cards, pattern number {number}, bound",
            "quantity": number,
            "cents": 250 * number,
            "options": ["gift", "insured"],
        }
        for number in range(1, 8)
    ],
    "note": "Leave it with the neighbour.",
    "newsletter": False,
    "voucher": None,
    "weight": 3.75,
    "delivery": {"carrier": "Great Western", "earliest": "1843-08-01"},
}
BODY = json.dumps(ORDER, separators=(",", ":")).encode()  # 1.2 KB

RECEIPT = {
    "id": 42,
    "request": "7f3a9c52e1b84d06",
    "customer": "Ada Lovelace",
    "lines": 7,
    "cents": 35_000,
    "page": 3,
    "sort": "price",
    "currency": "EUR",
    "note": "Leave it with the neighbour.",
}


def measure(server: Server, round: Round) -> Figures:
    return {"rate": wrk(server, TARGET, round.effort, headers=HEADERS, post=BODY).requests}


WORKLOAD = Workload(
    "json",
    f"{len(BODY)} bytes of JSON posted, answered with JSON, 64 connections",
    peers=("sanic", "starlette"),
    probe=Probe(
        RECEIPT,
        TARGET,
        "POST",
        HEADERS,
        BODY,
        read=json.loads,
        answer_headers={"X-Request-ID": HEADERS["X-Request-ID"]},
    ),
    lines=(Line("rate", "req/s", goals=(Goal("sanic", 1.5, 1.2), Goal("starlette", 1.5, 1.2))),),
    measure=measure,
    settings=({"BENCH_REQUEST_IDS": "1"},),
)

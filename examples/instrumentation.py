"""An app that measures itself: ``curl http://127.0.0.1:8000/orders/1``, then ``curl http://127.0.0.1:8000/metrics``.

Two signals, before and after the handler, count and time the requests of each route; the handlers know nothing of it.
The database tells of its queries by a signal of the app's own, and takes the time only if somebody listens.

What is shown are counts and sums that only grow.  Rates are the difference of two looks at them, divided by the time
between; and whoever looks sees by `process_start_time_seconds` that they have begun anew.  Every label comes out of the
program, none out of a request: the path of a route as it was declared, its methods, one of three outcomes, a known word
of SQL.  So no client can make the table longer.
"""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import trio

from trioframe import App, NotFound, Request, RequestCancelled, Response, json, text

app = App("instrumentation")

# --- what is measured -------------------------------------------------------------------------------------------------


class Timings:
    """How often something has happened, and how long it took altogether, for each combination of labels."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self.totals: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0, 0.0])

    def add(self, seconds: float, *values: str) -> None:
        total = self.totals[values]
        total[0] += 1
        total[1] += seconds

    def __str__(self) -> str:
        lines = [f"# TYPE {self.name}_seconds summary\n"]
        for values, (count, seconds) in sorted(self.totals.items()):
            labels = ",".join(f'{label}="{quote(value)}"' for label, value in zip(self.labels, values, strict=True))
            lines.append(f"{self.name}_seconds_count{{{labels}}} {count}\n")
            lines.append(f"{self.name}_seconds_sum{{{labels}}} {seconds:.6f}\n")
        return "".join(lines)


def quote(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


STARTED = time.time()
requests = Timings("http_request", "route", "methods", "outcome")
queries = Timings("sql_query", "kind")


@app.signal("http.handler.before")
def begin(request: Request) -> None:
    request.ctx.began = time.perf_counter()


@app.signal("http.handler.after")
def end(request: Request, exception: Exception | None) -> None:
    route = request.route
    assert route is not None  # it had a handler
    outcome = "cancelled" if isinstance(exception, RequestCancelled) else "raised" if exception else "returned"
    requests.add(time.perf_counter() - request.ctx.began, route.path, ",".join(sorted(route.methods)), outcome)


@app.signal("sql.query.executed")
def count_query(statement: str, seconds: float) -> None:
    kind = statement.split(maxsplit=1)[0].upper()
    queries.add(seconds, kind if kind in ("SELECT", "INSERT", "UPDATE", "DELETE") else "other")


@app.get("/metrics")
async def metrics(request: Request) -> Response:
    started = f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {STARTED:.3f}\n"
    return text(f"{started}{requests}{queries}", content_type="text/plain; version=0.0.4; charset=utf-8")


# --- what is measured of ----------------------------------------------------------------------------------------------


class Database:
    """SQLite, in a thread; its connection serves one query at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._one = trio.CapacityLimiter(1)

    async def query(self, statement: str, *values: object) -> list[Any]:
        if not app.signals["sql.query.executed"].receivers:  # nobody listens: nothing is measured
            return await self._run(statement, values)
        began = time.perf_counter()
        rows = await self._run(statement, values)
        seconds = time.perf_counter() - began
        await app.dispatch("sql.query.executed", {"statement": statement, "seconds": seconds, "rows": len(rows)})
        return rows

    async def _run(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        def run() -> list[Any]:
            with self._connection:
                return self._connection.execute(statement, values).fetchall()

        return await trio.to_thread.run_sync(run, limiter=self._one)


@app.lifespan
async def open_database(app: App) -> AsyncIterator[None]:
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        app.ctx.database = Database(connection)
        await app.ctx.database.query("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)")
        await app.ctx.database.query("INSERT INTO orders (item) VALUES (?)", "tea")
        yield


@app.get("/orders/<number:int>")
async def order(request: Request, number: int) -> Response:
    rows = await app.ctx.database.query("SELECT item FROM orders WHERE id = ?", number)
    if not rows:
        raise NotFound("there is no such order")
    return json({"order": number, "item": rows[0][0]})


if __name__ == "__main__":
    trio.run(app.serve)

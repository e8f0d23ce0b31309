"""Receivers of a signal that is sent for each request, which do nothing: what it costs to be heard."""

from __future__ import annotations

from side_by_side.further import further

WORKLOAD = further(
    "signals", "`hello` with 0, 1 and 10 receivers of `http.handler.before`, async, empty", "BENCH_RECEIVERS"
)

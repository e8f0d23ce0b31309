"""Request middleware that does nothing: what the way past it costs."""

from __future__ import annotations

from side_by_side.further import further

WORKLOAD = further("middleware", "`hello` behind 0, 1 and 10 request middleware, async, empty", "BENCH_MIDDLEWARE")

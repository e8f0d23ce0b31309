"""What a workload asks of the programs of the servers beside their routes: nothing, unless their environment says so.

Knows no framework.
"""

from __future__ import annotations

import os

__all__ = ["MIDDLEWARE", "RECEIVERS", "REQUEST_IDS"]

MIDDLEWARE = int(os.environ.get("BENCH_MIDDLEWARE", "0"))
"""How many request middleware that do nothing."""

RECEIVERS = int(os.environ.get("BENCH_RECEIVERS", "0"))
"""How many receivers that do nothing of the signal before the handler."""

REQUEST_IDS = "BENCH_REQUEST_IDS" in os.environ
"""Whether one middleware notes the X-Request-ID of each request, and one gives it to the response."""

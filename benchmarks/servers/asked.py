"""What a workload asks of the programs of the servers beside their routes: nothing, unless their environment says so.

Knows no framework.
"""

from __future__ import annotations

import os

__all__ = ["MIDDLEWARE", "RECEIVERS", "REQUEST_IDS", "WEBSOCKETS", "WITHOUT_SPEED"]

MIDDLEWARE = int(os.environ.get("BENCH_MIDDLEWARE", "0"))
"""How many request middleware that do nothing."""

RECEIVERS = int(os.environ.get("BENCH_RECEIVERS", "0"))
"""How many receivers that do nothing of the signal before the handler."""

REQUEST_IDS = "BENCH_REQUEST_IDS" in os.environ
"""Whether one middleware notes the X-Request-ID of each request, and one gives it to the response."""

WEBSOCKETS = "BENCH_WEBSOCKETS" in os.environ
"""Whether there are WebSockets: `/echo`, and `/broadcast`, where who sends a number has so many messages sent to all.

Asked for, as Sanic speaks HTTP by other means when it has any.
"""

WITHOUT_SPEED = "BENCH_WITHOUT_SPEED" in os.environ
"""Whether trioframe has to do without the C routine for masking that its extra `speed` brings."""

"""`ws_large` for those who install trioframe without its extra `speed`: the mask is taken off in Python."""

from __future__ import annotations

from dataclasses import replace

from side_by_side.workload import Goal, Line

from .ws_large import WORKLOAD as WS_LARGE

WORKLOAD = replace(
    WS_LARGE,
    name="ws-large-plain",
    summary=f"{WS_LARGE.summary}; trioframe without its extra `speed`",
    peers=("trio-websocket",),
    lines=(Line("rate", "messages/s", goals=(Goal("trio-websocket", 3.0, 3.0),)),),
    settings=({"BENCH_WEBSOCKETS": "1", "BENCH_WITHOUT_SPEED": "1"},),
)

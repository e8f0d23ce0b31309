"""Starts and stops the program `bystander`, and reads what it saw."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from .target import Target

__all__ = ["Report", "bystanders"]

PROGRAM = Path(__file__).with_name("bystander.py")


@dataclass(slots=True)
class Report:
    """What the bystanders saw; filled when they have stopped.  `latencies` are in seconds, sorted."""

    latencies: list[float] = field(default_factory=list)
    unanswered: int = 0

    def percentile(self, percent: float) -> float:
        """Milliseconds; inf if nothing was answered."""
        if not self.latencies:
            return math.inf
        place = min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))
        return self.latencies[place] * 1000


@asynccontextmanager
async def bystanders(
    target: Target, *, connections: int = 1, interval: float = 0.02, fresh: bool = False
) -> AsyncIterator[Report]:
    """While the block runs, `connections` clients ask every `interval` seconds."""
    report = Report()
    command = [sys.executable, "-S", str(PROGRAM), target.host, str(target.port)]
    command += [str(connections), str(interval), str(int(fresh))]
    # Not trio's: a cancellation would kill that process, and its report be lost.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        assert process.stdout is not None
        await trio.to_thread.run_sync(process.stdout.readline)
        yield report
    finally:
        with trio.CancelScope(shield=True):
            output, _ = await trio.to_thread.run_sync(process.communicate)
    seen = json.loads(output)
    report.latencies, report.unanswered = seen["latencies"], seen["unanswered"]

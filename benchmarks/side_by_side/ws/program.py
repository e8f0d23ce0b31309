"""Both ends of a load that is a program of its own: how it is started, and how it is told what to do and tells what
it found, as JSON.

A program, so that it has the core of the load for itself, as wrk has, and starts with nothing in its memory.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..workload import BenchmarkError, Figures, Round

__all__ = ["be_load", "run_load"]

ROOM = Path(__file__).parent.parent.parent
WAITED = "waited"
SPARE = 30.0  # seconds beyond its time: to connect, and to come to its end


def run_load(round: Round, name: str, *, seconds: float, **order: int | float) -> Figures:
    """What the load of this name has found; how long it waited for its core is noted in the round.

    Raises:
      BenchmarkError: it was not answered as it should have been.
    """
    command = [sys.executable, "-S", "-m", f"side_by_side.ws.{name}", json.dumps({"seconds": seconds, **order})]
    limit = seconds + order.get("warm_up", 0) + SPARE
    try:
        ended = subprocess.run(command, cwd=ROOM, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"the load {name} did not end in time") from None
    if ended.returncode != 0:
        raise BenchmarkError(ended.stderr.strip() or f"the load {name} failed")
    found: dict[str, float] = json.loads(ended.stdout)
    round.waits.append(found.pop(WAITED))
    return found


def be_load(load: Callable[..., Figures]) -> None:
    """The other end: what the program does.  A collection of garbage would look like a stall of the server."""
    gc.disable()
    try:
        found = load(**json.loads(sys.argv[1]))
    except (BenchmarkError, OSError) as error:
        sys.exit(str(error) or repr(error))
    # in nanoseconds: run, ready to run but waiting (Documentation/scheduler/sched-stats.rst)
    waited = int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    json.dump({**found, WAITED: waited}, sys.stdout)

"""Two cores: one for the server, one for the load, so that neither takes time from the other.

And how well that went: whether the server's core was busy (if not, the load was the bottleneck), and whether the server
or the load had to wait for theirs (if so, somebody else was at work on this machine).

Linux only: the figures come from ``/proc``.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .workload import BenchmarkError

__all__ = ["DISTURBED", "Cores", "Usage", "Watch"]

DISTURBED = 0.03  # of the time


@dataclass(frozen=True, slots=True)
class Cores:
    server: int
    load: int

    @classmethod
    def chosen(cls, given: str | None) -> Cores:
        """As given (``0,1``), or the first and the last that we may use.

        Cores that share their silicon are numbered side by side or half a machine apart, so that the first and the last
        share it only where there is no choice.
        """
        allowed = sorted(os.sched_getaffinity(0))
        wanted = [int(core) for core in given.split(",")] if given else [allowed[0], allowed[-1]]
        if len(set(wanted)) != 2 or not set(wanted) <= set(allowed):
            raise BenchmarkError(f"two different cores are needed; this process may use {allowed}")
        return cls(*wanted)

    def take_load(self) -> None:
        """Bind this process, and what it starts, to the core of the load."""
        os.sched_setaffinity(0, {self.load})


@dataclass(frozen=True, slots=True)
class Usage:
    """Shares of the time that was looked at.

    Attributes:
      busy: the server's core was.
      waited: the server, or the load if it is of ours, could have run and was not let.
    """

    busy: float
    waited: float

    @property
    def disturbed(self) -> bool:
        """Somebody else was at work."""
        return self.waited > DISTURBED


class Watch:
    """Looks at a server and its core from now on."""

    def __init__(self, core: int, pid: int) -> None:
        self._core, self._pid = core, pid
        self._before = self._read()

    def usage(self, load_waited: float = 0.0) -> Usage:
        """Since then.

        Parameters:
          load_waited: seconds, if the load was another process of ours.
        """
        idle, total, waited, now = (after - before for after, before in zip(self._read(), self._before, strict=True))
        return Usage(busy=1 - idle / total if total else 0.0, waited=(waited + load_waited) / now)

    def _read(self) -> tuple[float, float, float, float]:
        [line] = [line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{self._core} ")]
        # user, nice, system, idle, iowait, irq, softirq, steal; what guests take is in user already (proc(5))
        ticks = [int(field) for field in line.split()[1:9]]
        # in nanoseconds: run, ready to run but waiting (Documentation/scheduler/sched-stats.rst)
        waited = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in (self._pid, "self")) / 1e9
        return ticks[3] + ticks[4], sum(ticks), waited, time.monotonic()

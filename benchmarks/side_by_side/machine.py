"""What the figures were measured on; a ratio travels between machines better than a figure, but not freely."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .cores import Cores
from .workload import BenchmarkError, Effort
from .wrk import wrk_version

__all__ = ["allow_descriptors", "facts"]


def facts(cores: Cores, effort: Effort, minutes: float) -> Mapping[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "cores used": f"{cores.server} for the server, {cores.load} for the load",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": wrk_version(),
        "measured": f"{effort.rounds} rounds of {effort.seconds} s; all took {minutes:.1f} minutes",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def allow_descriptors(number: int) -> None:
    """Let this process, and those it starts from now on, open so many files.

    Raises:
      BenchmarkError: the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= number:
        return
    if hard != resource.RLIM_INFINITY and hard < number:
        raise BenchmarkError(f"{number} open files are needed and {hard} allowed; see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))

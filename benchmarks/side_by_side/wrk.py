"""wrk: the load for everything that is measured in requests or bytes per second.

One thread, as it has one core.  What it reports comes from `wrk.lua`, as JSON.  An error on a socket or an answer that
is none ends the run: a server that refuses quickly must not look fast.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .workload import BenchmarkError, Effort, Server

__all__ = ["Rates", "check_wrk", "wrk", "wrk_version"]

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT = 10  # seconds that one answer may take


@dataclass(frozen=True, slots=True)
class Rates:
    answers: int
    requests: float  # per second
    bytes: float  # per second, with heads and framing


def check_wrk() -> None:
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed: apt-get install wrk")


def wrk_version() -> str:
    ended = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)  # exits with 1
    return ended.stdout.split("[")[0].strip()


def wrk(
    server: Server,
    target: str,
    effort: Effort,
    *,
    connections: int = 64,
    headers: Mapping[str, str] | None = None,
    post: bytes | None = None,
) -> Rates:
    """Ask for `target` on all connections, each time the last answer is complete; with `post`, send that.

    Raises:
      BenchmarkError: a connection broke, or an answer was late or not 2xx or 3xx.
    """
    options = ["-t1", f"-c{connections}", f"--timeout={TIMEOUT}", f"--script={SCRIPT}"]
    options += [f"--header={name}: {value}" for name, value in (headers or {}).items()]
    with tempfile.NamedTemporaryFile() as body:
        body.write(post or b"")
        body.flush()
        script = ["--", body.name] if post is not None else []
        if effort.warm_up:
            _run([f"-d{effort.warm_up}", *options, server.url(target), *script], effort.warm_up)
        return _run([f"-d{effort.seconds}", *options, server.url(target), *script], effort.seconds)


def _run(arguments: list[str], seconds: int) -> Rates:
    try:
        ended = subprocess.run(
            ["wrk", *arguments], capture_output=True, text=True, check=False, timeout=seconds + TIMEOUT + 5
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError("wrk did not end in time") from None
    if ended.returncode != 0:
        raise BenchmarkError(f"wrk failed: {ended.stderr or ended.stdout}")
    found = json.loads(ended.stdout.splitlines()[-1])
    if found["errors"] or not found["requests"]:
        raise BenchmarkError(f"wrk reports errors:\n{ended.stdout}")
    duration = found["microseconds"] / 1e6
    return Rates(found["requests"], found["requests"] / duration, found["bytes"] / duration)

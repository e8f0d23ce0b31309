"""The server under attack, as its operating system sees it.

Usually a process of our own, started as a user would start it: ``python -m trioframe run``, configured through the
environment.  A server that runs already can be attacked too, if its process is on this machine.

Linux only: the figures come from ``/proc``.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Target", "started_server"]

APP = Path(__file__).parent.parent / "abuse_app.py"
ROOT = APP.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT = STOP_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """A server to attack.

    Parameters:
      pid: its process, on this machine.
      log_file: what it has written; None if that is not known.
      quick: its timeouts are short, and the attack should be.
    """

    host: str
    port: int
    pid: int
    log_file: Path | None = None
    quick: bool = False

    def memory(self) -> float:
        """MiB resident now."""
        return self._status("VmRSS")

    def peak_memory(self) -> float:
        """MiB resident at the highest since `reset_peak`."""
        return self._status("VmHWM")

    def reset_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, key: str) -> float:
        match = re.search(rf"^{key}:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        if match is None:
            raise ValueError(f"/proc says nothing of {key}")
        return int(match[1]) / 1024

    def cpu(self) -> float:
        """Seconds of processor time used so far, to a hundredth."""
        # utime and stime, counted behind the name in parentheses, which may hold anything
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_precisely(self) -> float:
        """Seconds the main thread has run, to a nanosecond; only for differences."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def log(self) -> list[str]:
        return [] if self.log_file is None else self.log_file.read_text(errors="replace").splitlines()

    def terminate(self) -> None:
        """Ask it to finish what it does and end; then `running` is False in time."""
        os.kill(self.pid, signal.SIGTERM)

    def running(self) -> bool:
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"  # ended, and not waited for yet

    def limit_descriptors(self, number: int) -> None:
        """As ``ulimit -n`` before the start would have."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (number, number))


@contextmanager
def started_server(options: Mapping[str, object], *, quick: bool) -> Iterator[Target]:
    """A server of our own on a free port; stopped in the end."""
    with tempfile.TemporaryDirectory(prefix="abuse-") as folder:
        log_file = Path(folder, "log")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TRIOFRAME_")}
        environment |= {f"TRIOFRAME_{name}": str(value) for name, value in options.items()}
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trioframe", "run", "--port", "0", f"{APP}:app"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield Target("127.0.0.1", _wait_for_port(process, log_file), process.pid, log_file, quick)
        finally:
            _stop(process)


def _wait_for_port(process: subprocess.Popen[bytes], log_file: Path) -> int:
    give_up = time.monotonic() + START_TIMEOUT
    while time.monotonic() < give_up and process.poll() is None:
        if match := re.search(r"listening on http://127\.0\.0\.1:(\d+)", log_file.read_text(errors="replace")):
            return int(match[1])
        time.sleep(0.01)
    raise RuntimeError(f"the server did not start:\n{log_file.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

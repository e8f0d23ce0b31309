"""A server process: started on its core, asked until it answers, ended whatever happens.

Everybody starts in the same bare environment, and what the workload puts there, so that no variable of this shell
changes what one of them does; and in a process group of its own, so that what it starts ends with it.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

from .candidates import SERVERS, Candidate
from .workload import BenchmarkError, Probe, Server

__all__ = ["running"]

START_TIMEOUT = 20.0  # seconds
POLL = 0.002  # seconds
LAST_WORDS = 0.2  # seconds in which a server that failed may log why


@contextmanager
def running(
    candidate: Candidate, setting: Mapping[str, str], probe: Probe | Callable[[int], None], core: int
) -> Iterator[Server]:
    """A server that has this in its environment, and has answered the probe as it should.

    Raises:
      BenchmarkError: it does not start, answers something else, or ends by itself.
    """
    port = _free_port()
    command = ["taskset", "--cpu-list", str(core), *candidate.command(port)]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **setting}
    with tempfile.TemporaryFile("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=SERVERS,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _first_answer(process, port, probe)
            yield Server(candidate.name, port, process.pid, time.perf_counter() - began, setting)
            if process.poll() is not None:
                raise BenchmarkError("ended while it was measured")
        except (BenchmarkError, OSError, http.client.HTTPException) as error:
            time.sleep(LAST_WORDS)
            raise BenchmarkError(f"{candidate.name}: {str(error) or repr(error)}\n{_tail(log)}".rstrip()) from error
        finally:
            _end(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _first_answer(process: subprocess.Popen[bytes], port: int, probe: Probe | Callable[[int], None]) -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if isinstance(probe, Probe):
                _ask(port, probe)
            else:
                probe(port)
        except ConnectionRefusedError:  # it does not listen yet
            time.sleep(POLL)
        else:
            return
    raise BenchmarkError("did not start")


def _ask(port: int, probe: Probe) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
    try:
        connection.request(probe.method, probe.target, probe.body, dict(probe.headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchmarkError(f"{probe.method} {probe.target} was answered {response.status}: {body[:200]!r}")
    found = probe.read(body)
    if found != probe.expected:
        shown = f"{str(found)[:300]}, where {str(probe.expected)[:300]} was expected"
        raise BenchmarkError(f"{probe.method} {probe.target} was answered {shown}")
    for name, value in probe.answer_headers.items():
        if response.headers[name] != value:
            raise BenchmarkError(f"{probe.method} {probe.target} was answered without {name}: {value}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """At once: how well it ends is not what is measured.  The group is its own, and ends with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return "\n".join(log.read().splitlines()[-20:])

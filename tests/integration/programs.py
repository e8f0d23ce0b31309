"""Other people's programs, run to their end: started, bounded and ended by the test that needs them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest
import trio


@dataclass
class Outcome:
    code: int
    out: bytes
    err: str


def path_of(program: str) -> str:
    """Where `program` is; skips the test if it is not on this machine."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed on this machine")
    return found


async def run(program: str, *args: str, stdin: bytes = b"", limit: float = 10) -> Outcome:
    """Run `program` to its end; it is killed if it takes longer than `limit` seconds."""
    with trio.fail_after(limit):
        done = await trio.run_process(
            [path_of(program), *args],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            deliver_cancel=_kill,
        )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


async def _kill(process: trio.Process) -> None:
    process.kill()
    await trio.lowlevel.checkpoint()


async def curl(*args: str, stdin: bytes = b"") -> Outcome:
    """curl as it is out of the box: no rc file, no proxy, no progress."""
    outcome = await run("curl", "-q", "--silent", "--show-error", "--noproxy", "*", *args, stdin=stdin)
    assert outcome.code == 0, outcome.err
    return outcome

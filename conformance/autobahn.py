"""Lets the Autobahn|Testsuite loose on an echo, and tells what it found.

    python conformance/autobahn.py --wstest PATH                      all cases
    python conformance/autobahn.py --wstest PATH --only 5.* 9.1.*     these
    python conformance/autobahn.py --wstest PATH --takeover           compressed messages may refer back
    python conformance/autobahn.py --wstest PATH --write docs/conformance.md

The suite plays the client, in every way that the protocol knows and in many that it forbids, and judges what it gets.
What is wanted of its judgement, `autobahn_verdict` tells.  The exit status is 1 if anything is not as wanted.

It takes one case after the other, and most of the time is its own.  So the cases are divided into parts, some of which
run at once, all against one server.  Each part has a folder, in which the suite leaves a page for each case and what
went over the wire; and its log.

PATH is called as ``PATH --mode fuzzingclient --spec spec.json`` in that folder, and may be a script that calls the
suite wherever it is installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import trio
from autobahn_app import app
from autobahn_verdict import Case, read_index, read_versions, render, with_results

import trioframe

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
# The longest come first, so that none of them is waited for alone in the end.
PARTS = (
    *(f"12.{number}.*" for number in range(1, 6)),
    *(f"13.{number}.*" for number in range(1, 8)),
    *(f"{number}.*" for number in (9, 1, 2, 3, 4, 5, 6, 7, 10)),
)


class SuiteError(Exception):
    """The suite did not run."""


def main() -> int:
    arguments = parse_arguments()
    began = time.monotonic()
    try:
        cases = trio.run(run, arguments)
        results = render(cases, versions(arguments.wstest))
    except SuiteError as error:
        say(str(error))
        return 1
    sys.stdout.write(f"{results}\n")
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        arguments.write.write_text(with_results(page, results), encoding="utf-8")
    missed = sum(not case.wanted for case in cases)
    say(f"{len(cases)} cases in {(time.monotonic() - began) / 60:.1f} minutes, {missed} not as wanted")
    return int(missed > 0)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Let the Autobahn|Testsuite loose on an echo.")
    parser.add_argument("--wstest", required=True, metavar="PATH", help="the program of the suite")
    parser.add_argument("--only", nargs="+", metavar="CASES", help="as the suite knows them: 1.1.1, 5.*")
    parser.add_argument("--takeover", action="store_true", help="with context takeover, where the suite offers it")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="parts that run at once (2)")
    parser.add_argument(
        "--reports", type=Path, default=ROOT / "build" / "autobahn", metavar="FOLDER", help="for what the suite leaves"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page in which to replace the results")
    arguments = parser.parse_args(words)
    if arguments.write and (arguments.only or arguments.takeover):
        parser.error("--write wants all cases, by default: leave --only and --takeover away")
    if arguments.jobs < 1:
        parser.error("--jobs must be at least 1")
    found = shutil.which(arguments.wstest)
    if found is None:
        parser.error(f"--wstest {arguments.wstest} is no program")
    arguments.wstest = Path(found).absolute()
    return arguments


async def run(arguments: argparse.Namespace) -> list[Case]:
    """Serve, and run all parts against it.

    Raises:
      SuiteError: some of them did not come to their end.
    """
    cases: list[Case] = []
    failures: list[str] = []
    waiting = iter(arguments.only or PARTS)

    async def run_parts() -> None:
        for pattern in waiting:
            try:
                cases.extend(await judge(pattern, port, arguments))
            except SuiteError as error:
                failures.append(str(error))

    async with trio.open_nursery() as server:
        [listener] = await server.start(app.serve, HOST, 0)
        port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as parts:
            for _ in range(arguments.jobs):
                parts.start_soon(run_parts)
        server.cancel_scope.cancel()
    if failures:
        raise SuiteError("\n".join(failures))
    return sorted(cases, key=lambda case: case.number)


async def judge(pattern: str, port: int, arguments: argparse.Namespace) -> list[Case]:
    """Let the suite judge the cases of one pattern.

    Raises:
      SuiteError: it did not come to its end.
    """
    folder = make_folder(arguments.reports, pattern, port, "takeover" if arguments.takeover else "")
    began = trio.current_time()
    with (folder / "log").open("wb") as log:
        ended = await trio.run_process(
            [arguments.wstest, "--mode", "fuzzingclient", "--spec", "spec.json"],
            cwd=folder,
            stdout=log,
            stderr=log,
            check=False,
        )
    try:
        cases = read_index((folder / "index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SuiteError(
            f"the suite ended with {ended.returncode} and no index for {pattern}: see {folder / 'log'} ({error})"
        ) from error
    say(f"{pattern:<8} {len(cases):>3} cases in {trio.current_time() - began:.0f} s")
    return cases


def make_folder(reports: Path, pattern: str, port: int, path: str = "") -> Path:
    """Where a part runs, with the task for the suite in it."""
    folder = reports / pattern.replace(".*", "").replace("*", "all")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(task(pattern, port, path)), encoding="utf-8")
    return folder


def task(pattern: str, port: int, path: str = "") -> dict[str, object]:
    """What the suite is to do, as it wants to be told."""
    return {
        "outdir": ".",
        # A peer that breaks the protocol is to be told so by a close, and not only dropped.
        "options": {"failByDrop": False},
        "servers": [{"agent": "trioframe", "url": f"ws://{HOST}:{port}/{path}"}],
        "cases": [pattern],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }


def versions(wstest: Path) -> dict[str, str]:
    told = subprocess.run([wstest, "--autobahnversion"], capture_output=True, text=True, check=False)
    return {
        "trioframe": trioframe.__version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in ("trio", "wsproto")},
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **read_versions(told.stdout),
    }


def say(*lines: str) -> None:
    sys.stderr.writelines(f"{line}\n" for line in lines)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Attacks a server, and measures from outside what that does to it.

    python benchmarks/abuse.py                         everything, each attack on a server of its own: 15 minutes
    python benchmarks/abuse.py slowloris pipeline      these
    python benchmarks/abuse.py --quick                 everything with short timeouts: two minutes
    python benchmarks/abuse.py --list
    python benchmarks/abuse.py --port P --pid N NAME   a server that runs already on this machine; it serves abuse_app

Each attack is a function in ``attacks/``.  Around it are measured, from ``/proc`` and by a client in a process of its
own: how far the memory of the server grew, its CPU time, its file descriptors before and after, what it logged, and how
long somebody who behaves had to wait.  Everything that is demanded stands beside what was found.  The exit status is 1
if anything is not as demanded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import trio
from attacks import (  # noqa: F401 - importing fills the table
    costly,
    crowds,
    floods,
    leaving,
    pipelining,
    slow,
    ws_floods,
    ws_slow,
)
from attacks.attack import ATTACKS, Attack, Figure, at_most, equal, fact
from attacks.bystander_process import Report, bystanders
from attacks.connection import GET, connected
from attacks.polling import until
from attacks.report import Result, as_json, as_lines, as_row, table_head
from attacks.target import Target, started_server

SETTLED = 7.0  # seconds that a server has to forget the attackers; it lingers 5 of them


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        show(f"{attack.name:<26}{attack.summary}" for attack in ATTACKS.values())
        return 0
    results: list[Result] = []
    if arguments.markdown:
        show(table_head())
    for name in arguments.names or ATTACKS:
        result = run(ATTACKS[name], arguments)
        results.append(result)
        if arguments.markdown:
            show([as_row(result)])
        elif not arguments.json:
            show(as_lines(result))
    if arguments.json:
        show([as_json(results)])
    return int(not all(result.ok for result in results))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Attack a server and measure it from outside.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks; all of them by default")
    parser.add_argument("--list", action="store_true", help="list the attacks")
    parser.add_argument("--quick", action="store_true", help="with short timeouts and smaller numbers")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--markdown", action="store_true", help="as a table, for the documentation")
    parser.add_argument("--host", default="127.0.0.1", help="of a server that runs already")
    parser.add_argument("--port", type=int, help="of a server that runs already")
    parser.add_argument("--pid", type=int, help="its process, on this machine")
    arguments = parser.parse_args()
    if (arguments.port is None) != (arguments.pid is None):
        parser.error("a server that runs already is given by --port and --pid")
    if unknown := [name for name in arguments.names if name not in ATTACKS]:
        parser.error(f"no such attack: {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
    return arguments


def run(attack: Attack, arguments: argparse.Namespace) -> Result:
    server: AbstractContextManager[Target]
    if arguments.port is not None:
        server = nullcontext(Target(arguments.host, arguments.port, arguments.pid, None, arguments.quick))
    else:
        options = {**attack.options, **(attack.quick if arguments.quick else {})}
        server = started_server(options, quick=arguments.quick)
    with server as target:
        return trio.run(measure, attack, target)


async def measure(attack: Attack, target: Target) -> Result:
    """What the attack itself found, and what it did to the server."""
    await warm_up(target)
    memory, cpu, descriptors, lines = target.memory(), target.cpu(), target.descriptors(), len(target.log())
    target.reset_peak()
    began = trio.current_time()
    async with bystanders(target, fresh=attack.bounds.fresh) as others:
        figures = await attack.run(target)
    seconds = trio.current_time() - began
    grown = target.peak_memory() - memory
    left = 0  # as seen when it had settled: what still waits in the kernel's queue is accepted afterwards

    def settled() -> bool:
        nonlocal left
        left = target.descriptors() - descriptors
        return left <= 0

    await until(settled, SETTLED)
    written = target.log()[lines:]
    around = [
        *latencies(attack, others),
        at_most("memory growth", max(grown, 0.0), attack.bounds.memory, "MiB"),
        fact("memory kept", max(target.memory() - memory, 0.0), "MiB"),
        at_most(f"CPU, of {seconds:.1f} s", target.cpu() - cpu, attack.bounds.cpu, "s"),
        at_most(f"file descriptors, beyond the {descriptors} before", left, 0),
    ]
    if target.log_file is not None:
        around += [
            at_most("log lines", len(written), attack.bounds.log),
            equal("tracebacks in the log", sum(line.startswith("Traceback") for line in written), 0),
        ]
    return Result(attack, figures, around)


def latencies(attack: Attack, others: Report) -> list[Figure]:
    return [
        fact("others, p50", others.percentile(50), "ms"),
        fact("others, p99", others.percentile(99), "ms"),
        at_most("others, max", others.percentile(100), attack.bounds.others, "ms"),
        equal(f"others unanswered, of {len(others.latencies) + others.unanswered}", others.unanswered, 0),
    ]


async def warm_up(target: Target) -> None:
    """What is allocated once is no growth.  Afterwards nobody is connected."""
    descriptors = target.descriptors()
    for _ in range(20):
        async with connected(target) as connection:
            for _ in range(20):
                await connection.send(GET % b"/ping")
                await connection.next_answer()
    await until(lambda: target.descriptors() <= descriptors, 1)


def show(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

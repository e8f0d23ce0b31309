"""What an attack is, and what it finds.

An attack is a coroutine function that gets a `Target`, misbehaves, and returns `Figure`s: what it saw from the client's
side.  What every attack is judged by beside that - memory, CPU, file descriptors, the log, the latency of somebody who
behaves - is measured around it; `Bounds` says how much of each it may cost.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from .target import Target

__all__ = ["ATTACKS", "MIB", "Attack", "Bounds", "Figure", "at_least", "at_most", "attack", "equal", "fact"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured; `demand` is what was demanded of it, in words, and `ok` whether it is so."""

    what: str
    value: str
    demand: str = ""
    ok: bool = True


def fact(what: str, value: object, unit: str = "") -> Figure:
    """Nothing is demanded of it."""
    return Figure(what, _show(value, unit))


def at_most(what: str, value: float, bound: float, unit: str = "") -> Figure:
    demand = "" if bound == math.inf else f"at most {_show(bound, unit)}"
    return Figure(what, _show(value, unit), demand, value <= bound)


def at_least(what: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(what, _show(value, unit), f"at least {_show(bound, unit)}", value >= bound)


def equal(what: str, value: object, wanted: object) -> Figure:
    return Figure(what, _show(value) or "nothing", _show(wanted) or "nothing", value == wanted)


def _show(value: object, unit: str = "") -> str:
    shown = str(value) if not isinstance(value, float) else f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an attack may cost the server.

    Parameters:
      memory: MiB that its resident memory may grow at its highest.
      cpu: seconds.
      others: milliseconds, the longest that a well-behaved client may wait for an answer.
      log: lines.
      fresh: whether the well-behaved client also opens new connections.
    """

    memory: float = 2.0
    cpu: float = math.inf
    others: float = 100.0
    log: float = math.inf
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Attack:
    """A row of the table.

    Parameters:
      summary: what the attacker does.
      options: of the server's configuration, beside the defaults.
      quick: further ones when there is little time: the same with shorter timeouts.
    """

    name: str
    summary: str
    run: Run
    bounds: Bounds
    options: Mapping[str, object] = field(default_factory=dict)
    quick: Mapping[str, object] = field(default_factory=dict)


Run = Callable[[Target], Awaitable[list[Figure]]]
ATTACKS: dict[str, Attack] = {}


def attack(
    bounds: Bounds | None = None,
    *,
    options: Mapping[str, object] | None = None,
    quick: Mapping[str, object] | None = None,
) -> Callable[[Run], Run]:
    """Put a function into the table, under its own name; the first line of its docstring is the summary."""

    def register(run: Run) -> Run:
        name = run.__name__
        summary = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        ATTACKS[name] = Attack(name, summary, run, bounds or Bounds(), options or {}, quick or {})
        return run

    return register

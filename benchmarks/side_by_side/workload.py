"""What a workload is: one thing that servers do, how it is put on them, and what is wanted of trioframe there.

A workload is a constant in a file of its own in `workloads/`.  It names the peers that it concerns, a probe that every
server must pass right before it is measured (nobody's error page is measured), and a function `measure`, which loads
one running server for a bounded time and returns a figure for each `Line`.

It must not know how servers are started, in which order they are measured, nor how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["BenchmarkError", "Effort", "Figures", "Goal", "Line", "Probe", "Round", "Server", "Workload"]

Figures = Mapping[str, float]  # by the name of the line


class BenchmarkError(Exception):
    """What was measured was not what should have been measured: the run is worth nothing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A request whose answer is known.

    Parameters:
      expected: what `read` makes of the body of the answer; its status must be 200.
      answer_headers: some that the answer must have.
    """

    expected: object
    target: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    read: Callable[[bytes], object] = bytes
    answer_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs and has passed the probe.

    Parameters:
      started: seconds from the start of its process to its first answer.
      setting: what its program has found in its environment.
    """

    name: str
    port: int
    pid: int
    started: float
    setting: Mapping[str, str]

    def url(self, target: str) -> str:
        return f"http://127.0.0.1:{self.port}{target}"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often is measured.

    Parameters:
      rounds: the servers are measured in turn, so many times.
      seconds, warm_up: of load, whole ones, as wrk knows no others.
      crowd: how many idle connections.
    """

    rounds: int
    seconds: int
    warm_up: int
    crowd: int


@dataclass(frozen=True, slots=True)
class Round:
    """What a measurement may look at beside its server.

    Parameters:
      shown: the figures of those that were measured before in this round, by their names.  Peers come in the order of
        the workload, trioframe last.
      so_far: the figures of this server, with the settings before.
      waits: seconds for which a load that is a process of its own was ready to run and not let; whoever starts one adds
        them.
    """

    effort: Effort
    shown: Mapping[str, Figures]
    so_far: Figures
    waits: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of a line.

    Parameters:
      wanted: of the ratio trioframe : peer, or, without a peer, of trioframe's own figure.
      acceptable: beyond this it is not acceptable.
    """

    peer: str | None
    wanted: float
    acceptable: float


@dataclass(frozen=True, slots=True)
class Line:
    """A kind of figure that a workload yields.

    Parameters:
      scale: what a figure is divided by to be shown in `unit`.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"] = "higher"
    scale: float = 1.0
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A row of tables.

    Parameters:
      name: for the command line.
      summary: what is done, in a few words.
      probe: or a function that asks what listens at a port by other means, and raises `BenchmarkError` if the answer is
        wrong, or `ConnectionRefusedError` if nobody listens yet.
      repeats: how many measurements are made in a round; more where one is short.
      saturates: whether the server's core should be busy all the time; if it is not, the load was too weak.
      settings: what the programs of the servers find in their environment (see `servers/asked.py`).  A measurement goes
        through all of them, each with a process of its own, and has the figures of all.
    """

    name: str
    summary: str
    peers: tuple[str, ...]
    probe: Probe | Callable[[int], None]
    lines: tuple[Line, ...]
    measure: Callable[[Server, Round], Figures]
    repeats: int = 1
    saturates: bool = True
    settings: tuple[Mapping[str, str], ...] = (MappingProxyType({}),)

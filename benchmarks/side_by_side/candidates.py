"""The servers that can be measured, and how each is started: its fastest honest documented configuration.

Honest means: no access log, one process, nothing switched off that a user would miss.  Two things are the same for all
where they can be set: connections are not closed because they have had a number of requests, and not before they have
been idle for more than a minute.

trioframe and the limits run in the project's own environment, peers in theirs, both made of the same Python.  A peer
that cannot be imported is left out, and the report says why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .workload import BenchmarkError

__all__ = ["CANDIDATES", "SERVERS", "Candidate", "check_interpreters", "versions", "why_not"]

SERVERS = Path(__file__).parent.parent / "servers"
OURS = Path(sys.executable)
THEIRS = SERVERS.parent.parent / ".bench-venv" / "bin" / "python"

# fmt: off - an option and its value belong on one line
UVICORN = (
    "-m",
    "uvicorn",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
    "--log-level",
    "warning",
    "--timeout-keep-alive",
    "75",
    "--port",
    "{port}",
)
UVICORN_WS = (*UVICORN, "--ws-per-message-deflate", "false", "--ws")
HYPERCORN = ("--config", "hypercorn.toml", "--bind", "127.0.0.1:{port}")
GRANIAN = (
    "-m",
    "granian",
    "--interface",
    "asgi",
    "--loop",
    "uvloop",
    "--workers",
    "1",
    "--no-access-log",
    "--log-level",
    "warning",
    "--port",
    "{port}",
)
# fmt: on

IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that can be measured.

    Parameters:
      arguments: of Python, in the folder of the server programs; `{port}` is where it listens.
      modules: what it must be able to import.
      distributions: whose versions matter.
    """

    name: str
    arguments: tuple[str, ...]
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    python: Path = THEIRS

    def command(self, port: int) -> list[str]:
        return [str(self.python), *(argument.format(port=port) for argument in self.arguments)]


def _table(*candidates: Candidate) -> Mapping[str, Candidate]:
    return {candidate.name: candidate for candidate in candidates}


CANDIDATES = _table(
    Candidate(
        "trioframe",
        ("-m", "trioframe", "run", "--no-access-log", "--port", "{port}", "trioframe_app.py:app"),
        ("trioframe",),
        ("trioframe", "trio", "h11"),
        OURS,
    ),
    Candidate(
        "hypercorn",
        ("-m", "hypercorn", *HYPERCORN, "asgi_app:app"),
        ("hypercorn.trio",),
        ("hypercorn", "trio", "h11", "wsproto"),
    ),
    Candidate("anycorn", ("-m", "anycorn", *HYPERCORN, "asgi_app:app"), ("anycorn",), ("anycorn", "trio", "anyio")),
    Candidate(
        "quart-trio",
        ("-m", "hypercorn", *HYPERCORN, "quart_app:app"),
        ("hypercorn.trio", "quart_trio"),
        ("quart-trio", "quart", "hypercorn", "trio"),
    ),
    Candidate("sanic", ("sanic_app.py", "{port}"), ("sanic", "uvloop"), ("sanic", "httptools", "uvloop", "ujson")),
    Candidate(
        "uvicorn",
        (*UVICORN, "asgi_app:app"),
        ("uvicorn", "httptools", "uvloop"),
        ("uvicorn", "httptools", "uvloop"),
    ),
    Candidate(
        "starlette",
        (*UVICORN, "starlette_app:app"),
        ("starlette", "uvicorn", "httptools", "uvloop"),
        ("starlette", "uvicorn", "httptools", "uvloop"),
    ),
    Candidate("granian", (*GRANIAN, "asgi_app:app"), ("granian", "uvloop"), ("granian", "uvloop")),
    Candidate(
        "uvicorn-wsproto",
        (*UVICORN_WS, "wsproto", "asgi_app:app"),
        ("uvicorn", "httptools", "uvloop", "wsproto"),
        ("uvicorn", "httptools", "uvloop", "wsproto"),
    ),
    Candidate(
        "uvicorn-websockets",
        (*UVICORN_WS, "websockets-sansio", "asgi_app:app"),
        ("uvicorn", "httptools", "uvloop", "websockets", "websockets.speedups"),
        ("uvicorn", "httptools", "uvloop", "websockets"),
    ),
    Candidate(
        "websockets",
        ("websockets_asyncio_app.py", "{port}"),
        ("websockets.asyncio", "websockets.speedups", "uvloop"),
        ("websockets", "uvloop"),
    ),
    Candidate(
        "websockets-trio",
        ("websockets_trio_app.py", "{port}"),
        ("websockets.trio", "websockets.speedups"),
        ("websockets", "trio"),
    ),
    Candidate(
        "trio-websocket",
        ("trio_websocket_app.py", "{port}"),
        ("trio_websocket",),
        ("trio-websocket", "trio", "wsproto"),
    ),
    Candidate("stream-limit", ("stream_limit.py", "{port}"), ("trio",), ("trio",), OURS),
    Candidate("epoll-limit", ("epoll_limit.py", "{port}"), ("trio",), ("trio",), OURS),
)


@cache
def why_not(candidate: Candidate) -> str:
    """The last line of what Python says when it cannot import what it takes; empty if it can."""
    ended = _python(candidate.python, IMPORT, candidate.modules)
    return "" if ended.returncode == 0 else ended.stderr.strip().rpartition("\n")[2]


def versions(candidates: Iterable[Candidate]) -> Mapping[str, str]:
    """What runs, by the name of the distribution; the project's own first."""
    found: dict[str, str] = {}
    for python, owner in ((OURS, "ours"), (THEIRS, "peers'")):
        names = sorted({name for one in candidates if one.python == python for name in one.distributions})
        if not names:
            continue
        for name, version in json.loads(_python(python, VERSIONS, names).stdout).items():
            if found.setdefault(name, version) != version:
                found[f"{name} ({owner})"] = version
    return found


def check_interpreters() -> None:
    """Ratios between two versions of Python would say nothing of the servers."""
    if not THEIRS.exists():
        raise BenchmarkError("there is no environment of peers yet; `make bench` makes it")
    theirs = _python(THEIRS, "import sys; print(sys.version)", ()).stdout.strip()
    if theirs != sys.version:
        raise BenchmarkError(f"this is Python {sys.version}, the peers' is {theirs}; remove .bench-venv")


def _python(python: Path, code: str, arguments: Iterable[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=SERVERS)

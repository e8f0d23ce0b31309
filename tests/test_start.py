"""What a program does not import before it needs it: each of these takes a part of a millisecond up to six to start.

Times differ from run to run; what is imported does not.  So this is what is held, in a fresh interpreter: how soon a
restarted server answers depends on little else.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

# By the reason for which most programs do without.
NOT_AT_START = {
    "plain requests are recognised without it (`http.head`)": ("h11",),
    "few clients ask for a page, and only developers see tracebacks": (
        "html",
        "sysconfig",
        "trioframe.app.errorpage_html",
        "trioframe.app.exception_tree",
    ),
    "the configuration is in the program or the environment, not in a file": ("runpy", "tomllib"),
    "nobody has mistyped": ("difflib",),
    "no URI has a parameter of such a type, and no URL is built with a float": ("decimal", "uuid"),
    "no handler has asked who the client says it is": ("trioframe.app.credentials",),
    "it is for tests": ("trioframe.testing", "httpx2"),
}

IMPORTED = "import sys, trioframe, trioframe.cli; print(*sys.modules)"

SERVED = """
import socket
import sys
import trio
import trioframe

app = trioframe.App("started", env_prefix=None)


@app.get("/<name>/<number:int>")
async def hello(request: trioframe.Request, name: str, number: int) -> trioframe.Response:
    return trioframe.text(f"{name} {number}")


async def main() -> None:
    # No memory stream: trio.testing imports pytest, and what not.
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, ours)
        await theirs.send_all(b"GET /a/1 HTTP/1.1\\r\\nHost: example\\r\\nConnection: close\\r\\n\\r\\n")
        answer = b"".join([piece async for piece in theirs])
        await theirs.aclose()
        assert answer.endswith(b"a 1"), answer


trio.run(main)
print(*sys.modules)
"""


def modules_after(program: str) -> set[str]:
    """What a fresh interpreter has imported when `program`, which prints it, has run."""
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("program", "others"), [(IMPORTED, "trio, click"), (SERVED, "trio")], ids=["imported", "first answer"]
)
def test_what_most_programs_never_need_is_not_imported_at_start(program: str, others: str) -> None:
    """It would cost every start the time, those of programs that never use it too.

    What `others` import, or the environment puts into every interpreter, is there anyway.
    """
    imported = modules_after(program) - modules_after(f"import sys, {others}; print(*sys.modules)")
    found = {why: both for why, names in NOT_AT_START.items() if (both := imported & set(names))}
    assert not found

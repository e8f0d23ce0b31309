"""``python -m trioframe run``: a program of its own, which signals stop and whose exit code says how it went."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from integration.live_server import HARD_LIMIT, connect
from integration.raw_client import RawClient, request_for

pytestmark = pytest.mark.any_transport

PROGRAM = """
    import trio
    from trioframe import App, text

    app = App("program", env_prefix=None)

    @app.get("/")
    async def index(request):
        return text("here")

    @app.get("/slow")
    async def slow(request):
        await request.send_informational(103)
        await trio.sleep(float(request.args.get("seconds")))
        return text("finished")

    @app.get("/crash-on-exit")
    async def crash(request):
        await request.send_informational(103)
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")
"""


class Program:
    """``python -m trioframe run``, under way."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.log = ""

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until its log has a match of `pattern`."""
        assert self.process.stderr is not None
        while (match := re.search(pattern, self.log)) is None:
            piece = await self.process.stderr.receive_some()
            assert piece, f"it ended without saying {pattern!r}:\n{self.log}"
            self.log += piece.decode()
        return match

    async def port(self) -> int:
        return int((await self.says(r"listening on http://127\.0\.0\.1:(\d+)"))[1])

    async def begin(self, path: str) -> RawClient:
        """A client whose request for `path` is being handled, which its handler says by a 103."""
        client = await connect("127.0.0.1", await self.port())
        await client.send(request_for(path))
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 103 ")
        return client

    async def code(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process.stderr is not None
        async for piece in self.process.stderr:
            self.log += piece.decode()
        return await self.process.wait()


@asynccontextmanager
async def program(
    folder: Path, *args: str, limit: float = HARD_LIMIT, fds: tuple[int, ...] = ()
) -> AsyncIterator[Program]:
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIOFRAME_")}
    command = [sys.executable, "-m", "trioframe", "run", "program.py", *args]
    with trio.fail_after(limit):
        open_process = partial(
            trio.lowlevel.open_process, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder, env=environment
        )
        process = await open_process(command, pass_fds=fds)
        try:
            yield Program(process)
        finally:
            process.kill()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await process.wait()
                if process.stderr is not None:
                    await process.stderr.aclose()


async def no_longer_listens(port: int) -> None:
    """The log speaks a moment before the listener closes."""
    while True:
        try:
            async with await connect("127.0.0.1", port):
                await trio.sleep(0.005)
        except ConnectionRefusedError:
            return
        except OSError:  # it was waiting to be accepted
            continue


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_requests_finish(signum, tmp_path: Path):
    async with program(tmp_path, "--port", "0") as running:
        async with await running.begin("/slow?seconds=0.3") as busy:
            running.process.send_signal(signum)
            await running.says("finishing the requests that run")
            await no_longer_listens(await running.port())
            answer = await busy.answer()
            assert (answer.body, answer.headers["connection"]) == (b"finished", "close")
        assert await running.code() == 0
    assert running.log.endswith("stopped\n")


async def test_a_second_signal_stops_at_once(tmp_path: Path):
    async with program(tmp_path, "--port", "0") as running, await running.begin("/slow?seconds=1000") as busy:
        running.process.send_signal(signal.SIGTERM)
        await running.says("finishing the requests that run")
        began = trio.current_time()
        running.process.send_signal(signal.SIGTERM)
        assert await running.code() == 0
        assert trio.current_time() - began < 3
        assert await busy.is_closed()
    assert "Traceback" not in running.log


async def test_an_error_on_the_way_out_is_told_and_the_end_is_as_asked(tmp_path: Path):
    async with program(tmp_path, "--port", "0") as running, await running.begin("/crash-on-exit"):
        running.process.send_signal(signal.SIGTERM)
        await running.says("finishing the requests that run")
        running.process.send_signal(signal.SIGTERM)
        assert await running.code() == 0
    assert running.log.count("ValueError: on the way out") == 1


async def test_the_socket_of_a_program_goes_with_it(tmp_path: Path):
    async with program(tmp_path, "--unix", "socket") as running:
        await running.says("listening on unix:")
        assert (tmp_path / "socket").is_socket()
        running.process.send_signal(signal.SIGTERM)
        assert await running.code() == 0
    assert not (tmp_path / "socket").exists()


async def test_a_program_serves_the_socket_it_inherits(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        async with program(tmp_path, "--fd", str(fd), fds=(fd,)) as running:
            assert await running.port() == sock.getsockname()[1]
            async with await connect("127.0.0.1", sock.getsockname()[1]) as client:
                assert (await client.get()).body == b"here"


async def test_exit_codes_of_what_never_served(tmp_path: Path):
    """Both at once, as most of their time is Python's start."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
        async with program(tmp_path, "--port", port) as failing, program(tmp_path, "--port", "no") as mistaken:
            assert await failing.code() == 1
            assert await mistaken.code() == 2
    assert failing.log.startswith(f"Error: cannot listen on 127.0.0.1:{port}: another program listens there")
    assert "Traceback" not in failing.log + mistaken.log
    assert "no" in mistaken.log

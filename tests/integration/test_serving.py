"""Starting and stopping: inside another Trio program, and as a program of its own."""

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
from typing import Any

import pytest
import trio
import trio.testing
from integration.live_server import HARD_LIMIT, connect, listening_socket, serving
from integration.raw_client import RawClient, request_for

from trioframe import App, Request, Response, text
from trioframe.server.listeners import ListenError


def make_app(name: str = "served", **config: Any) -> App:
    app = App(name, {"PORT": 0, **config}, env_prefix=None)
    app.ctx.begun = trio.Event()
    app.ctx.finish = trio.Event()

    @app.get("/")
    async def index(request: Request) -> Response:
        return text(name)

    @app.get("/slow")
    async def slow(request: Request) -> Response:
        app.ctx.begun.set()
        await app.ctx.finish.wait()
        return text("finished")

    return app


# --- inside another program -------------------------------------------------------------------------------------------


def test_serve_ends_a_whole_program_when_it_is_shut_down():
    """As ``trio.run(app.serve)`` does; OS signals are nobody's business but the program's."""
    app = make_app()
    handlers: list[Any] = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]

    @app.get("/stop")
    async def stop(request: Request) -> Response:
        assert signal.getsignal(signal.SIGTERM) == handlers[0]
        app.shutdown()
        return text("stopping")

    async def main() -> None:
        with trio.fail_after(HARD_LIMIT):
            await app.serve(fd=listening.detach())

    listening = listening_socket()
    with socket.create_connection(listening.getsockname(), HARD_LIMIT) as client:
        client.sendall(request_for("/stop"))  # waits in the backlog
        client.shutdown(socket.SHUT_WR)
        trio.run(main)
        answer = client.recv(65536)
    assert answer.endswith(b"stopping")
    assert b"connection: close" in answer.lower()
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers


async def test_started_gets_the_bound_listeners(nursery: trio.Nursery):
    app = make_app()
    with trio.fail_after(HARD_LIMIT):
        listeners = await nursery.start(app.serve)
        (listener,) = listeners
        port = listener.socket.getsockname()[1]
        assert port != 0
        async with await connect("127.0.0.1", port) as client:
            assert (await client.get()).body == b"served"
        app.shutdown()


async def test_serve_raises_only_the_cancellation_it_was_sent():
    app = make_app()
    with trio.move_on_after(0.05) as scope:
        await app.serve()
        raise AssertionError("it was not asked to stop")
    assert scope.cancelled_caught


async def test_two_apps_in_one_nursery():
    one, other = make_app("one"), make_app("other")
    async with serving(one) as first, serving(other) as second:
        async with await first.connect() as client:
            assert (await client.get()).body == b"one"
        async with await second.connect() as client:
            assert (await client.get()).body == b"other"
        one.shutdown()
        await first.ended.wait()
        async with await second.connect() as client:
            assert (await client.get()).body == b"other"


async def test_one_app_on_two_addresses(tmp_path: Path):
    app = make_app()
    async with serving(app) as tcp, serving(app, unix=str(tmp_path / "socket")) as unix:
        async with await tcp.connect() as client:
            assert (await client.get()).body == b"served"
        app.shutdown()
        await tcp.ended.wait()
        await unix.ended.wait()


async def test_an_app_can_be_served_again():
    app = make_app()
    for _ in range(2):
        async with serving(app) as live:
            async with await live.connect() as client:
                assert (await client.get()).body == b"served"
            app.shutdown()
            await live.ended.wait()


async def test_shutdown_finishes_what_runs_and_refuses_what_is_new():
    app = make_app()
    async with serving(app) as live:
        async with await live.connect() as busy, await live.connect() as idle:
            assert (await idle.get()).body == b"served"
            await busy.send(request_for("/slow") + request_for("/"))
            await app.ctx.begun.wait()
            app.shutdown()
            assert await idle.is_closed()
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(OSError, match="refused"):
                await live.connect()
            assert live.is_running()
            app.ctx.finish.set()
            answer = await busy.answer()
            assert (answer.body, answer.headers["connection"]) == (b"finished", "close")
            assert await busy.is_closed()  # the request behind it is not begun
        await live.ended.wait()


async def test_shutdown_cancels_what_takes_too_long(access_records):
    app = make_app(GRACEFUL_SHUTDOWN_TIMEOUT=0.05, ACCESS_LOG=True)
    async with serving(app) as live, await live.connect() as client:
        await client.send(request_for("/slow"))
        await app.ctx.begun.wait()
        app.shutdown()
        assert (await client.answer()).status == 503
        client.leave()
        await live.ended.wait()
    assert (await access_records.next()).status == 503


async def test_shutdown_before_anybody_came():
    app = make_app()
    async with serving(app) as live:
        app.shutdown()
        app.shutdown()
        await live.ended.wait()


async def test_shutdown_does_not_wait_for_clients_that_say_nothing():
    app = make_app()
    async with serving(app) as live, await live.connect():
        await trio.testing.wait_all_tasks_blocked(0.01)
        began = trio.current_time()
        app.shutdown()
        await live.ended.wait()
        assert trio.current_time() - began < 1


async def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match="another program listens there") as caught:
            await make_app().serve("127.0.0.1", port)
    assert str(port) in str(caught.value)


async def test_a_unix_socket_goes_with_its_server(tmp_path: Path):
    path = tmp_path / "socket"
    async with serving(make_app(), unix=str(path)):
        assert path.is_socket()
        with pytest.raises(ListenError, match="another program listens there"):
            await make_app().serve(unix=str(path))
        assert path.is_socket()
    assert os.listdir(tmp_path) == []


# --- as a program of its own ------------------------------------------------------------------------------------------

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

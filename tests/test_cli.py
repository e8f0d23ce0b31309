"""The command: what it passes on, what it shows, how it exits."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import runpy
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result
from project import Project, project
from unconfigured_logging import unconfigured

import trioframe
from trioframe.cli import main
from trioframe.errors import LocalProtocolError

__all__ = ["project"]

RECORDER = """
    from trioframe.app.app import App

    class Recorder(App):
        "Does not serve, but tells what it was asked to."

        async def serve(self, *where, ssl, task_status, **options):
            given = {name: value for name, value in options.items() if value is not None}
            print(*where, given, ssl and ssl.minimum_version.name, self.config.DEBUG, self.config.ACCESS_LOG)

    app = Recorder("shop")

    def make():
        return Recorder("made")
"""

SHOP = """
    from trioframe.app.app import App
    from trioframe.app.response import text

    app = App("shop")

    @app.get("/hello/<name>")
    async def hello(request, name):
        return text(f"hello {name}")

    @app.route("/orders", methods=["GET", "POST"], name="orders")
    async def list_orders(request):
        return text("none")
"""


def trioframe_command(*arguments: str) -> Result:
    """The command, within this process."""
    return CliRunner().invoke(main, arguments, prog_name="trioframe")


# --- run: what is passed on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("", "None None {} None False False"),
        ("--host ::1 --port 0", "::1 0 {} None False False"),
        ("--unix app.sock", "None None {'unix': 'app.sock'} None False False"),
        ("--fd 7", "None None {'fd': 7} None False False"),
        ("--debug --access-log", "None None {} None True True"),
        ("--dev --no-access-log", "None None {} None True False"),
        ("--workers 1 --single-process", "None None {} None False False"),
        ("--tls-cert both.pem", "None None {} TLSv1_2 False False"),
    ],
)
def test_options_are_passed_on(project, options, asked):
    project.write("main.py", RECORDER)
    project.write("both.pem", certificate())
    result = trioframe_command("run", "main", *options.split())
    assert result.output == f"{asked}\n"
    assert result.exit_code == 0


def test_an_app_may_be_made(project):
    project.write("main.py", RECORDER)
    assert trioframe_command("run", "main:make", "--factory").exit_code == 0


@pytest.mark.parametrize(("options", "level"), [((), logging.INFO), (("-v",), logging.DEBUG)])
def test_verbose(project, options, level):
    project.write("main.py", RECORDER)
    with unconfigured() as logger:
        trioframe_command("run", "main", *options)
        assert logger.level == level


def certificate() -> str:
    return trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.bytes().decode()


# --- run: errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("nothing:app", "Error: there is no module 'nothing'"),
        ("main:missing", "Error: module 'main' has no 'missing'; it has the app 'app'"),
        ("main:App.__doc__", "neither an App nor a function that makes one"),
        ("main --workers 4", "Error: workers cannot be 4: only 1 process is supported so far"),
        ("main --tls-cert missing.pem", "Error: the TLS certificate 'missing.pem' cannot be read"),
        ("main --tls-cert main.py", "Error: 'main.py' has no TLS certificate"),
        ("main --tls-key key.pem", "Error: --tls-key needs --tls-cert"),
        ("main --unix a --fd 3", "Error: --unix and --fd exclude each other"),
        ("main --host a --port 1 --unix a", "Error: --host/--port and --unix exclude each other"),
        ("main --port 65536", "65536 is not in the range"),
        ("main --workers 0", "0 is not in the range"),
        ("", "Missing argument 'TARGET'"),
    ],
)
def test_wrong_usage_exits_with_2(project, arguments, why):
    project.write("main.py", RECORDER)
    result = trioframe_command("run", *arguments.split())
    assert why in result.stderr
    assert "Traceback" not in result.output
    assert result.exit_code == 2


def test_a_wrong_configuration_is_wrong_usage(project, monkeypatch):
    project.write("main.py", RECORDER)
    monkeypatch.setenv("TRIOFRAME_PORT", "http")
    result = trioframe_command("run", "main")
    assert "PORT cannot be 'http'" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code == 2


def test_a_port_in_use_exits_with_1(project):
    project.write("main.py", SHOP)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = trioframe_command("run", "main", "--port", str(port))
    assert result.stderr == (
        f"Error: cannot listen on 127.0.0.1:{port}: "
        "another program listens there: stop it, or choose another port (0 takes any that is free)\n"
    )
    assert result.exit_code == 1


def test_an_app_with_mistakes_exits_with_1_and_lists_them_all(project):
    path = project.write(
        "main.py",
        """
        from trioframe.app.app import App
        app = App("shop")

        @app.get("/<name>")
        async def one(request):
            return "one"

        @app.get("/two")
        async def two():
            return "two"
        """,
    )
    result = trioframe_command("run", "main")
    assert result.stderr.startswith("Error: app 'shop' has 2 mistakes\n")
    assert f"{path}:5: " in result.stderr
    assert f"{path}:9: " in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code == 1


def test_code_that_fails_exits_with_1_and_shows_its_traceback(project):
    path = project.write("main.py", "def make():\n    raise ValueError('no database')")
    result = trioframe_command("run", "main:make")
    lines = result.stderr.splitlines()
    assert lines[:2] == ["Traceback (most recent call last):", f'  File "{path}", line 2, in make']
    assert lines[-2:] == ["ValueError: no database", "Error: 'main:make' failed while it made the app"]
    assert result.exit_code == 1


def test_any_other_error_comes_with_its_traceback(project):
    project.write(
        "main.py",
        """
        from trioframe.app.app import App
        from trioframe.errors import LocalProtocolError

        class Broken(App):
            async def serve(self, *args, **options):
                raise LocalProtocolError("a bug")

        app = Broken("shop")
        """,
    )
    result = trioframe_command("run", "main")
    assert isinstance(result.exception, LocalProtocolError)
    assert result.exit_code == 1


# --- routes, version, help --------------------------------------------------------------------------------------------


def test_routes(project):
    project.write("main.py", SHOP)
    result = trioframe_command("routes", "main")
    assert result.output.splitlines() == [
        "METHODS   PATH           NAME    HANDLER",
        "GET       /hello/<name>  hello   main.py:7",
        "GET,POST  /orders        orders  main.py:11",
    ]
    assert result.exit_code == 0


def test_routes_of_code_from_elsewhere(project):
    project.write("there/main.py", SHOP)
    project.write("here/main.py", "from there.main import app\napp.add_route(print, '/print')")
    os.chdir(project.path / "here")
    sys.path.append(str(project.path))
    result = trioframe_command("routes", "main")
    assert f"hello   {project.path / 'there' / 'main.py'}:7" in result.output
    assert result.output.splitlines()[-1].split() == ["GET", "/print", "print", "-"]


STUDIO_WITH_FEED = """
    from trioframe.app.app import App

    app = App("studio")

    @app.get("/feed")
    async def page(request): ...

    @app.websocket("/feed", host=HOSTS)
    async def feed(request, ws): ...
"""


def test_routes_of_websockets(project):
    project.write("main.py", STUDIO_WITH_FEED.replace("HOSTS", "None"))
    assert trioframe_command("routes", "main").output.splitlines() == [
        "METHODS  PATH   NAME  HANDLER",
        "GET      /feed  page  main.py:6",
        "WS       /feed  feed  main.py:9",
    ]


def test_routes_for_hosts(project):
    project.write("main.py", STUDIO_WITH_FEED.replace("HOSTS", '["a.example", "b.example:8000"]'))
    assert trioframe_command("routes", "main").output.splitlines() == [
        "METHODS  HOST                      PATH   NAME  HANDLER",
        "GET      -                         /feed  page  main.py:6",
        "WS       a.example,b.example:8000  /feed  feed  main.py:9",
    ]


def test_plan_of_websockets(project):
    project.write("main.py", STUDIO_WITH_FEED.replace("HOSTS", "None"))
    assert trioframe_command("plan", "main").output.splitlines() == [
        "GET /feed",
        "  handler  in its lifetime  page  main.py:6",
        "WS /feed",
        "  handler  of a WebSocket  feed  main.py:9",
    ]
    told = json.loads(trioframe_command("plan", "main", "--json").output)
    assert [(route["name"], route["websocket"]) for route in told["routes"]] == [("page", False), ("feed", True)]


def test_routes_of_nothing():
    assert trioframe_command("routes", "nothing").exit_code == 2


STUDIO = """
    from trioframe.app.app import App
    from trioframe.app.response import text

    app = App("studio")

    @app.before_server_start
    async def open_pool(app): ...

    @app.lifespan
    async def lights(app):
        yield

    @app.on_request
    def authenticate(request): ...

    @app.signal("http.handler.before")
    def count(request): ...

    @app.get("/")
    async def index(request):
        return text("")
"""


def test_plan(project):
    project.write("main.py", STUDIO)
    result = trioframe_command("plan", "main")
    assert result.output.splitlines() == [
        "GET /",
        "  middleware  request              authenticate  main.py:14",
        "  signal      http.handler.before  count         main.py:17",
        "  handler     in its lifetime      index         main.py:20",
        "the server",
        "  around    server.lifecycle     lights     main.py:10",
        "  listener  before_server_start  open_pool  main.py:7",
    ]
    assert result.exit_code == 0


def test_plan_for_programs(project):
    project.write("main.py", STUDIO)
    told = json.loads(trioframe_command("plan", "main", "--json").output)
    (route,) = told["routes"]
    assert (told["app"], route["methods"], route["uri"], route["name"]) == ("studio", ["GET"], "/", "index")
    assert [(step["kind"], step["at"], step["function"]) for step in route["steps"]] == [
        ("middleware", "request", "authenticate"),
        ("signal", "http.handler.before", "count"),
        ("handler", "in its lifetime", "index"),
    ]
    assert all(step["place"].startswith(f"{project.path / 'main.py'}:") for step in route["steps"] + told["server"])


def test_plan_of_mistakes(project):
    project.write("main.py", STUDIO.replace("http.handler.before", "http.handler.befor"))
    result = trioframe_command("plan", "main")
    assert "main.py:17: there is no signal 'http.handler.befor'" in result.stderr
    assert "did you mean http.handler.before" in result.stderr
    assert result.exit_code == 1


def test_version():
    assert trioframe_command("--version").output == f"trioframe, version {trioframe.__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("run", "--help"), ("routes", "-h")])
def test_help(arguments):
    result = trioframe_command(*arguments)
    assert result.output.startswith("Usage: trioframe ")
    assert result.exit_code == 0


def test_python_m_trioframe(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["-m", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("trioframe", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("trioframe, version ")


# --- the whole thing, in a process of its own -------------------------------------------------------------------------


class Process:
    """``trioframe run`` as the user starts it."""

    def __init__(self, project: Project, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trioframe", "run", "main", *options],
            cwd=project.path,
            env={**os.environ, "PYTHONPATH": str(Path(trioframe.__path__[0]).parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_it_listens(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            _, found, place = line.rstrip().partition("listening on ")
            if found:
                return place
        raise AssertionError(f"it ended with {self._process.wait()}")

    def stop(self, signum: signal.Signals) -> tuple[int, str, str]:
        """How it ended, and what it has written."""
        self._process.send_signal(signum)
        out, err = self._process.communicate()
        return self._process.returncode, out, err

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def serving(project: Project, *options: str) -> Iterator[Process]:
    project.write("main.py", SHOP)
    process = Process(project, *options)
    try:
        yield process
    finally:
        process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_asked_to_stop(project, signum):
    with serving(project, "--port", "0", "--access-log") as process:
        host, _, port = process.wait_until_it_listens().removeprefix("http://").partition(":")
        client = http.client.HTTPConnection(host, int(port))
        client.request("GET", "/hello/world")
        assert client.getresponse().read() == b"hello world"
        client.close()
        code, out, err = process.stop(signum)
    assert code == 0
    assert '"GET /hello/world HTTP/1.1" 200 ' in out
    assert "stopped" in err
    assert "Traceback" not in err


def test_it_serves_tls(project):
    authority = trustme.CA()
    trusted = authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes().decode()
    project.write("both.pem", trusted)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving(project, "--host", "127.0.0.1", "--port", "0", "--tls-cert", "both.pem") as process:
        place = process.wait_until_it_listens()
        assert place.startswith("https://127.0.0.1:")
        client = http.client.HTTPSConnection("localhost", int(place.rpartition(":")[2]), context=context)
        client.request("GET", "/hello/world")
        assert client.getresponse().read() == b"hello world"
        client.close()
        code, out, _ = process.stop(signal.SIGTERM)
    assert code == 0
    assert out == ""  # nothing is logged on stdout unless it is asked for


def test_it_serves_on_a_unix_socket_and_removes_it(project):
    with serving(project, "--unix", "app.sock") as process:
        process.wait_until_it_listens()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("app.sock")
            client.sendall(b"GET /hello/world HTTP/1.0\r\n\r\n")
            with client.makefile("rb") as answer:
                assert answer.read().endswith(b"hello world")
        assert process.stop(signal.SIGTERM)[0] == 0
    assert not (project.path / "app.sock").exists()

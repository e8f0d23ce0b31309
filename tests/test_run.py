"""An app as a program: signals, socket activation, what is shown."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from unconfigured_logging import unconfigured

from trioframe.app.signal_registry import Signals
from trioframe.config import Config
from trioframe.errors import ConfigError
from trioframe.run import log_to_terminal, run
from trioframe.server.listeners import ListenError, open_listeners

Scenario = Callable[["FakeApp"], Awaitable[None]]


class FakeApp:
    """Serves by acting out a scenario; remembers how it was asked to."""

    def __init__(self, scenario: Scenario) -> None:
        self.config = Config()
        self.asked: dict[str, Any] = {}
        self.shut_down = 0
        self.draining = trio.Event()
        self.signals = Signals(self, on_change=lambda event: None)
        self.moments: list[str] = []
        self._scenario = scenario

    async def call_listeners(self, moment: str) -> None:
        self.moments.append(moment)

    async def serve(self, host: str | None = None, port: int | None = None, **options: Any) -> None:
        self.asked = {"host": host, "port": port, **options}
        await self._scenario(self)

    def started(self, *listeners: Any) -> None:
        self.asked["task_status"].started(list(listeners))

    def shutdown(self) -> None:
        self.shut_down += 1
        self.draining.set()


async def returns(app: FakeApp) -> None:
    await trio.lowlevel.checkpoint()


def run_app(scenario: Scenario = returns, **options: Any) -> FakeApp:
    app = FakeApp(scenario)
    run(app, **options)  # type: ignore[arg-type]
    return app


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "trioframe")
    return caplog


# --- the moments of the main process ----------------------------------------------------------------------------------


async def listens(app: FakeApp) -> None:
    app.moments.append("serving")
    await app.signals.dispatch("server.init.after", {"app": app})


async def cannot_listen(app: FakeApp) -> None:
    raise ListenError("no room")


def test_the_main_process_begins_is_ready_and_ends() -> None:
    app = run_app(listens)
    assert app.moments == ["main_process_start", "serving", "main_process_ready", "main_process_stop"]
    assert not app.signals["server.init.after"].receivers


def test_what_has_begun_ends_also_if_the_server_cannot_listen() -> None:
    app = FakeApp(cannot_listen)
    with pytest.raises(ListenError, match="no room"):
        run(app)  # type: ignore[arg-type]
    assert app.moments == ["main_process_start", "main_process_stop"]


def test_listeners_that_do_not_end_are_cut_off_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Lingering(FakeApp):
        async def call_listeners(self, moment: str) -> None:
            await super().call_listeners(moment)
            if moment == "main_process_stop":
                await trio.sleep_forever()

    app = Lingering(returns)
    app.config.CANCEL_GRACE = 0.0
    run(app)  # type: ignore[arg-type]
    assert "main_process_stop listeners took longer than CANCEL_GRACE, 0.0 s" in caplog.text


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_running_requests_finish(signum, log):
    async def drain(app: FakeApp) -> None:
        app.started()
        signal.raise_signal(signum)
        await app.draining.wait()

    assert run_app(drain).shut_down == 1
    assert log.messages == [f"{signum.name}: finishing the requests that run; once more stops at once", "stopped"]


def test_the_second_signal_cancels_everything(log):
    cancelled = []

    async def hang(app: FakeApp) -> None:
        app.started()
        signal.raise_signal(signal.SIGINT)
        await app.draining.wait()
        signal.raise_signal(signal.SIGTERM)
        try:
            await trio.sleep_forever()
        except trio.Cancelled as exc:
            cancelled.append(str(exc))
            raise

    assert run_app(hang).shut_down == 1
    assert len(cancelled) == 1
    assert "SIGTERM" in cancelled[0]
    assert log.messages[-2:] == ["SIGTERM: stopping at once", "stopped"]


def test_a_third_signal_is_python_s_own_business():
    async def hang_for_good(app: FakeApp) -> None:
        app.started()
        signal.raise_signal(signal.SIGINT)
        await app.draining.wait()
        signal.raise_signal(signal.SIGINT)
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        run_app(hang_for_good)
    assert caught.group_contains(KeyboardInterrupt)


def test_a_signal_while_starting_ends_the_start(log):
    async def start_slowly(app: FakeApp) -> None:
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep_forever()

    assert run_app(start_slowly).shut_down == 0
    assert log.messages == ["SIGTERM: stopping at once", "stopped"]


def test_a_hangup_is_noted_and_nothing_else(log):
    async def go_on(app: FakeApp) -> None:
        app.started()
        signal.raise_signal(signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked()
        assert app.shut_down == 0
        signal.raise_signal(signal.SIGTERM)
        await app.draining.wait()

    assert run_app(go_on).shut_down == 1
    assert "SIGHUP: not reloading" in log.messages[0]


def test_afterwards_signals_are_as_they_were():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_app()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_elsewhere_than_in_the_main_thread():
    caught = []

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match=r"trio\.run\(app\.serve\)") as error:
            run_app()
        caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(caught) == 1


# --- what becomes of it -----------------------------------------------------------------------------------------------


def test_a_server_that_ends_by_itself_ends_the_program(log):
    run_app()
    assert log.messages == ["stopped"]


@pytest.mark.parametrize("error", [ListenError("port in use"), ExceptionGroup("several", [ValueError()])])
def test_what_it_raises_comes_out_as_it_is(error, log):
    async def fail(app: FakeApp) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_app(fail)
    assert caught.value is error
    assert log.messages == []


# --- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tls", "scheme"), [(None, "http"), (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), "https")]
)
def test_it_says_where_it_listens(log, tmp_path, monkeypatch, tls, scheme):
    monkeypatch.chdir(tmp_path)
    ports = []

    async def listen(app: FakeApp) -> None:
        (tcp,) = await open_listeners(host="127.0.0.1")
        (unix,) = await open_listeners(unix="s")
        async with tcp, unix:
            app.started(tcp, unix)
            ports.append(tcp.socket.getsockname()[1])  # type: ignore[attr-defined]

    run_app(listen, ssl=tls)
    assert log.messages == [
        f"listening on {scheme}://127.0.0.1:{ports[0]}",
        f"listening on unix:{tmp_path}/s",
        "stopped",
    ]


def test_it_listens_where_it_is_told():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    app = run_app(host="::1", port=0, ssl=context)
    del app.asked["task_status"]
    assert app.asked == {"host": "::1", "port": 0, "unix": None, "fd": None, "listeners": None, "ssl": context}
    assert run_app(unix="s").asked["unix"] == "s"
    assert run_app(fd=7).asked["fd"] == 7


ACTIVATED = """
import os, sys
from test_run import run_app

async def tell(app):
    for listener in app.asked["listeners"] or ():
        print(listener.socket.getsockname()[1])
        await listener.aclose()

os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")
run_app(tell, **eval(sys.argv[1]))
"""


@pytest.mark.parametrize(("told", "used"), [("{}", True), ("{'port': 0}", False), ("{'unix': 's'}", False)])
def test_sockets_from_systemd_are_used_unless_it_is_told_where(told, used):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [sock.getsockname()[1] for sock in (one, other)]
        # As systemd does it: the sockets are 3 and 4 in the program that starts.
        shell = f'exec 3<&{one.fileno()} 4<&{other.fileno()}; exec "$0" -c "$1" "$2"'
        outcome = subprocess.run(
            ["bash", "-c", shell, sys.executable, ACTIVATED, told],
            pass_fds=(one.fileno(), other.fileno()),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert outcome.stdout.split() == ([str(port) for port in ports] if used else [])


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "debug"),
    [({}, False), ({"dev": True}, True), ({"debug": True}, True), ({"dev": True, "debug": False}, False)],
)
def test_debug(options, debug):
    assert run_app(**options).config.DEBUG is debug


@pytest.mark.parametrize(("options", "logged"), [({}, False), ({"access_log": True}, True)])
def test_the_access_log(options, logged):
    assert run_app(**options).config.ACCESS_LOG is logged


def test_a_compiled_app_runs_if_nothing_is_changed():
    app = FakeApp(returns)
    app.config.freeze()
    run(app)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="frozen"):
        run(app, dev=True)  # type: ignore[arg-type]


def test_one_process_is_all_there_is():
    assert run_app(workers=1, single_process=True).asked
    with pytest.raises(ConfigError, match="workers cannot be 4: only 1 process is supported so far"):
        run_app(workers=4)


# --- logging ----------------------------------------------------------------------------------------------------------


def test_a_program_without_logging_shows_what_happens(capsys):
    with unconfigured():
        log_to_terminal()
        logging.getLogger("trioframe.server").info("listening")
        logging.getLogger("trioframe.server").debug("details")
        logging.getLogger("trioframe.access").info("GET / 200")
    shown = capsys.readouterr()
    assert shown.err.endswith(" INFO trioframe.server: listening\n")
    assert len(shown.err.splitlines()) == 1
    assert shown.out == "GET / 200\n"


def test_more_can_be_shown(capsys):
    with unconfigured():
        log_to_terminal(logging.DEBUG)
        logging.getLogger("trioframe.server").debug("details")
    assert "details" in capsys.readouterr().err


def test_it_is_set_up_once(capsys):
    with unconfigured() as logger:
        log_to_terminal()
        log_to_terminal()
        logger.info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_logging_that_is_configured_stays_as_it_is():
    with unconfigured() as logger:
        handler = logging.NullHandler()
        logger.addHandler(handler)
        log_to_terminal()
        assert logger.handlers == [handler]
        assert logging.getLogger("trioframe.access").propagate

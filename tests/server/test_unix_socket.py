"""Unix sockets: nothing alive is taken, nothing foreign removed, nothing of ours left behind."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from interference import interference

from trioframe.server.unix_socket import MAX_PATH, UnixListener, open_unix_listener

__all__ = ["interference"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, by a path as short as sockets need it."""
    monkeypatch.chdir(tmp_path)
    return Path()


def open_at(path: Path, mode: int | None = None) -> UnixListener:
    return open_unix_listener(str(path), mode=mode, backlog=5)


def bound(path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Another program's socket, bound but not listening."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(str(path))
    return sock


async def talk(listener: UnixListener, path: Path) -> bytes:
    """What a client that connects to `path` hears from `listener`."""
    async with await trio.open_unix_socket(str(path)) as client, await listener.accept() as stream:
        await stream.send_all(b"hello")
        return bytes(await client.receive_some())


async def test_clients_find_it_at_its_path_and_nothing_else_is_there(directory, tmp_path):
    async with open_at(directory / "app.sock") as listener:
        assert await talk(listener, directory / "app.sock") == b"hello"
        assert [path.name for path in directory.iterdir()] == ["app.sock"]
        assert listener.path == str(tmp_path / "app.sock")


async def test_its_name_goes_when_it_closes(directory):
    listener = open_at(directory / "app.sock")
    await listener.aclose()
    assert list(directory.iterdir()) == []
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


async def test_its_name_goes_when_closing_is_cancelled(directory):
    listener = open_at(directory / "app.sock")
    await trio.aclose_forcefully(listener)
    assert list(directory.iterdir()) == []
    assert listener.socket.fileno() == -1


async def test_its_name_goes_also_from_another_working_directory(directory, tmp_path, monkeypatch):
    listener = open_at(directory / "app.sock")
    monkeypatch.chdir("/")
    await listener.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_closing_is_a_checkpoint_and_can_be_repeated(directory):
    listener = open_at(directory / "app.sock")
    await listener.aclose()
    with open_at(directory / "app.sock").socket, trio.testing.assert_checkpoints():
        await listener.aclose()
        assert (directory / "app.sock").is_socket()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_its_permissions(directory, mode):
    async with open_at(directory / "app.sock", mode):
        assert stat.S_IMODE((directory / "app.sock").stat().st_mode) == mode


# --- what is already there --------------------------------------------------------------------------------------------


async def test_a_socket_that_a_crash_left_is_replaced(directory):
    path = directory / "app.sock"
    with bound(path) as crashed:
        crashed.listen()
    async with open_at(path) as listener:
        assert await talk(listener, path) == b"hello"


async def test_a_live_server_keeps_its_socket(directory):
    path = directory / "app.sock"
    async with open_at(path) as first:
        with pytest.raises(OSError, match="in use") as caught:
            open_at(path)
        assert caught.value.errno == errno.EADDRINUSE
        (await first.accept()).socket.close()  # it was asked whether it is there
        assert await talk(first, path) == b"hello"
    assert list(directory.iterdir()) == []


async def test_a_live_server_too_busy_to_accept_keeps_its_socket(directory):
    path = directory / "app.sock"
    with bound(path) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.listen(0)
        client.connect(str(path))
        with pytest.raises(OSError, match="in use"):
            open_at(path)
        assert path.is_socket()


async def test_a_live_socket_of_another_kind_is_left_alone(directory):
    path = directory / "app.sock"
    with bound(path, socket.SOCK_DGRAM), pytest.raises(OSError, match="wrong type"):
        open_at(path)
    assert path.is_socket()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("precious"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("elsewhere"),
        lambda path: os.mkfifo(path),
    ],
    ids=["file", "directory", "dangling symlink", "fifo"],
)
async def test_what_is_no_socket_is_never_touched(directory, make: Callable[[Path], object]):
    path = directory / "app.sock"
    make(path)
    before = path.lstat()
    with pytest.raises(OSError, match="socket") as caught:
        open_at(path)
    assert caught.value.errno == errno.ENOTSOCK
    assert path.lstat() == before
    assert list(directory.iterdir()) == [path]


# --- what others do meanwhile -----------------------------------------------------------------------------------------


async def test_a_newcomer_at_our_path_is_not_removed(directory):
    path = directory / "app.sock"
    ours = open_at(path)
    path.unlink()
    async with open_at(path) as newcomer:
        await ours.aclose()
        assert await talk(newcomer, path) == b"hello"


async def test_a_path_that_somebody_removed_is_nothing_to_worry_about(directory):
    listener = open_at(directory / "app.sock")
    (directory / "app.sock").unlink()
    await listener.aclose()


async def test_a_name_that_cannot_be_removed_is_reported_and_the_socket_closed(directory, caplog):
    (directory / "run").mkdir()
    listener = open_at(directory / "run" / "app.sock")
    (directory / "run").rename(directory / "moved")
    (directory / "run").write_text("a file now")
    with caplog.at_level(logging.WARNING, "trioframe.server"):
        await listener.aclose()
    assert "left behind" in caplog.text
    assert listener.socket.fileno() == -1


async def test_two_servers_starting_at_once_do_not_steal_from_each_other(directory, interference):
    path = directory / "app.sock"
    rivals: list[UnixListener] = []
    interference.when("os.link", lambda *args: rivals.append(open_at(path)))
    with pytest.raises(OSError, match="exists") as caught:
        open_at(path)
    assert caught.value.errno == errno.EEXIST
    assert list(directory.iterdir()) == [path]
    (rival,) = rivals
    async with rival:
        assert await talk(rival, path) == b"hello"


async def test_a_stale_socket_that_vanishes_while_it_is_looked_at(directory, interference):
    path = directory / "app.sock"
    bound(path).close()
    interference.when("socket.connect", lambda *args: path.unlink())
    async with open_at(path) as listener:
        assert await talk(listener, path) == b"hello"


async def test_nobody_can_connect_before_the_permissions_are_set(directory, interference):
    refused: list[OSError] = []

    def peek(first: str, *args: object) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(first)
            except OSError as exc:
                refused.append(exc)

    interference.when("os.chmod", peek)
    async with open_at(directory / "app.sock", 0o600):
        assert [exc.errno for exc in refused] == [errno.ECONNREFUSED]


# --- what cannot be ---------------------------------------------------------------------------------------------------


async def test_a_path_too_long_for_a_socket(directory):
    with pytest.raises(OSError, match="too long") as caught:
        open_at(directory / ("x" * MAX_PATH))
    assert caught.value.errno == errno.ENAMETOOLONG


async def test_a_directory_that_is_not_there(directory):
    with pytest.raises(FileNotFoundError):
        open_at(directory / "missing" / "app.sock")
    assert list(directory.iterdir()) == []

"""Listeners: every way to say where, all or nothing, and errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from interference import interference
from trio.testing import open_stream_to_socket_listener

from trioframe.server.listeners import (
    FD_ADVICE,
    TCP_ADVICE,
    UNIX_ADVICE,
    ListenError,
    describe_listener,
    explained,
    open_listeners,
)
from trioframe.server.unix_socket import UnixListener

__all__ = ["interference"]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6 = has_ipv6()
EVERYWHERE = ["0.0.0.0", "::"] if IPV6 else ["0.0.0.0"]
LOOPBACK = ["127.0.0.1", "::1"] if IPV6 else ["127.0.0.1"]


class Resolver(trio.abc.HostnameResolver):
    """Knows the addresses of any name, or the reason why it does not."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = answers

    async def getaddrinfo(  # noqa: PLR0917 - as trio has it
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        await trio.lowlevel.checkpoint()
        found = []
        for answer in self._answers:
            if isinstance(answer, Exception):
                raise answer
            found.append((socket.AF_INET, type, 0, "", (answer, port)))
        return found

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


def resolve(*answers: str | Exception) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(*answers))


@pytest.fixture
def no_leak() -> Iterator[None]:
    """Whatever the test opens is closed when it ends."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


def hosts(listeners: Sequence[Any]) -> list[str]:
    return [listener.socket.getsockname()[0] for listener in listeners]


def ports(listeners: Sequence[Any]) -> set[int]:
    return {getattr(listener, "socket", listener).getsockname()[1] for listener in listeners}


async def close(listeners: Sequence[trio.abc.AsyncResource]) -> None:
    for listener in listeners:
        await listener.aclose()


def listening(family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> socket.socket:
    """Another program's."""
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen()
    return sock


# --- TCP --------------------------------------------------------------------------------------------------------------


async def test_an_address(no_leak):
    listener: Any
    (listener,) = await open_listeners(host="127.0.0.1", port=0)
    async with listener, await open_stream_to_socket_listener(listener) as client, await listener.accept() as stream:
        await stream.send_all(b"hello")
        assert await client.receive_some() == b"hello"


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", LOOPBACK), (None, EVERYWHERE), ("", EVERYWHERE), ("0.0.0.0", ["0.0.0.0"])]
)
async def test_names_that_mean_more_than_one_address_share_one_free_port(no_leak, host, expected):
    listeners = await open_listeners(host=host, port=0)
    assert hosts(listeners) == expected
    assert len(ports(listeners)) == 1
    assert ports(listeners) != {0}
    await close(listeners)


async def test_a_port_that_was_chosen(no_leak):
    first = await open_listeners(host="127.0.0.1")
    (port,) = ports(first)
    await close(first)
    again = await open_listeners(host="localhost", port=port)
    assert ports(again) == {port}
    await close(again)


async def test_a_name_with_several_addresses(no_leak):
    resolve("127.0.0.1", "127.0.0.2", "127.0.0.1")
    listeners = await open_listeners(host="app.test")
    assert hosts(listeners) == ["127.0.0.1", "127.0.0.2"]
    assert len(ports(listeners)) == 1
    await close(listeners)


async def test_an_address_this_machine_does_not_have_is_passed_over_if_there_is_another(no_leak):
    resolve("192.0.2.1", "127.0.0.1")
    listeners = await open_listeners(host="app.test")
    assert hosts(listeners) == ["127.0.0.1"]
    await close(listeners)


async def test_a_free_port_taken_in_the_second_family_is_another_port_s_chance(no_leak, interference):
    taken: list[socket.socket] = []

    def take(_: socket.socket, address: tuple[str, int]) -> None:
        taken.append(listening(address=address))

    interference.when("socket.bind", take, match=lambda _, address: address[0] == "127.0.0.2")
    resolve("127.0.0.1", "127.0.0.2")
    listeners = await open_listeners(host="app.test", port=0)
    assert len(ports(listeners)) == 1
    assert ports(taken) != ports(listeners)
    await close(listeners)
    taken[0].close()


async def test_when_no_port_is_free_in_all_families(no_leak):
    resolve("127.0.0.1", "0.0.0.0")  # the second always meets the first
    with pytest.raises(ListenError) as caught:
        await open_listeners(host="app.test", port=0)
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_port_in_use(no_leak):
    with listening() as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            await open_listeners(host="127.0.0.1", port=port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: "
        "another program listens there: stop it, or choose another port (0 takes any that is free)"
    )
    assert caught.value.errno == errno.EADDRINUSE
    assert isinstance(caught.value.__cause__, OSError)


async def test_all_or_nothing(no_leak):
    resolve("127.0.0.1", "127.0.0.2")
    with listening(address=("127.0.0.2", 0)) as other, pytest.raises(ListenError, match=r"127\.0\.0\.2"):
        await open_listeners(host="app.test", port=other.getsockname()[1])


async def test_no_address_of_this_machine(no_leak):
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:0: this machine has no such address"):
        await open_listeners(host="192.0.2.1")


@pytest.mark.parametrize("port", [-1, 65536])
async def test_no_port(port):
    with pytest.raises(ListenError, match="a port is a number from 0 to 65535"):
        await open_listeners(port=port)


async def test_a_host_that_has_no_address():
    resolve(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    with pytest.raises(ListenError, match=r"host 'typo\.test': it has no address that can be found.*not known"):
        await open_listeners(host="typo.test")


async def test_a_host_that_cannot_be_one():
    with pytest.raises(ListenError, match="it has no address that can be found"):
        await open_listeners(host="a" * 64 + ".test")


async def test_cancelled_before_anything_is_open(no_leak):
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_listeners(host="localhost")
    assert scope.cancelled_caught


# --- Unix sockets -----------------------------------------------------------------------------------------------------


async def test_a_unix_socket_goes_before_host_and_port(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (listener,) = await open_listeners(host="127.0.0.1", port=80, unix=Path("s"), mode=0o600)
    async with listener:
        assert isinstance(listener, UnixListener)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


async def test_a_short_queue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (listener,) = await open_listeners(unix="s", backlog=1)
    async with listener:
        with contextlib.ExitStack() as clients:
            refused = 0
            for _ in range(5):
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                refused += client.connect_ex("s") == errno.EAGAIN
        assert refused


async def test_a_path_in_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with listening(socket.AF_UNIX, "s"), pytest.raises(ListenError) as caught:
        await open_listeners(unix="s")
    assert str(caught.value) == (
        "cannot listen on unix:s: another program listens there: stop it, or choose another path"
    )
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_path_that_cannot_be_one():
    with pytest.raises(ListenError, match="null byte") as caught:
        await open_listeners(unix="a\0b")
    assert caught.value.errno is None


# --- inherited file descriptors ---------------------------------------------------------------------------------------


async def test_an_inherited_socket_goes_before_all_that_would_open_one(no_leak):
    inherited = listening()
    address = inherited.getsockname()
    (listener,) = await open_listeners(fd=inherited.detach(), unix="s", host="0.0.0.0", port=80)
    assert hosts([listener]) == [address[0]]
    await close([listener])


async def test_its_family_is_found_out(no_leak, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inherited = listening(socket.AF_UNIX, "s")
    (listener,) = await open_listeners(fd=inherited.detach())
    async with listener, await trio.open_unix_socket("s") as client, await listener.accept() as stream:
        await stream.send_all(b"hello")
        assert await client.receive_some() == b"hello"
    assert (tmp_path / "s").is_socket()  # made by somebody else, to be removed by somebody else


async def test_several(no_leak):
    inherited = [listening(), listening(address=("127.0.0.2", 0))]
    listeners = await open_listeners(fd=[sock.detach() for sock in inherited])
    assert hosts(listeners) == ["127.0.0.1", "127.0.0.2"]
    await close(listeners)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: socket.socket(), "its socket does not listen: call listen"),
        (lambda: socket.socket(type=socket.SOCK_DGRAM), "it is not a stream socket"),
        (tempfile.TemporaryFile, "it is not a socket"),
    ],
    ids=["not listening", "datagrams", "a file"],
)
async def test_what_is_not_a_listening_stream_socket_is_refused_and_left_as_it_was(no_leak, make, why):
    with make() as wrong:
        fd = wrong.fileno()
        blocking = os.get_blocking(fd)
        with pytest.raises(ListenError, match=f"cannot listen on file descriptor {fd}: {why}"):
            await open_listeners(fd=fd)
        assert os.get_blocking(fd) == blocking


@pytest.mark.parametrize(("fd", "why"), [(9999, "no such file open"), (-1, "negative")])
async def test_what_is_not_even_open(fd, why):
    with pytest.raises(ListenError, match=why):
        await open_listeners(fd=fd)


async def test_one_refused_closes_the_others(no_leak):
    good = listening()
    with socket.socket() as wrong, pytest.raises(ListenError):
        await open_listeners(fd=[good.detach(), wrong.fileno()])


async def test_a_system_that_does_not_tell_whether_a_socket_listens_is_believed(no_leak, monkeypatch):
    # As macOS: the option is known but getsockopt refuses it.
    inherited = listening()
    monkeypatch.setattr(socket, "SO_ACCEPTCONN", 0x7FFF)
    (listener,) = await open_listeners(fd=inherited.detach())
    await close([listener])


# --- open already -----------------------------------------------------------------------------------------------------


async def test_open_listeners_go_before_everything():
    given = await open_listeners(host="127.0.0.1")
    assert await open_listeners(listeners=given, fd=9999, unix="s", port=80) == given
    await close(given)


async def test_it_is_always_a_checkpoint():
    with trio.testing.assert_checkpoints():
        await open_listeners(listeners=[])


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("advice", [TCP_ADVICE, UNIX_ADVICE, FD_ADVICE], ids=["tcp", "unix", "fd"])
def test_every_expected_error_has_its_advice(advice: Mapping[int, str]):
    for number, words in advice.items():
        with pytest.raises(ListenError) as caught, explained("there", advice):
            raise OSError(number, os.strerror(number))
        assert str(caught.value) == f"cannot listen on there: {words}"
        assert caught.value.errno == number


def test_a_privileged_port():
    with pytest.raises(ListenError, match="ports below 1024 are reserved"), explained("0.0.0.0:80", TCP_ADVICE):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory"), (OSError("odd"), "odd")],
)
def test_an_unexpected_error_is_told_in_the_words_of_the_system(error, words):
    with pytest.raises(ListenError, match=f"^cannot listen on there: {words}$"), explained("there", TCP_ADVICE):
        raise error


async def test_where_a_listener_listens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for family, address, expected in [
        (socket.AF_INET, ("127.0.0.1", 0), "127.0.0.1:{}"),
        *[(socket.AF_INET6, ("::1", 0), "[::1]:{}")] * IPV6,
        (socket.AF_UNIX, "inherited", "unix:inherited"),
    ]:
        sock = listening(family, address)
        (listener,) = await open_listeners(fd=sock.detach())
        assert describe_listener(listener) == expected.format(listener.socket.getsockname()[1])  # type: ignore[attr-defined]
        await close([listener])
    (listener,) = await open_listeners(unix="ours")
    assert describe_listener(listener) == f"unix:{tmp_path}/ours"
    await close([listener])


def test_a_listener_of_another_kind_describes_itself():
    class InMemory(trio.abc.Listener[trio.abc.Stream]):
        accept = aclose = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            return "<in memory>"

    assert describe_listener(InMemory()) == "<in memory>"

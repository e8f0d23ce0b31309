"""Socket activation: taken once, by the process it is meant for."""

from __future__ import annotations

import os

import pytest

from trioframe.server.listeners import ListenError
from trioframe.server.systemd import take_listen_fds


@pytest.fixture
def third_fd():
    """File descriptor 3, the first that systemd passes on; open, whatever the process had there."""
    spare = [os.open(os.devnull, os.O_RDONLY)]
    while spare[-1] < 3:
        spare.append(os.open(os.devnull, os.O_RDONLY))
    os.fstat(3)
    yield 3
    for fd in spare:
        os.close(fd)


def activation(fds: object, pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_FDS": str(fds), "LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDNAMES": "web", "HOME": "/"}


def test_a_process_started_in_another_way_gets_none():
    environ = {"HOME": "/"}
    assert take_listen_fds(environ) == []
    assert environ == {"HOME": "/"}


def test_what_is_meant_for_another_process_stays_for_it():
    environ = activation(1, pid=os.getppid())
    assert take_listen_fds(environ) == []
    assert environ == activation(1, pid=os.getppid())


def test_they_are_taken_once_and_not_passed_on(third_fd):
    environ = activation(1)
    assert take_listen_fds(environ) == [third_fd]
    assert not os.get_inheritable(third_fd)
    assert environ == {"HOME": "/"}
    assert take_listen_fds(environ) == []


@pytest.mark.parametrize("count", ["", "two", "-1"])
def test_what_is_not_a_number(count):
    with pytest.raises(ListenError, match=f"LISTEN_FDS is '{count}', not a number"):
        take_listen_fds(activation(count))


def test_more_than_there_are():
    with pytest.raises(ListenError, match="not all of those file descriptors are open"):
        take_listen_fds(activation(10**9))

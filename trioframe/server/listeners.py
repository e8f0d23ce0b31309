"""Listeners: from what a user says - a host and a port, a path, a file descriptor - to sockets that accept.

Rules of this file:

* All or nothing.  What can wait, and so can be cancelled, comes first (finding the addresses of a host); what opens
  sockets never waits, and closes them again if a later one fails.
* A port of 0 is one port: every family gets the same.
* Errors of the system become a `ListenError` that says what to do.  The tables below hold the words.

It must not know TLS (a handshake belongs to the task of its connection) nor who will accept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import trio

from ..errors import TrioframeError
from .unix_socket import MAX_PATH, UnixListener, open_unix_listener

__all__ = ["ListenError", "Listener", "describe_listener", "explained", "open_listeners"]

Listener = trio.abc.Listener[trio.abc.Stream]
Address = tuple[int, tuple[Any, ...]]  # a family, and what `bind` takes

# Names that mean both families.  RFC 6761 section 6.3: "localhost" is the loopback, whatever a resolver says.
_EVERYWHERE = ("0.0.0.0", "::")
_NAMES: Mapping[str | None, tuple[str, ...]] = {
    None: _EVERYWHERE,
    "": _EVERYWHERE,
    "localhost": ("127.0.0.1", "::1"),
}

# How many ports of the first family are tried until the other families have the same one free.
_PORT_ATTEMPTS = 16

# As large as the system has: larger values are cut by the kernel, beyond 16 bits some count from 0 again.
_MAX_BACKLOG = 0xFFFF

# On Windows SO_REUSEADDR lets a second server take the port; elsewhere it only lets a restarted one have it back.
_REUSE = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)

# This machine, or its kernel, lacks such addresses; most often it has no IPv6.
_NO_SUCH_ADDRESS = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

_FORBIDDEN_PORT = (
    "not permitted, as ports below 1024 are reserved: choose one above, let systemd open the socket, or give the "
    "program the capability CAP_NET_BIND_SERVICE"
)
TCP_ADVICE: Mapping[int, str] = {
    errno.EADDRINUSE: "another program listens there: stop it, or choose another port (0 takes any that is free)",
    errno.EACCES: _FORBIDDEN_PORT,
    errno.EPERM: _FORBIDDEN_PORT,
    errno.EADDRNOTAVAIL: "this machine has no such address: choose one it has, or an empty host for all of them",
    errno.EAFNOSUPPORT: "this machine has no addresses of that family: choose another host",
}
_FORBIDDEN_PATH = "not permitted: the directory, and a socket that is there, must be writable for this user"
_NO_DIRECTORY = "there is no such directory: make it first"
UNIX_ADVICE: Mapping[int, str] = {
    errno.EADDRINUSE: "another program listens there: stop it, or choose another path",
    errno.EEXIST: "another program has just begun to listen there: stop it, or choose another path",
    errno.ENOTSOCK: "there is a file that is not a socket, and it was left alone: remove it, or choose another path",
    errno.ENAMETOOLONG: f"the path is too long, as a socket has room for about {MAX_PATH} bytes: choose a shorter one",
    errno.EACCES: _FORBIDDEN_PATH,
    errno.EPERM: _FORBIDDEN_PATH,
    errno.ENOENT: _NO_DIRECTORY,
    errno.ENOTDIR: _NO_DIRECTORY,
}
FD_ADVICE: Mapping[int, str] = {
    errno.EBADF: "this process has no such file open: whoever starts it must pass the descriptor on",
    errno.ENOTSOCK: "it is not a socket: pass the descriptor of a listening socket",
    errno.EPROTOTYPE: "it is not a stream socket: pass one of type SOCK_STREAM",
    errno.EINVAL: "its socket does not listen: call listen() before passing it on",
}


class ListenError(TrioframeError):
    """A listener could not be opened; the message says what to do.

    Parameters:
      errno: the system's error number, None if it was not the system that refused.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


@contextlib.contextmanager
def explained(where: str, advice: Mapping[int, str]) -> Iterator[None]:
    """Turn an `OSError`, or the `ValueError` of an impossible address, into a `ListenError` about `where`."""
    try:
        yield
    except (OSError, ValueError) as exc:
        number = exc.errno if isinstance(exc, OSError) else None
        words = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise ListenError(f"cannot listen on {where}: {advice.get(number or 0, words)}", number) from exc


async def open_listeners(
    *,
    host: str | None = None,
    port: int = 0,
    unix: str | os.PathLike[str] | None = None,
    mode: int | None = None,
    fd: int | Sequence[int] | None = None,
    listeners: Sequence[Listener] | None = None,
    backlog: int | None = None,
) -> list[Listener]:
    """Open what is asked for: `listeners` if given, else `fd`, else `unix`, else TCP on `host` and `port`.

    Parameters:
      host: a name or an address of this machine; "localhost" is both its loopback addresses, None or "" are all
        interfaces, each in IPv4 and IPv6 as far as the machine has them.
      port: 0 to 65535; 0 takes one that is free in all families.
      unix: the path of a Unix socket; see `unix_socket` for what it replaces and when it is removed.
      mode: the permissions of that socket, such as 0o660; None leaves them to the umask.
      fd: listening stream sockets, of any family, that this process inherited.  They are ours from now on; if one of
        them is refused, it is left as it was.
      listeners: already open; returned as they are.
      backlog: how many connections wait to be accepted; None is as many as the system allows.

    Raises:
      ListenError: one of them cannot be opened.

    If it raises or is cancelled, nothing that it opened stays open.
    """
    await trio.lowlevel.checkpoint()
    queue = _MAX_BACKLOG if backlog is None else min(backlog, _MAX_BACKLOG)
    if listeners is not None:
        return list(listeners)
    if fd is not None:
        return _wrap(_inherit_all([fd] if isinstance(fd, int) else fd))
    if unix is not None:
        path = os.fspath(unix)
        with explained(f"unix:{path}", UNIX_ADVICE):
            return [open_unix_listener(path, mode=mode, backlog=queue)]
    return _wrap(_open_tcp(await _find_addresses(host, port), queue))


def describe_listener(listener: Listener) -> str:
    """Where `listener` listens: ``127.0.0.1:8000``, ``[::1]:8000``, ``unix:/run/app.sock``, or what it calls itself."""
    if isinstance(listener, UnixListener):
        return f"unix:{listener.path}"
    if isinstance(listener, trio.SocketListener):
        return _describe_address(listener.socket.getsockname())
    return repr(listener)


def _describe_address(address: Any) -> str:
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wrap(sockets: Sequence[socket.socket]) -> list[Listener]:
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]


# ---------------------------------------------------------------- TCP


async def _find_addresses(host: str | None, port: int) -> list[Address]:
    if not 0 <= port <= 65535:
        raise ListenError(f"cannot listen on port {port}: a port is a number from 0 to 65535")
    found: dict[Address, None] = {}
    for name in _NAMES.get(host, (host,)):
        try:
            results = await trio.socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, ValueError) as exc:
            raise ListenError(
                f"cannot listen on host {host!r}: it has no address that can be found ({exc}): choose an address of "
                "this machine, 'localhost', or an empty host for all interfaces"
            ) from exc
        found.update({(family, address): None for family, _, _, _, address in results})
    return list(found)


def _open_tcp(addresses: Sequence[Address], backlog: int) -> list[socket.socket]:
    """A socket for each address that this machine has, all on one port."""
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return _bind_all(addresses, backlog)
        except ListenError as exc:
            _, (_, port, *_) = addresses[0]
            if exc.errno != errno.EADDRINUSE or port != 0:
                raise
    return _bind_all(addresses, backlog)


def _bind_all(addresses: Sequence[Address], backlog: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: list[ListenError] = []
    chosen = 0
    with contextlib.ExitStack() as undo:
        for family, (host, port, *rest) in addresses:
            address = (host, port or chosen, *rest)
            try:
                with explained(_describe_address(address), TCP_ADVICE):
                    sock = _bind(family, address, backlog)
            except ListenError as exc:
                if exc.errno not in _NO_SUCH_ADDRESS:
                    raise
                missing.append(exc)
                continue
            sockets.append(undo.enter_context(sock))
            chosen = sock.getsockname()[1]
        if not sockets:
            raise missing[0]
        undo.pop_all()
    return sockets


def _bind(family: int, address: tuple[Any, ...], backlog: int) -> socket.socket:
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, _REUSE, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own; without this `::` would take its port too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
        undo.pop_all()
    return sock


# ---------------------------------------------------------------- inherited


def _inherit_all(fds: Sequence[int]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        sockets = []
        for fd in fds:
            with explained(f"file descriptor {fd}", FD_ADVICE):
                sockets.append(undo.enter_context(_inherit(fd)))
        undo.pop_all()
    return sockets


def _inherit(fd: int) -> socket.socket:
    """The socket of `fd`; raises `OSError` and leaves it as it was if it is not a listening stream socket."""
    sock = socket.socket(fileno=fd)
    listening: object = True
    with contextlib.suppress(OSError):  # macOS does not tell; then it has to be believed
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    refusal = errno.EPROTOTYPE if sock.type != socket.SOCK_STREAM else errno.EINVAL if not listening else 0
    if refusal:
        sock.detach()
        raise OSError(refusal, os.strerror(refusal))
    return sock

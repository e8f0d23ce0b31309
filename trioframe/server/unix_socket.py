"""Unix sockets: a name in the file system that does not lie about who is behind it.

`bind(2)` makes a file that outlives its socket, so a server must clear away what a crash has left, and nothing else.
Rules of this file:

* A socket that somebody listens on is never taken, a file that is no socket never touched; a socket that nobody listens
  on is replaced.
* Whoever finds the name finds a server: the socket is bound, given its mode and listening under a first name of its
  own, and only then published by `link(2)`, which never replaces anything.  (`getsockname`, and programs that list
  sockets, go on showing the first name: ``.NAME.1f3a``.)
* The name is removed when the listener closes, but only while it still is our socket, by device and inode.  What
  remains is the instant between comparing and removing, which POSIX has no way to close.

Errors are plain `OSError`; `listeners` puts them into words.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import socket
import stat

import trio

__all__ = ["MAX_PATH", "UnixListener", "open_unix_listener"]

logger = logging.getLogger("trioframe.server")

# The address of a Unix socket is a small fixed array: 108 bytes on Linux, 104 on BSD and macOS, with a zero at the end.
MAX_PATH = 103

Identity = tuple[int, int]


class UnixListener(trio.abc.Listener[trio.SocketStream]):
    """A listener on a Unix socket that removes its name when it closes.

    Attributes:
      socket: the listening Trio socket.
      path: where it was published; absolute, as the working directory may change.
    """

    def __init__(self, sock: socket.socket, path: str, identity: Identity) -> None:
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        self._identity = identity
        self.socket = self._listener.socket
        self.path = os.path.abspath(path)

    async def accept(self) -> trio.SocketStream:
        """The next connection; raises as `trio.SocketListener.accept`."""
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Remove the name and close the socket, also if cancelled.  Closing again does nothing."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """`aclose` without the checkpoint."""
        # Once a socket is closed the number of its inode can be used again: the name goes first, and only once.
        if self.socket.fileno() == -1:
            return
        try:
            _remove(self.path, self._identity)
        except OSError as exc:
            logger.warning("the socket file is left behind: %s", exc)
        finally:
            self.socket.close()


def open_unix_listener(path: str, *, mode: int | None, backlog: int) -> UnixListener:
    """Listen at `path`.

    Parameters:
      mode: the permissions of the socket, such as 0o660; None leaves them to the umask.
      backlog: how many connections wait to be accepted.

    Raises:
      OSError: EADDRINUSE (somebody listens there), ENOTSOCK (a file that is no socket), EEXIST (somebody else came
        first just now), ENAMETOOLONG, or what the system says.  Nothing is left behind.
    """
    directory, name = os.path.split(path)
    first = os.path.join(directory, f".{name}.{secrets.token_hex(2)}")
    if len(os.fsencode(first)) > MAX_PATH:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    _clear(path)
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.bind(first)
        try:
            if mode is not None:
                os.chmod(first, mode)
            sock.listen(backlog)
            identity = _identity(first)
            os.link(first, path)
        finally:
            os.unlink(first)
        undo.pop_all()
        return UnixListener(sock, path, identity)


def _clear(path: str) -> None:
    """Remove a socket at `path` that nobody listens on; raises `OSError` if there is anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), path)
    if _is_listened_on(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    _remove(path, (found.st_dev, found.st_ino))


def _is_listened_on(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # its backlog is full
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True


def _identity(path: str) -> Identity:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _remove(path: str, identity: Identity) -> None:
    """Remove the file at `path` if it is the one of `identity`."""
    with contextlib.suppress(FileNotFoundError):
        if _identity(path) == identity:
            os.unlink(path)

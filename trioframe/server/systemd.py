"""Socket activation: systemd opens the sockets and starts the program with them (sd_listen_fds(3)).

The sockets are the file descriptors from 3 on; ``LISTEN_FDS`` says how many, ``LISTEN_PID`` for which process they are
meant.  Rules of this file: what is meant for another process is none of ours, and what has been taken is not offered
again, neither to children nor to a second caller.

It must not know what the sockets are; `listeners` looks at them.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from .listeners import ListenError

__all__ = ["take_listen_fds"]

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def take_listen_fds(environ: MutableMapping[str, str] = os.environ) -> list[int]:
    """The file descriptors that systemd has opened for this process; none if it was not started by a socket.

    The variables are removed from `environ` and the descriptors are no longer inherited by children.

    Raises:
      ListenError: the variables are meant for us and make no sense.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    for name in _VARIABLES:
        environ.pop(name, None)
    if not count.isdecimal():
        raise ListenError(f"socket activation: LISTEN_FDS is {count!r}, not a number of file descriptors")
    fds = range(_FIRST_FD, _FIRST_FD + int(count))
    try:
        for fd in fds:
            os.set_inheritable(fd, False)
    except OSError as exc:
        raise ListenError(
            f"socket activation: LISTEN_FDS is {count} but not all of those file descriptors are open", exc.errno
        ) from exc
    return list(fds)

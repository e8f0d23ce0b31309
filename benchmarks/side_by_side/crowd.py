"""What a server keeps in memory for each of many connections that do nothing.

The first few are not counted, as what is loaded and allocated once is no cost of a connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from attacks.target import Target

from .workload import Server

__all__ = ["memory_of_each"]

FIRST = 20
SETTLING = 0.5  # seconds
ASKED_AGAIN = 50


def memory_of_each(
    server: Server, number: int, connect: Callable[[int], socket.socket], ask: Callable[[socket.socket], None]
) -> float:
    """Resident bytes for each of so many.

    Parameters:
      connect: to that port, and asks once.
      ask: raises if the server has closed the connection, and so saved its memory.
    """
    process = Target("127.0.0.1", server.port, server.pid)
    with ExitStack() as stack:
        for _ in range(FIRST):
            stack.enter_context(connect(server.port))
        before = process.memory()
        connections = [stack.enter_context(connect(server.port)) for _ in range(number)]
        time.sleep(SETTLING)
        after = process.memory()
        for connection in connections[:: max(1, number // ASKED_AGAIN)]:
            ask(connection)
    return (after - before) * 1024 * 1024 / number

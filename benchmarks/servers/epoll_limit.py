"""A physical limit: the fastest that a Python program can answer HTTP under Trio's scheduler, with no HTTP at all.

    python epoll_limit.py PORT

As `stream_limit`, but every socket is registered once, edge-triggered, with one epoll.  A connection's task tries
first, and parks when the kernel has nothing for it; one task waits with Trio for the epoll and wakes the others.  It
is the yardstick for `trioframe.server.reactor`, so it is as lean as it can be: it bounds nothing, is fair to nobody,
takes a read that was short to have emptied the socket (epoll(7)), and so does not see a FIN that came with a request.
"""

from __future__ import annotations

import select
import socket
import sys
from contextlib import suppress

import trio
from plain_answer import ANSWER
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_readable, wait_task_rescheduled

SIZE = 65536
EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

epoll = select.epoll()
parked: dict[int, Task] = {}


async def serve(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake)
        while True:
            await wait_readable(listener)
            with suppress(BlockingIOError):  # the client has left again
                nursery.start_soon(connection, listener.accept()[0])


async def wake() -> None:
    while True:
        await wait_readable(epoll.fileno())
        for fileno, _ in epoll.poll(0, 1024):
            if (task := parked.pop(fileno, None)) is not None:
                reschedule(task)


async def connection(sock: socket.socket) -> None:
    sock.setblocking(False)
    fileno, task = sock.fileno(), current_task()

    def abort(_: object) -> Abort:
        del parked[fileno]
        return Abort.SUCCEEDED

    with sock, suppress(ConnectionError):
        epoll.register(fileno, EVENTS)
        while True:
            try:
                data = sock.recv(SIZE)
            except BlockingIOError:
                data = b""
            else:
                if not data:
                    return
            unsent = ANSWER * data.count(b"\r\n\r\n")
            while unsent:
                try:
                    unsent = unsent[sock.send(unsent) :]
                except BlockingIOError:
                    parked[fileno] = task
                    await wait_task_rescheduled(abort)
            if len(data) < SIZE:
                parked[fileno] = task
                await wait_task_rescheduled(abort)


if __name__ == "__main__":
    trio.run(serve, int(sys.argv[1]))

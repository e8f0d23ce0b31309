"""A physical limit: the fastest that Trio's own streams can answer HTTP, with no HTTP at all.

    python stream_limit.py PORT

The same bytes are sent for every empty line that comes in.  Nothing is parsed, checked, dispatched or timed; whatever
a server on `trio.SocketStream` does beyond this makes it slower than this.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial

import trio
from plain_answer import ANSWER


async def answer(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):  # reset, as a load does at its end
        while data := await stream.receive_some(65536):
            await stream.send_all(ANSWER * data.count(b"\r\n\r\n"))


if __name__ == "__main__":
    trio.run(partial(trio.serve_tcp, answer, int(sys.argv[1]), host="127.0.0.1"))

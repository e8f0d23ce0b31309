"""What the page "What happens to a request" tells is what happens: its program is run, and each of its cases played.

A case is a heading of the page with a block of text: the signals of one connection and what stands between them, in
order.  Each has a player here, who sends what the case tells of.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked
from upgrading import opening
from written_frames import CLOSE, TEXT, frame

from trioframe.app.reserved import RESERVED
from trioframe.testing import Peer, connect

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "guide" / "what-happens.md").read_text(encoding="utf-8")
PICTURE = runpy.run_path(str(DOCS / "request_picture.py"))

PROGRAM, AROUND, WEBSOCKETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CASES = {
    heading: block.splitlines()
    for heading, block in re.findall(
        r"^### ([^\n]+)\n(?:(?!^###? ).)*?^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )
}
ENDS = ("http.lifecycle.complete", "http.lifecycle.exception", "http.lifecycle.cancelled")

Note = Callable[[str], object]
Player = Callable[[Peer, Note], Awaitable[object]]


def ask(request: str, status: int) -> Player:
    """Sends a request, and waits for an answer with this status."""
    line, _, body = request.partition("\n")
    head = f"{line} HTTP/1.1\r\nHost: a\r\n" + (f"Content-Length: {len(body)}\r\n" if body else "")

    async def play(peer: Peer, note: Note) -> None:
        await peer.send(f"{head}\r\n{body}".encode())
        assert (await peer.receive_response()).status == status

    return play


async def leave(peer: Peer, note: Note) -> None:
    await peer.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await wait_all_tasks_blocked()
    note("(the client leaves)")
    await peer.disconnect()
    await wait_all_tasks_blocked()


async def ask_twice(peer: Peer, note: Note) -> None:
    await ask("GET /", 200)(peer, note)
    await ask("GET /", 200)(peer, note)


async def open_websocket(peer: Peer, path: str) -> None:
    await peer.send(opening(path))
    assert (await peer.receive_head()).status == 101
    await wait_all_tasks_blocked()


async def close(peer: Peer, code: int) -> None:
    """Send a close frame, and see that the server has sent one."""
    payload = code.to_bytes(2)
    await peer.send(frame(CLOSE, payload))
    assert await peer.receive_until_close() == frame(CLOSE, payload, key=None)


async def talk(peer: Peer, note: Note) -> None:
    await open_websocket(peer, "/feed")
    await peer.send(frame(TEXT, b"hello"))
    await close(peer, 1000)


async def ask_for_websocket(peer: Peer, note: Note) -> None:
    await peer.send(opening("/closed"))
    assert (await peer.receive_response()).status == 403


async def be_closed(peer: Peer, note: Note) -> None:
    await open_websocket(peer, "/fragile")
    await close(peer, 1011)


async def get_lost(peer: Peer, note: Note) -> None:
    await open_websocket(peer, "/sleepy")
    note("(the client leaves)")
    peer.reset()
    await wait_all_tasks_blocked()


PLAYERS: dict[str, Player] = {
    "A plain GET": ask("GET /", 200),
    "A POST with a body": ask("POST /echo\nhello", 200),
    "A stream from an async generator": ask("GET /generated", 200),
    "A stream by request.respond": ask("GET /responded", 200),
    "Request middleware answers": ask("GET /?key=wrong", 403),
    "The handler raises": ask("GET /broken", 500),
    "No route": ask("GET /nowhere", 404),
    "The time is up": ask("GET /slow", 503),
    "The client leaves": leave,
    "Two requests on one connection": ask_twice,
    "With all that can stand around": ask("POST /echo\nhello", 200),
    "A stream, with middleware around": ask("GET /generated", 200),
    "A WebSocket that the client closes": talk,
    "The handler refuses a WebSocket": ask_for_websocket,
    "The handler of a WebSocket raises": be_closed,
    "The client of a WebSocket is lost": get_lost,
}


def program(case: str) -> dict[str, Any]:
    """The names of the page's program as the case wants it: `app`, and what it has `seen`."""
    names: dict[str, Any] = {}
    exec(compile(PROGRAM, PAGE, "exec", dont_inherit=True), names)
    for part, word in ((AROUND, "around"), (WEBSOCKETS, "WebSocket")):
        if word in case:
            exec(compile(part, PAGE, "exec", dont_inherit=True), names)
    return names


def test_every_case_of_the_page_has_a_player():
    assert list(CASES) == list(PLAYERS)


@pytest.mark.parametrize("case", CASES)
async def test_a_case_happens_as_the_page_tells(case, autojump_clock):
    names = program(case)
    seen = names["seen"]
    async with connect(names["app"]) as peer:
        await PLAYERS[case](peer, seen.append)
    assert seen == CASES[case]


@pytest.mark.parametrize("case", CASES)
def test_each_request_begins_once_and_ends_once(case):
    signals = [line.split()[0] for line in CASES[case]]
    ends = sum(signals.count(end) for end in ENDS)
    assert ends == signals.count("http.lifecycle.begin") == (2 if case.startswith("Two") else 1)


def test_the_picture_is_what_happens_with_all_that_can_stand_around():
    way = list(PICTURE["lines"](PICTURE["WAY"]))
    assert way == CASES["With all that can stand around"]


def test_the_picture_has_each_signal_of_a_request_in_the_order_of_the_table():
    way = dict.fromkeys(line.strip() for line in PICTURE["lines"](PICTURE["WAY"]))
    *stations, end = [step for step in way if step in RESERVED]
    assert [*stations, *PICTURE["INSTEAD"], end] == [name for name in RESERVED if name.startswith("http.")]

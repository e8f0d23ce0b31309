"""A chat room: open http://127.0.0.1:8000/ in two windows.

Everybody gets what anybody says, in the same order, and nobody waits for anybody.  Each member has a queue, which is
filled without waiting, and a task of his own sends what is in it.  Who reads so slowly that his queue is full is closed
with the code 4000, and may come again; the others notice nothing of it but that he has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trioframe import App, HTTPError, Request, Response, WebSocket, html

QUEUE_SIZE = 64  # messages that may wait for one member
TOO_SLOW = 4000  # codes from 4000 on are the application's own

app = App("chat")


class Member:
    """Somebody in the room."""

    def __init__(self) -> None:
        self._put, self._take = trio.open_memory_channel[str](QUEUE_SIZE)
        self._too_slow = trio.Event()

    def tell(self, message: str) -> None:
        """Let him have a message, if there is room; a queue that was full once takes no more."""
        if not self._too_slow.is_set():
            try:
                self._put.send_nowait(message)
            except trio.WouldBlock:
                self._too_slow.set()

    async def send_messages(self, ws: WebSocket) -> None:
        async for message in self._take:
            await ws.send(message)

    async def drop_if_too_slow(self, ws: WebSocket) -> None:
        await self._too_slow.wait()
        await ws.close(TOO_SLOW, "too slow")  # waits for no more than WEBSOCKET_CLOSE_TIMEOUT


class Room:
    """Who is here.  Nothing in it waits, so nobody comes, goes or speaks while somebody is told of another."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def tell(self, message: str) -> None:
        for member in self._members.values():
            member.tell(message)

    @contextmanager
    def joined(self, name: str) -> Iterator[Member]:
        if name in self._members:
            raise HTTPError(409, f"somebody is called {name} already")
        self._members[name] = member = Member()
        self.tell(f"{name} is here")
        try:
            yield member
        finally:  # however it ends: closed, lost, dropped, or cancelled
            del self._members[name]
            self.tell(f"{name} has left")


room = Room()


@app.websocket("/chat/<name>", max_size=4096)
async def chat(request: Request, ws: WebSocket, name: str) -> None:
    with room.joined(name) as member:  # not accepted yet: who cannot join is answered in HTTP
        async with trio.open_nursery() as nursery:
            nursery.start_soon(member.send_messages, ws)
            nursery.start_soon(member.drop_if_too_slow, ws)
            async for message in ws:
                room.tell(f"{name}: {message if isinstance(message, str) else '(no text)'}")
            nursery.cancel_scope.cancel()


@app.get("/")
async def index(request: Request) -> Response:
    return html(PAGE)


PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<form><input autofocus placeholder="your name"> <button>Say</button></form>
<pre></pre>
<script>
  const input = document.querySelector("input");
  const show = (line) => document.querySelector("pre").append(line + "\\n");
  let socket = null;

  function join(name) {
    socket = new WebSocket(`${location.origin.replace("http", "ws")}/chat/${encodeURIComponent(name)}`);
    socket.onopen = () => { input.placeholder = "your words"; };
    socket.onmessage = (event) => show(event.data);
    socket.onclose = (event) => {
      show(event.code === 4000 ? "You were too slow." : `You are not in the room (${event.code}).`);
      input.placeholder = "your name";
      socket = null;
    };
  }

  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    if (socket === null) join(input.value);
    else if (socket.readyState === WebSocket.OPEN) socket.send(input.value);
    input.value = "";
  };
</script>
"""

if __name__ == "__main__":
    trio.run(app.serve)

"""What the Autobahn|Testsuite talks to: an echo, with room for the largest of its messages and the finest cut.

There is another one, whose compressed messages may refer back to those before them.
"""

from __future__ import annotations

from trioframe import App, Deflate, Request, WebSocket

__all__ = ["app"]

LARGEST = 16 << 20  # octets of a message, in 9.1.6 and 9.2.6
FRAGMENTS = (1 << 16) + 1  # of a message of 4 MiB in 64 octets each and an empty one, in 9.3.1 and 9.4.1

app = App("echo", {"WEBSOCKET_MAX_FRAGMENTS": FRAGMENTS}, env_prefix=None)


TAKEOVER = Deflate(server_no_context_takeover=False, client_no_context_takeover=False)


@app.websocket("/", deflate=True, max_size=LARGEST)
@app.websocket("/takeover", name="takeover", deflate=TAKEOVER, max_size=LARGEST)
async def echo(request: Request, ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)

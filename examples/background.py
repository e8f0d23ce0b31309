"""Work beside a response: ``curl http://127.0.0.1:8000/search/tea`` shows each result as soon as it is found.

The searches are children of the request, in `request.nursery`: they feed the response through a channel, and are
cancelled when the client leaves.
"""

from __future__ import annotations

import trio

from trioframe import App, Request

app = App("background")
SHOPS = {"north": 0.3, "south": 0.1, "west": 0.2}


@app.get("/search/<what>")
async def search(request: Request, what: str) -> trio.MemoryReceiveChannel[str]:
    send, receive = trio.open_memory_channel[str](0)
    with send:
        for shop in SHOPS:
            request.nursery.start_soon(ask, shop, what, send.clone())
    return receive  # ends when the last clone of `send` is closed


async def ask(shop: str, what: str, found: trio.MemorySendChannel[str]) -> None:
    async with found:
        await trio.sleep(SHOPS[shop])
        await found.send(f"{shop}: {what}\n")


if __name__ == "__main__":
    trio.run(app.serve)

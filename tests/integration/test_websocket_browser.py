"""WebSockets as a browser has them: a page opens some, and writes down what it has seen."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from integration.live_server import serving
from integration.programs import path_of
from integration.websocket_server import End, WebSocketServer

from trioframe import Request, Response, html

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)

PAGE = """\
<!doctype html><title>-</title>
<script>
const url = path => location.origin.replace("http", "ws") + path;
const once = (ws, name) => new Promise(resolve => ws.addEventListener(name, resolve, {once: true}));

async function echo(path) {
    const ws = new WebSocket(url(path), ["other", "chat"]);
    ws.binaryType = "arraybuffer";
    await once(ws, "open");
    const seen = {protocol: ws.protocol, extensions: ws.extensions.split(";")[0]};
    ws.send("Gr\\u00fc\\u00dfe");
    seen.text = (await once(ws, "message")).data;
    ws.send(new Uint8Array([0, 1, 254, 255]));
    seen.binary = [...new Uint8Array((await once(ws, "message")).data)];
    ws.send("x".repeat(100000));
    seen.length = (await once(ws, "message")).data.length;
    ws.close(4001, "enough");
    const close = await once(ws, "close");
    return {...seen, code: close.code, reason: close.reason, clean: close.wasClean};
}

async function closed(path, protocols = []) {
    const close = await once(new WebSocket(url(path), protocols), "close");
    return {code: close.code, reason: close.reason, clean: close.wasClean};
}

async function look() {
    return {
        echo: await echo("/echo"),
        deflated: await echo("/deflated"),
        takeover: await echo("/takeover"),
        bye: await closed("/close?code=4002&reason=bye"),
        done: await closed("/count?to=3"),
        elsewhere: await closed("/ours"),
        stranger: await closed("/echo", ["other"]),  // which the server does not speak, and has accepted
    };
}

look().catch(error => ({error: String(error)})).then(seen =>
    fetch("/seen", {method: "POST", body: JSON.stringify(seen)}));
</script>
"""


@pytest.mark.any_transport  # its start takes long
async def test_a_browser(tmp_path: Path):
    server = WebSocketServer()
    seen: dict[str, Any] = {}
    all_seen = trio.Event()
    browser = [path_of("chromium"), *FLAGS, f"--user-data-dir={tmp_path}"]

    @server.app.get("/page")
    async def page(request: Request) -> Response:
        return html(PAGE)

    @server.app.post("/seen")
    async def note(request: Request) -> str:
        seen.update(json.loads(request.body))
        all_seen.set()
        return "thank you"

    async with serving(server.app, limit=25) as live, trio.open_nursery() as nursery:
        command = [*browser, live.url("/page")]
        nursery.start_soon(partial(trio.run_process, command, capture_stdout=True, capture_stderr=True, check=False))
        await all_seen.wait()
        nursery.cancel_scope.cancel(reason="the browser is asked to end, as it never does by itself")
    echoed = {"protocol": "chat", "text": "Grüße", "binary": [0, 1, 254, 255], "length": 100_000}
    closed = {"code": 4001, "reason": "enough", "clean": True}  # the answer repeats both
    assert seen == {
        "echo": {**echoed, **closed, "extensions": ""},
        "deflated": {**echoed, **closed, "extensions": "permessage-deflate"},
        "takeover": {**echoed, **closed, "extensions": "permessage-deflate"},
        "bye": {"code": 4002, "reason": "bye", "clean": True},
        "done": {"code": 1000, "reason": "", "clean": True},
        "elsewhere": {"code": 1006, "reason": "", "clean": False},
        "stranger": {"code": 1006, "reason": "", "clean": False},
    }
    assert [await server.next_end() for _ in range(6)] == [
        End("closed", 4001, "enough"),
        End("closed", 4001, "enough"),
        End("closed", 4001, "enough"),
        End("returned", 4002, "bye"),
        End("returned", None),  # and was closed behind that
        End("closed", 1006),
    ]

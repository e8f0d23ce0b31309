"""Every example does what its docstring says."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, ConnectionRejected

from trioframe import App, ConfigError, Request, Response, WebSocket, html
from trioframe.testing import cancel_everywhere, client, connect

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    """An example, fresh, as somebody who imports it has it."""
    spec = importlib.util.spec_from_file_location(f"example_{name.replace('/', '_')}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested_here():
    source = Path(__file__).read_text(encoding="utf-8")
    names = [path.relative_to(EXAMPLES).with_suffix("").as_posix() for path in EXAMPLES.rglob("*.py")]
    assert [name for name in names if f'load("{name}")' not in source] == []


async def test_hello():
    async with client(load("hello").app) as http:
        assert (await http.get("/")).text == "Hello, world!\n"
        assert (await http.get("/hello/Ada")).text == "Hello, Ada!\n"


async def test_streaming_echo_answers_each_piece_before_the_next_one_is_sent():
    async with connect(load("streaming_echo").app) as peer:
        await peer.send(
            b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n"
        )
        response = await peer.receive_head()
        assert response.headers["content-type"] == "text/plain"
        assert await peer.receive_piece() == b"0"
        for piece in (b"1", b"2", b"3"):
            await peer.send(b"1\r\n%b\r\n" % piece)
            assert await peer.receive_piece() == piece
        await peer.send(b"0\r\n\r\n")
        assert await peer.receive_piece() == b""


async def test_upload_keeps_what_is_whole(tmp_path):
    upload = load("upload")
    upload.app.ctx.folder = tmp_path
    async with client(upload.app) as http:
        response = await http.put("/files/photo.jpg", content=b"x" * 100_000)
        assert response.status_code == 201
        assert response.json() == {"name": "photo.jpg", "size": 100_000}
        assert (await http.put("/files/..", content=b"x")).status_code == 404
        assert (await http.put("/files/nothing", content=b"")).status_code == 400
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


async def test_upload_refuses_what_is_too_large_before_it_is_sent(tmp_path):
    upload = load("upload")
    upload.app.ctx.folder = tmp_path
    async with connect(upload.app) as peer:
        await peer.send(
            b"PUT /files/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
        )
        response = await peer.receive_response()
    assert (response.status, response.interim) == (413, [])
    assert list(tmp_path.iterdir()) == []


async def test_upload_removes_what_is_not_whole(tmp_path):
    upload = load("upload")
    upload.app.ctx.folder = tmp_path
    async with connect(upload.app) as peer:
        await peer.send(b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        await trio.testing.wait_all_tasks_blocked()
    assert list(tmp_path.iterdir()) == []


async def test_cancellation_when_nobody_leaves(autojump_clock):
    async with client(load("cancellation").app) as http:
        assert (await http.get("/report")).json() == {"orders": 6, "visits": 6}


async def test_cancellation_when_the_client_leaves(autojump_clock, capsys):
    async with client(load("cancellation").app) as http:
        with trio.move_on_after(1):
            await http.get("/report")
    *children, handler, boundary = capsys.readouterr().out.splitlines()
    assert sorted(children) == [
        "orders: the connection to the database goes back to its pool",
        "visits: the connection to the database goes back to its pool",
    ]
    assert handler == "report: done or cancelled"
    assert boundary == "/report: ended early, reason: disconnect"


async def test_cancellation_waits_for_what_is_shielded(autojump_clock, capsys):
    async with client(load("cancellation").app) as http:
        with trio.move_on_after(1):
            await http.get("/transfer")
    assert capsys.readouterr().out.splitlines() == [
        "transfer: booked",
        "/transfer: ended early, reason: disconnect",
    ]


async def test_cancellation_may_come_at_any_checkpoint(autojump_clock):
    (await cancel_everywhere(load("cancellation").app, "GET", "/report")).check()


async def test_embedded_ends_when_it_is_told_to():
    async with trio.open_nursery() as nursery:
        ports = await nursery.start(load("embedded").main)
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{ports['public']}/")).text == "Hello!\n"
            assert (await http.get(f"http://127.0.0.1:{ports['private']}/count")).json() == {"served": 1}
            assert (await http.post(f"http://127.0.0.1:{ports['private']}/stop")).text == "Goodbye!\n"


async def test_errors(caplog):
    async with client(load("errors").app) as http:
        assert (await http.get("/orders/1")).json() == {"order": 1, "state": "open"}
        assert (await http.post("/orders/1/pay")).json() == {"order": 1, "state": "paid"}
        again = await http.post("/orders/1/pay")
        assert (again.status_code, again.json()) == (409, {"error": "the order has been paid"})
        missing = await http.get("/orders/0", headers={"Accept": "application/json"})
        assert missing.status_code == 404
        assert "there is no such order" in json.dumps(missing.json())
        assert caplog.records == []
        with caplog.at_level(logging.CRITICAL, "trioframe.app"):
            unexpected = await http.post("/orders/0/pay")
        assert unexpected.status_code == 500
        assert "KeyError" not in unexpected.text


async def test_background_shows_each_result_when_it_is_found(autojump_clock):
    async with (
        client(load("background").app) as http,
        http.stream("GET", "/search/tea") as response,
    ):
        assert [line async for line in response.aiter_lines()] == ["south: tea", "west: tea", "north: tea"]


async def test_background_may_be_cancelled_at_any_checkpoint(autojump_clock):
    (await cancel_everywhere(load("background").app, "GET", "/search/tea")).check()


# --- WebSockets -------------------------------------------------------------------------------------------------------


async def test_websocket_echo():
    async with client(load("websocket_echo").app) as http, http.websocket("/") as ws:
        for message in ("text", b"octets"):
            await ws.send_message(message)
            assert await ws.get_message() == message


async def listen(ws: Any, heard: list[str]) -> None:
    try:
        while True:
            heard.append(await ws.get_message())
    except ConnectionClosed as closed:
        heard.append(f"closed with {closed.reason and closed.reason.code}")


async def test_chat_tells_everybody_who_comes_speaks_and_goes():
    heard: list[str] = []
    async with client(load("chat").app) as http, trio.open_nursery() as nursery, http.websocket("/chat/Ada") as ada:
        nursery.start_soon(listen, ada, heard)
        async with http.websocket("/chat/Grace%20H.") as grace:
            await grace.send_message("hello")
            assert [await grace.get_message() for _ in range(2)] == ["Grace H. is here", "Grace H.: hello"]
        await ada.send_message(b"1")
        await trio.testing.wait_all_tasks_blocked()
    says = ["Ada is here", "Grace H. is here", "Grace H.: hello", "Grace H. has left", "Ada: (no text)"]
    assert heard == [*says, "closed with 1000"]


async def test_chat_has_one_of_each_name():
    async with client(load("chat").app) as http:
        async with http.websocket("/chat/Ada"):
            with pytest.raises(ConnectionRejected) as rejected:
                async with http.websocket("/chat/Ada"):
                    raise AssertionError("there are two")
            assert rejected.value.status_code == 409
            assert "somebody is called Ada already" in str(rejected.value.body)
        async with http.websocket("/chat/Ada"):
            pass


async def test_chat_notices_who_is_lost():
    heard: list[str] = []
    async with (
        client(load("chat").app) as http,
        trio.open_nursery() as nursery,
        http.websocket("/chat/Ada") as ada,
    ):
        nursery.start_soon(listen, ada, heard)
        with pytest.raises(ConnectionClosed):
            async with http.websocket("/chat/Grace") as grace:
                await grace.get_message()
                http.connections[-1].reset()
                await grace.get_message()
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["Ada is here", "Grace is here", "Grace has left"]


@asynccontextmanager
async def chatting(http: Any, number: int) -> AsyncIterator[list[list[str]]]:
    """So many members of the chat that read; what each of them hears."""
    heard: list[list[str]] = [[] for _ in range(number)]
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        for index, words in enumerate(heard):
            ws = await stack.enter_async_context(http.websocket(f"/chat/member {index}"))
            nursery.start_soon(listen, ws, words)
        yield heard


async def test_chat_drops_who_is_too_slow_and_nobody_waits_for_him(autojump_clock, caplog):
    """One of 22 members reads nothing, while another speaks, until he is dropped and for some time more."""
    chat = load("chat")
    async with (
        client(chat.app) as http,
        chatting(http, 20) as heard,
        http.websocket("/chat/slow") as slow,
        http.websocket("/chat/speaker") as speaker,
    ):
        http.connections[-2].stop_reading()
        began = trio.current_time()
        words = [f"{number} {'x' * 2000}" for number in range(2 * chat.QUEUE_SIZE)]
        for number, word in enumerate(words):
            await speaker.send_message(word)
            while await speaker.get_message() != f"speaker: {word}":
                continue
            await trio.testing.wait_all_tasks_blocked()
            assert [len([line for line in lines if "speaker:" in line]) for lines in heard] == [number + 1] * 20
        assert trio.current_time() == began
        assert not any("slow has left" in lines for lines in heard)

        http.connections[-2].resume_reading()  # just in time to learn why
        said: list[str] = []
        with trio.fail_after(10):
            await listen(slow, said)
        assert said[-1] == "closed with 4000"
        assert 0 < len([line for line in said if "speaker:" in line]) < len(words)
        await trio.testing.wait_all_tasks_blocked()
    for lines in heard:
        assert [line for line in lines if line.startswith("speaker:")] == [f"speaker: {word}" for word in words]
        assert lines.count("slow has left") == 1
    assert caplog.records == []


async def test_chat_cuts_off_who_never_reads_again(autojump_clock, caplog):
    chat = load("chat")
    async with (
        client(chat.app) as http,
        chatting(http, 1) as [heard],
        http.websocket("/chat/slow"),
        http.websocket("/chat/speaker") as speaker,
    ):
        http.connections[-2].stop_reading()
        for _ in range(2 * chat.QUEUE_SIZE):
            await speaker.send_message("x" * 2000)
            await speaker.get_message()
        assert heard[-1] != "slow has left"
        await trio.sleep(1.1 * chat.app.config.WEBSOCKET_CLOSE_TIMEOUT)
        assert heard[-1] == "slow has left"
    assert caplog.records == []


async def test_chat_goes_away_with_the_server(autojump_clock):
    chat = load("chat")
    async with client(chat.app) as http, chatting(http, 3) as heard:
        await trio.testing.wait_all_tasks_blocked()
        chat.app.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        assert [lines[-1] for lines in heard] == ["closed with 1001"] * 3


async def test_progress_tells_each_page_how_things_stand_and_then_each_step(autojump_clock):
    progress = load("progress")
    async with client(progress.app) as http, http.websocket("/progress") as first:
        assert (await http.post("/jobs")).json() == {"job": 1}
        await trio.sleep(10.1 * progress.STEP)
        async with http.websocket("/progress") as second:
            assert await second.get_message() == "1 10"
            assert await second.get_message() == "1 11"
        await trio.sleep(100 * progress.STEP)
        assert [await first.get_message() for _ in range(101)] == [f"1 {percent}" for percent in range(101)]


async def test_progress_does_not_wait_for_a_page_that_reads_nothing(autojump_clock):
    progress = load("progress")
    async with client(progress.app, buffer_size=100) as http, http.websocket("/progress"):
        http.connections[-1].stop_reading()
        await http.post("/jobs")
        await trio.sleep(100.1 * progress.STEP)
        assert progress.jobs == {1: 100}


async def test_progress_ends_with_its_page(autojump_clock):
    progress = load("progress")
    ended = []
    progress.app.add_signal(lambda exception: ended.append(str(exception)), "websocket.handler.after")
    async with client(progress.app) as http:
        async with http.websocket("/progress"):
            await trio.testing.wait_all_tasks_blocked()
        assert ended == ["disconnect"]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
""".split()

# Presses the button on the page, loses the connection in the middle, and tells what the page shows in the end.
VISITOR = """\
<!doctype html>
<iframe src="/"></iframe>
<script>
  const until = (found) => new Promise((resolve) => {
    const timer = setInterval(() => { if (found()) { clearInterval(timer); resolve(); } }, 10);
  });
  onload = async () => {
    const page = document.querySelector("iframe").contentDocument;
    const state = page.querySelector("#state");
    await until(() => state.textContent === "live");
    page.querySelector("button").click();
    await until(() => page.querySelector("progress")?.value > 0);
    await fetch("/lose", {method: "POST"});
    await until(() => state.textContent === "not connected");
    await until(() => page.querySelector("progress").value === 100);
    await fetch("/report", {method: "POST", body: `${state.textContent}, ${page.querySelector("label").textContent}`});
  };
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
async def test_progress_in_a_browser(tmp_path):
    progress = load("progress")
    vars(progress)["STEP"] = 0.01
    app = progress.app
    opened: list[WebSocket] = []
    reports: list[str] = []
    app.add_signal(lambda websocket: opened.append(websocket), "websocket.connection.open")

    @app.get("/visit")
    async def visit(request: Request) -> Response:
        return html(VISITOR)

    @app.post("/lose")
    async def lose(request: Request) -> str:
        await opened[0].close(1012)
        return "lost"

    @app.post("/report")
    async def report(request: Request) -> str:
        reports.append(request.text)
        reported.set()
        return "thank you"

    reported = trio.Event()
    with trio.fail_after(50):
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(app.serve, port=0))
            url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/visit"
            browser = await nursery.start(
                partial(
                    trio.run_process,
                    [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={tmp_path}", "--remote-debugging-port=0", url],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
            )
            await reported.wait()
            browser.send_signal(signal.SIGTERM)
            await browser.wait()
            app.shutdown()
    assert reports == ["live, Job 1 "]
    assert len(opened) == 2


# --- instrumentation --------------------------------------------------------------------------------------------------


async def figures(http: httpx2.AsyncClient) -> dict[str, float]:
    """What /metrics shows, without the comments."""
    lines = (await http.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


ORDER = 'route="/orders/<number:int>",methods="GET"'


async def test_instrumentation_counts_and_times_the_requests_of_each_route():
    async with client(load("instrumentation").app) as http:
        assert (await http.get("/orders/1")).json() == {"order": 1, "item": "tea"}
        await http.get("/orders/1")
        await http.get("/orders/2")
        await http.get("/nowhere")
        found = await figures(http)
    counted = {name: value for name, value in found.items() if "http_request_seconds_count" in name}
    assert counted == {
        f'http_request_seconds_count{{{ORDER},outcome="raised"}}': 1,
        f'http_request_seconds_count{{{ORDER},outcome="returned"}}': 2,
    }
    assert 0 < found[f'http_request_seconds_sum{{{ORDER},outcome="returned"}}'] < 60
    assert found["process_start_time_seconds"] > 0


async def test_instrumentation_counts_queries_by_a_few_words():
    instrumentation = load("instrumentation")
    async with client(instrumentation.app) as http:
        await http.get("/orders/1")
        await instrumentation.app.ctx.database.query("UPDATE orders SET item = 'coffee'")
        found = await figures(http)
    counted = {name: value for name, value in found.items() if "sql_query_seconds_count" in name}
    assert counted == {
        'sql_query_seconds_count{kind="INSERT"}': 1,
        'sql_query_seconds_count{kind="SELECT"}': 1,
        'sql_query_seconds_count{kind="UPDATE"}': 1,
        'sql_query_seconds_count{kind="other"}': 1,
    }


async def test_instrumentation_measures_no_query_while_nobody_listens():
    instrumentation = load("instrumentation")
    instrumentation.app.signals["sql.query.executed"].disconnect(instrumentation.count_query)
    async with client(instrumentation.app) as http:
        assert (await http.get("/orders/1")).json() == {"order": 1, "item": "tea"}
        assert not any("sql_query" in name for name in await figures(http))


async def test_instrumentation_counts_who_leaves_and_a_request_that_outlives_a_reset(autojump_clock):
    instrumentation = load("instrumentation")

    @instrumentation.app.get("/slow")
    async def slow(request: Request) -> str:
        await trio.sleep(5)
        return "done"

    async with client(instrumentation.app) as http, trio.open_nursery() as nursery:
        nursery.start_soon(http.get, "/slow")
        with trio.move_on_after(1):
            await http.get("/slow")
        await trio.sleep(1)
        assert list(instrumentation.requests.totals) == [("/slow", "GET", "cancelled")]
        instrumentation.requests.totals.clear()
    assert list(instrumentation.requests.totals) == [("/slow", "GET", "returned")]


def test_instrumentation_quotes_what_a_path_may_contain():
    instrumentation = load("instrumentation")
    instrumentation.requests.add(1.0, r"""/<x:[\d"]+>""", "GET", "returned")
    assert r"""route="/<x:[\\d\"]+>",""" in str(instrumentation.requests)


# --- a plug-in --------------------------------------------------------------------------------------------------------


async def test_a_plug_in_subscribes_itself(autojump_clock, caplog):
    plugin = load("plugin/slow_requests")
    app = App("any", env_prefix=None)
    plugin.setup(app)

    @app.get("/<seconds:float>")
    async def sleep(request: Request, seconds: float) -> str:
        await trio.sleep(seconds)
        return "slept"

    async with app.test_client() as http:
        await http.get("/0.9")
        assert caplog.messages == []
        await http.get("/1.5")
    assert caplog.messages == ["any: /1.5 took 1.5 s"]


async def test_plug_ins_are_configured(autojump_clock, caplog, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES / "plugin")
    monkeypatch.setenv("SHOP_PLUGINS", "slow_requests")
    async with load("plugin/app").configured_app().test_client() as http:
        assert (await http.get("/")).text == "tea\n"
    assert caplog.messages == ["shop: / took 2.0 s"]


@pytest.mark.parametrize("variable", [None, ""], ids=["not set", "empty"])
async def test_without_plug_ins_nobody_listens(autojump_clock, caplog, monkeypatch, variable):
    monkeypatch.delenv("SHOP_PLUGINS", raising=False)
    if variable is not None:
        monkeypatch.setenv("SHOP_PLUGINS", variable)
    app = load("plugin/app").configured_app()
    async with app.test_client() as http:
        await http.get("/")
    assert caplog.messages == []
    assert not app.signals["http.handler.after"].receivers


@pytest.mark.parametrize("names", ["slow_requests", ["slow_requests", 1], [""]])
def test_plug_ins_have_names(names):
    with pytest.raises(ConfigError, match=r"PLUGINS cannot be .*; allowed is a list of names of modules"):
        load("plugin/app").ShopConfig(PLUGINS=names)

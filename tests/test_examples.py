"""Every example does what its docstring says."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
import trio
import trio.testing

from trioframe import App, ConfigError, Request
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

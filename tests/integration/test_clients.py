"""Clients that others have written, over real sockets: what they send is understood, what they get is right."""

from __future__ import annotations

import os
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from integration.live_server import Certificates, serving
from integration.programs import curl, path_of, run
from integration.raw_client import request_for

from trioframe import App, Request, Response, html, json, text

BLOCK = bytes(range(256)) * 256  # 64 KiB: what an echo may send back to a client that has not begun to read


def make_app(**config: Any) -> App:
    app = App("clients", config, env_prefix=None)

    @app.get("/")
    async def index(request: Request) -> Response:
        return text("Hello, world!\n")

    @app.get("/about")
    async def about(request: Request) -> dict[str, Any]:
        return {
            "version": request.http_version,
            "scheme": request.scheme,
            "host": request.host,
            "ip": request.client_ip,
            "connection": request.conn_info.id,
        }

    @app.route("/echo", methods=["POST", "PUT"], stream=True)
    async def echo(request: Request) -> None:
        async with await request.respond(content_type="application/octet-stream") as response:
            async for piece in request.stream:
                await response.send(piece)

    @app.route("/size", methods=["POST", "PUT"])
    async def size(request: Request) -> Response:
        return json({"size": len(request.body), "chunked": "transfer-encoding" in request.headers})

    @app.get("/count/<number:int>")
    async def count(request: Request, number: int) -> Any:
        async def lines() -> Any:
            for line in range(number):
                yield f"{line}\n"

        return lines()

    @app.get("/page")
    async def page(request: Request) -> Response:
        return html(
            "<!doctype html><title>-</title><p id=p>nothing</p>"
            "<script>fetch('/echo', {method: 'PUT', body: 'from the ' + 'browser'})"
            ".then(r => r.text()).then(t => document.getElementById('p').textContent = t)</script>"
        )

    return app


# --- curl -------------------------------------------------------------------------------------------------------------


async def test_curl():
    async with serving(make_app()) as live:
        got = await curl("--include", live.url())
    head, _, body = got.out.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 14" in head.lower()
    assert body == b"Hello, world!\n"


async def test_curl_speaking_http_1_0_is_not_sent_chunks():
    async with serving(make_app()) as live:
        whole = await curl("--http1.0", "--include", live.url())
        streamed = await curl("--http1.0", "--include", live.url("/count/1000"))
    assert whole.out.endswith(b"\r\n\r\nHello, world!\n")
    head, _, body = streamed.out.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"".join(b"%d\n" % line for line in range(1000))


async def test_curl_reads_a_stream():
    async with serving(make_app()) as live:
        got = await curl("--include", live.url("/count/1000"))
    head, _, body = got.out.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body == b"".join(b"%d\n" % line for line in range(1000))


async def test_curl_uploads_a_pipe_in_chunks():
    async with serving(make_app()) as live:
        echoed = await curl("--upload-file", "-", live.url("/echo"), stdin=BLOCK * 5)
        counted = await curl("--upload-file", "-", live.url("/size"), stdin=BLOCK * 5)
    assert echoed.out == BLOCK * 5
    assert counted.out == b'{"size":327680,"chunked":true}'


async def test_curl_waits_for_100_continue_and_gets_it_at_once():
    big = BLOCK * 15
    async with serving(make_app()) as live:
        got = await curl(
            *("--verbose", "--request", "PUT", "--header", "Expect: 100-continue"),
            # It would send the body unasked after this time; then the request as a whole would be too late.
            *("--expect100-timeout", "60", "--max-time", "10"),
            *("--data-binary", "@-", live.url("/size")),
            stdin=big,
        )
    assert "HTTP/1.1 100 Continue" in got.err
    assert got.out == b'{"size":%d,"chunked":false}' % len(big)


async def test_curl_is_refused_before_it_has_sent_anything():
    async with serving(make_app()) as live:
        got = await curl(
            *("--header", "Expect: 100-continue", "--expect100-timeout", "60", "--max-time", "10"),
            *("--data-binary", "@-", "--output", os.devnull, "--write-out", "%{http_code} %{size_upload}"),
            live.url("/size"),
            stdin=BLOCK * 20,
        )
    assert got.out == b"413 0"


async def test_curl_head():
    async with serving(make_app()) as live:
        got = await curl("--head", live.url())
    assert got.out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-length: 14\r\n" in got.out.lower()
    assert got.out.endswith(b"\r\n\r\n")


async def test_curl_uses_its_connection_again():
    async with serving(make_app()) as live:
        got = await curl("--write-out", "%{num_connects}\n", live.url(), live.url("/count/3"), live.url("/missing"))
    assert re.findall(rb"^[01]$", got.out.replace(b"0\n1\n2\n", b""), re.MULTILINE) == [b"1", b"0", b"0"]


@pytest.mark.parametrize(("family", "ip"), [("--ipv4", "127.0.0.1"), ("--ipv6", "::1")])
async def test_localhost_is_both_families(family, ip):
    if ip == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with serving(make_app(), "localhost") as live:
        got = await curl(family, live.url("/about", host="localhost"))
        assert len({listener.socket.getsockname()[1] for listener in live.listeners}) == 1
    assert f'"ip":"{ip}"'.encode() in got.out


async def test_curl_on_a_unix_socket(tmp_path: Path):
    path = tmp_path / "socket"
    async with serving(make_app(), unix=str(path)):
        got = await curl("--unix-socket", str(path), "http://localhost/about")
    assert b'"host":"localhost","ip":null' in got.out
    assert not path.exists()


async def test_curl_on_an_inherited_socket():
    sock = socket.create_server(("127.0.0.1", 0))
    async with serving(make_app(), fd=sock.detach()) as live:
        got = await curl(live.url())
    assert got.out == b"Hello, world!\n"


# --- httpx ------------------------------------------------------------------------------------------------------------


async def test_httpx():
    async def upload() -> Any:
        for _ in range(10):
            yield BLOCK

    async with serving(make_app()) as live, httpx2.AsyncClient(base_url=live.url(), trust_env=False) as http:
        first, second = [(await http.get("/about")).json() for _ in range(2)]
        assert first["version"] == "1.1"
        assert first["connection"] == second["connection"]
        assert (await http.head("/")).headers["content-length"] == "14"
        assert (await http.options("/size")).headers["allow"] == "OPTIONS, POST, PUT"
        assert (await http.put("/echo", content=BLOCK)).content == BLOCK
        assert (await http.post("/size", content=upload())).json() == {"size": len(BLOCK) * 10, "chunked": True}
        assert (await http.get("/nowhere")).status_code == 404
        assert (await http.get("/about")).json()["connection"] == first["connection"]


async def test_httpx_leaves_a_stream_half_way_and_is_served_again():
    async with serving(make_app()) as live, httpx2.AsyncClient(base_url=live.url(), trust_env=False) as http:
        async with http.stream("GET", "/count/1000000") as response:
            assert response.status_code == 200
        assert (await http.get("/")).text == "Hello, world!\n"


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_curl_and_tls(certificates: Certificates, tmp_path: Path):
    authority = tmp_path / "authority.pem"
    certificates.authority.cert_pem.write_to_path(str(authority))
    async with serving(make_app(), tls=certificates) as live:
        url = live.url("/about", "https", "localhost")
        trusting = await curl("--insecure", url)
        checking = await curl("--cacert", str(authority), "--write-out", "%{num_connects}", url, url)
        echoed = await curl("-k", "--upload-file", "-", live.url("/echo", "https"), stdin=BLOCK * 5)
    assert b'"scheme":"https"' in trusting.out
    assert checking.out.endswith(b"}0")
    assert echoed.out == BLOCK * 5


async def test_httpx_and_tls(certificates: Certificates):
    async with (
        serving(make_app(), tls=certificates) as live,
        httpx2.AsyncClient(base_url=live.url("/", "https"), verify=certificates.client, trust_env=False) as http,
    ):
        assert (await http.get("/about")).json()["scheme"] == "https"
        assert (await http.put("/echo", content=BLOCK)).content == BLOCK
        assert (await http.post("/size", content=BLOCK * 10)).json()["size"] == len(BLOCK) * 10


async def test_a_tls_answer_that_ends_with_the_connection_is_known_to_be_whole(certificates: Certificates):
    """Without close_notify, OpenSSL 3 would make curl fail with "unexpected eof while reading"."""
    async with serving(make_app(), tls=certificates) as live:
        got = await curl("--insecure", "--http1.0", live.url("/count/1000", "https"))
    assert got.out.endswith(b"\n998\n999\n")


async def test_plain_http_on_a_tls_port(certificates: Certificates, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "trioframe.server")
    async with serving(make_app(), tls=certificates) as live:
        async with await live.connect(plain=True) as client:
            await client.send(request_for("/"))
            answer = await client.rest()  # at most a TLS alert: nothing that could be taken for HTTP
        assert not answer.startswith(b"HTTP")
        assert "plain HTTP was sent to this TLS port" in caplog.text
        assert (await curl("--insecure", live.url("/", "https"))).out == b"Hello, world!\n"


async def test_tls_on_a_plain_port_is_bad_input():
    async with serving(make_app()) as live:
        with trio.socket.socket() as sock:
            await sock.connect(("127.0.0.1", live.port))
            stream = trio.SSLStream(trio.SocketStream(sock), ssl.create_default_context(), server_hostname="localhost")
            with pytest.raises(trio.BrokenResourceError):
                await stream.do_handshake()
        assert (await curl(live.url())).out == b"Hello, world!\n"


# --- bytes ------------------------------------------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_their_order():
    async with serving(make_app()) as live, await live.connect() as client:
        put = b"PUT /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        await client.send(request_for("/count/2") + put + request_for("/missing") + request_for("/"))
        answers = [await client.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    assert [answer.body for answer in answers[:2]] == [b"0\n1\n", b'{"size":3,"chunked":true}']
    assert answers[-1].body == b"Hello, world!\n"


async def test_a_thousand_pipelined_requests_reach_a_client_that_reads_late():
    """More than any buffer holds: the client sends all before it reads, while the server sends as it goes."""
    app = make_app(MAX_REQUESTS_PER_CONNECTION=5000)
    requests = request_for("/") * 4000 + request_for("/", "Connection: close\r\n")
    async with serving(app) as live, await live.connect() as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.send, requests)
        assert (await client.rest()).count(b"\r\n\r\nHello, world!\n") == 4001


async def test_a_request_that_comes_byte_by_byte():
    async with serving(make_app()) as live, await live.connect() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for (
            byte
        ) in b"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n":
            await client.send(bytes([byte]))
        assert (await client.answer()).body == b"abc"


async def test_the_last_answer_survives_a_client_that_is_still_sending():
    """A close with unread bytes in the kernel would reset the connection, and the refusal would be lost on its way."""
    async with serving(make_app()) as live, await live.connect() as client:
        await client.send(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n")
        await client.send(BLOCK * 64)
        answer = await client.answer("POST")
        assert (answer.status, answer.headers["connection"]) == (413, "close")


# --- load -------------------------------------------------------------------------------------------------------------


async def test_ab_keeps_its_connections_alive():
    path_of("ab")
    async with serving(make_app()) as live:
        got = await run("ab", "-q", "-k", "-n", "600", "-c", "8", live.url())
    report = dict(re.findall(r"^([A-Z][\w -]+):\s+(\S+)", got.out.decode(), re.MULTILINE))
    assert got.code == 0, got.err
    assert (report["Complete requests"], report["Failed requests"]) == ("600", "0")
    assert report["Keep-Alive requests"] == "600"
    assert "Non-2xx responses" not in report


async def test_wrk_for_a_second():
    """Connections are renewed after every hundred requests, which wrk has to follow."""
    path_of("wrk")
    async with serving(make_app(MAX_REQUESTS_PER_CONNECTION=100)) as live:
        got = await run("wrk", "-t1", "-c16", "-d1s", live.url())
        assert (await curl(live.url())).out == b"Hello, world!\n"
    report = got.out.decode()
    assert got.code == 0, got.err
    assert int(re.findall(r"(\d+) requests in", report)[0]) > 200
    assert "Socket errors" not in report
    assert "Non-2xx" not in report


# --- a browser --------------------------------------------------------------------------------------------------------


@pytest.mark.any_transport  # its start takes long
async def test_a_browser(tmp_path: Path):
    if not os.access("/usr/bin/chromium", os.X_OK):
        pytest.skip("/usr/bin/chromium is not installed on this machine")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=2000"
    async with serving(make_app(), limit=25) as live:
        got = await run(
            "/usr/bin/chromium",
            *flags.split(),
            f"--user-data-dir={tmp_path}",
            "--dump-dom",
            live.url("/page"),
            limit=20,
        )
    assert b'<p id="p">from the browser</p>' in got.out


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True

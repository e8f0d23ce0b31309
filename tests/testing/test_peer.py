"""A raw peer: what it sends is sent as it is, what it gets is read one response at a time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioframe import App, RemoteProtocolError, Request, RequestCancelled, text
from trioframe.testing import FaultyStream, MemoryStream, Peer, connect, memory_pair

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def app() -> App:
    """Answers / with "hello", and says in `app.ctx.reasons` why requests were cancelled."""
    app = App("peer", env_prefix=None)
    app.ctx.reasons = []

    @app.get("/")
    async def index(request: Request):
        return text("hello")

    @app.get("/sleep")
    async def sleep(request: Request):
        await trio.sleep_forever()

    @app.post("/length", stream=True)
    async def length(request: Request):
        return text(str(len(await request.receive_body())))

    @app.exception(RequestCancelled)
    async def cancelled(request: Request, error: RequestCancelled):
        app.ctx.reasons.append(error.reason)

    return app


def peer_of_a_script() -> tuple[Peer, MemoryStream]:
    """A peer, and the server's end of its connection, for the test to be the server."""
    ours, theirs = memory_pair()
    return Peer(FaultyStream(ours)), theirs


# --- responses --------------------------------------------------------------------------------------------------------


async def test_a_response(app):
    async with connect(app) as peer:
        await peer.send(GET)
        response = await peer.receive_response()
    assert (response.status, response.reason, response.http_version) == (200, "OK", "1.1")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.body == b"hello"
    assert response.interim == []


async def test_pipelined_responses_are_read_one_at_a_time(app):
    async with connect(app) as peer:
        await peer.send(GET + GET.replace(b"/ ", b"/nowhere ") + GET)
        assert [(await peer.receive_response()).status for _ in range(3)] == [200, 404, 200]


async def test_responses_may_arrive_together():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none" * 2)
    assert [(await peer.receive_response()).body for _ in range(2)] == [b"one", b"one"]


async def test_a_response_to_head_has_no_body(app):
    async with connect(app) as peer:
        await peer.send(GET.replace(b"GET", b"HEAD") + GET)
        response = await peer.receive_response("HEAD")
        assert (response.headers["content-length"], response.body) == ("5", b"")
        assert (await peer.receive_response()).body == b"hello"


async def test_a_body_piece_by_piece_and_its_trailers():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    response = await peer.receive_head()
    await server.send_all(b"5\r\nfirst\r\n")
    assert await peer.receive_piece() == b"first"
    await server.send_all(b"6\r\nsecond\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert await peer.receive_piece() == b"second"
    assert await peer.receive_piece() == b""
    assert await peer.receive_piece() == b""
    assert response.trailers["x-sum"] == "1"
    assert response.body == b""


async def test_interim_responses_come_with_the_final_one():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await server.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")
    response = await peer.receive_response()
    assert response.status == 204
    assert [status for status, _ in response.interim] == [100, 103]
    assert response.interim[1][1]["link"] == "</x>"


async def test_switching_protocols_is_an_answer_and_what_follows_is_raw():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: any\r\n\r\n\x81\x00")
    assert (await peer.receive_response()).status == 101
    await server.send_eof()
    assert await peer.receive_until_close() == b"\x81\x00"


async def test_a_body_that_ends_with_the_connection():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    await server.aclose()
    assert (await peer.receive_response()).body == b"all of it"


async def test_everything_until_the_end_also_from_the_middle():
    peer, server = peer_of_a_script()
    await server.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    await peer.receive_head()
    await server.send_all(b"678")
    await server.aclose()
    assert await peer.receive_until_close() == b"12345678"


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"", "closed the connection without a response"),
        (b"HTTP/1.1 200 O", r"closed the connection after b'HTTP/1.1 200 O'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", "is broken: peer closed connection"),
        (b"garbage\r\n\r\n", "is broken: illegal status line"),
    ],
    ids=["nothing", "half a head", "half a body", "no HTTP"],
)
async def test_what_is_no_response(sent, complaint):
    peer, server = peer_of_a_script()
    await server.send_all(sent)
    await server.aclose()
    with pytest.raises(RemoteProtocolError, match=complaint):
        await peer.receive_response()


# --- faults -----------------------------------------------------------------------------------------------------------


async def test_dribbling(app, autojump_clock):
    async with connect(app) as peer:
        began = trio.current_time()
        await peer.dribble(GET, 0.25)
        assert trio.current_time() - began == 0.25 * len(GET)
        assert (await peer.receive_response()).status == 200


async def test_a_head_that_dribbles_too_slowly(app, autojump_clock, nursery):
    async with connect(app) as peer:

        async def dribble():
            with pytest.raises(trio.BrokenResourceError):
                await peer.dribble(GET, 5)

        nursery.start_soon(dribble)
        assert (await peer.receive_response()).status == 408


async def test_disconnecting_cancels(app, autojump_clock):
    async with connect(app) as peer:
        await peer.send(GET.replace(b"/ ", b"/sleep "))
        await wait_all_tasks_blocked()
        await peer.disconnect()
    assert app.ctx.reasons == ["disconnect"]


async def test_a_reset_cancels_at_once(app):
    async with connect(app) as peer:
        await peer.send(GET.replace(b"/ ", b"/sleep "))
        await wait_all_tasks_blocked()
        peer.reset()
        await wait_all_tasks_blocked()
        assert app.ctx.reasons == ["disconnect"]


async def test_who_half_closes_can_still_read(app):
    async with connect(app) as peer:
        await peer.send(GET)
        await peer.half_close()
        assert (await peer.receive_until_close()).endswith(b"\r\n\r\nhello")


async def test_a_handler_whose_client_stopped_reading_waits(app, autojump_clock, caplog):
    sent = []

    @app.get("/much")
    async def much(request: Request):
        response = await request.respond()
        for number in range(3):
            await response.send(f"{number}")
            sent.append(number)

    async with connect(app) as peer:
        await peer.send(GET.replace(b"/ ", b"/much "))
        assert (await peer.receive_head()).status == 200
        peer.stop_reading()
        await wait_all_tasks_blocked()
        held = len(sent)
        assert held < 3
        peer.resume_reading()
        while await peer.receive_piece():
            pass
        assert sent == [0, 1, 2]


async def test_the_buffers_can_be_made_small(app):
    async with connect(app, buffer_size=1) as peer:
        await peer.send(GET)
        assert (await peer.receive_response()).body == b"hello"

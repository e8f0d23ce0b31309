"""What a handler is given: every attribute, what it costs, and what a peer can get wrong."""

from __future__ import annotations

import gc
import math
import uuid
import weakref
from typing import Any, cast

import pytest
import trio
from fake_exchange import FakeExchange, make_request, sent

from trioframe.app.app import App
from trioframe.app.request import MAX_QUERY_FIELDS, Request
from trioframe.app.response import Response, empty, text
from trioframe.app.route import Route, WebSocketOptions
from trioframe.errors import (
    BadRequest,
    HTTPError,
    LocalProtocolError,
    PayloadTooLarge,
    RequestTimeout,
    ServerError,
)
from trioframe.http.exchange import ConnInfo

PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)


# --- making one -------------------------------------------------------------------------------------------------------


async def test_it_holds_what_it_is_given_and_nothing_else() -> None:
    app, route, exchange, params = cast(App, object()), cast(Any, object()), FakeExchange(), {"a": 1}
    request = Request(app, exchange, route, params)
    assert (request.app, request.exchange, request.route) == (app, exchange, route)
    assert request.match_info is params
    filled = {name for name in Request.__slots__ if name != "__weakref__" and hasattr(request, name)}
    assert filled == {"app", "course", "exchange", "route", "match_info", "response_stream", "upgrade"}
    with pytest.raises(AttributeError):
        request.aap = 1  # type: ignore[attr-defined]


async def test_it_can_be_without_a_route() -> None:
    request = Request(cast(App, object()), FakeExchange())
    assert request.route is None
    assert request.match_info == {}


async def test_it_goes_when_nobody_holds_it() -> None:
    """Reference cycles would keep every request until the collector comes round."""
    gc.collect()
    gc.disable()
    try:
        request = make_request(b"/?a=1", {"cookie": "a=1", "accept": "*/*"}, body=[b"x"])
        _ = request.args, request.cookies, request.accept, request.ctx, request.id, request.url, request.credentials
        await request.receive_body()
        stream = await request.respond()
        await stream.eof()
        gone = weakref.ref(request), weakref.ref(request.exchange)
        del request, stream
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


# --- the request line -------------------------------------------------------------------------------------------------


async def test_the_target_and_its_parts() -> None:
    request = make_request(b"/caf%C3%A9%2Fx%FF?a=%20b", method="PURGE")
    assert request.method == "PURGE"
    assert request.target == b"/caf%C3%A9%2Fx%FF?a=%20b"
    assert request.raw_path == b"/caf%C3%A9%2Fx%FF"
    assert request.path == "/café/x\ufffd"
    assert request.query_string == "a=%20b"
    assert request.http_version == "1.1"
    assert repr(request) == "<Request PURGE /caf%C3%A9%2Fx%FF?a=%20b>"


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=x+y%20z&b=%C3%A9", {"a": ["x y z"], "b": ["é"]}),
        (b"a=&b", {"a": [""], "b": [""]}),
        (b"a=%FF", {"a": ["\ufffd"]}),
        (b"a;b=1&%zz=1", {"a;b": ["1"], "%zz": ["1"]}),
    ],
)
async def test_args(query, fields) -> None:
    args = make_request(b"/?" + query).args
    assert {name: args.getlist(name) for name in args} == fields


async def test_too_many_args_are_the_clients_mistake() -> None:
    assert len(make_request(b"/?" + b"&".join([b"a"] * MAX_QUERY_FIELDS)).args.getlist("a")) == MAX_QUERY_FIELDS
    with pytest.raises(BadRequest, match="more than 1000"):
        _ = make_request(b"/?" + b"&".join([b"a"] * (MAX_QUERY_FIELDS + 1))).args


@pytest.mark.parametrize(
    ("method", "safe", "idempotent", "cacheable"),
    [
        ("GET", True, True, True),
        ("HEAD", True, True, True),
        ("OPTIONS", True, True, False),
        ("TRACE", True, True, False),
        ("PUT", False, True, False),
        ("DELETE", False, True, False),
        ("POST", False, False, False),
        ("get", False, False, False),
    ],
)
async def test_what_a_method_promises(method, safe, idempotent, cacheable) -> None:
    request = make_request(method=method)
    assert (request.is_safe, request.is_idempotent, request.is_cacheable) == (safe, idempotent, cacheable)


# --- the headers ------------------------------------------------------------------------------------------------------


async def test_headers_are_parsed_once() -> None:
    request = make_request(headers={"accept": "text/html", "cookie": "a=1; b=2", "content-type": "text/x"})
    assert request.headers["Accept"] == "text/html"
    assert request.headers is request.headers
    assert dict(request.cookies) == {"a": "1", "b": "2"}
    assert request.cookies is request.cookies
    assert request.accept.match("text/plain", "text/html") == "text/html"
    assert request.content_type == "text/x"


async def test_without_headers() -> None:
    request = make_request()
    assert request.content_type is None
    assert len(request.cookies) == 0
    assert request.accept.match("text/plain") == "text/plain"
    assert request.credentials is None
    assert request.token is None


async def test_credentials_and_token() -> None:
    bearer = make_request(headers={"authorization": "Bearer abc"})
    assert bearer.token == "abc"
    basic = make_request(headers={"authorization": "Basic YTpi"})
    assert basic.token is None
    assert basic.credentials is not None
    assert (basic.credentials.username, basic.credentials.password) == ("a", "b")


async def test_an_id_that_is_given_is_taken() -> None:
    assert make_request(headers={"x-request-id": "Root=1-67a/b:c+d=@~._"}).id == "Root=1-67a/b:c+d=@~._"


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "\x1b[31m", "é", '"x"', "a, b"])
async def test_an_id_that_is_none_is_made_and_kept(given) -> None:
    request = make_request(headers={"x-request-id": given})
    assert str(uuid.UUID(request.id)) == request.id
    assert request.id is request.id
    assert request.id != make_request().id


async def test_ctx_is_the_users_own() -> None:
    request = make_request()
    request.ctx.user = "ann"
    assert request.ctx.user == "ann"


# --- where it came from -----------------------------------------------------------------------------------------------


async def test_a_direct_connection() -> None:
    request = make_request(b"/a%20b?c=d", {"x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https"})
    assert (request.client_ip, request.client_port) == ("203.0.113.9", 4711)
    assert (request.scheme, request.host) == ("http", "a.example")
    assert request.url == "http://a.example/a%20b?c=d"
    assert request.conn_info is request.exchange.conn


async def test_tls() -> None:
    assert make_request(conn=ConnInfo(tls=object())).url == "https://a.example/"


@pytest.mark.parametrize(
    ("conn", "headers", "scheme"),
    [
        (None, {}, "ws"),
        (ConnInfo(tls=object()), {}, "wss"),
        (None, {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, "wss"),
        (None, {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "wss"}, "wss"),
        (ConnInfo(tls=object()), {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "ws"}, "ws"),
    ],
)
async def test_on_the_route_of_a_websocket(conn: ConnInfo | None, headers: dict[str, str], scheme: str) -> None:
    request = make_request(b"/feed?a", headers, conn=conn, config={"PROXIES_COUNT": 1})
    before = scheme.replace("ws", "http")
    assert (request.scheme, request.url) == (before, f"{before}://a.example/feed?a")
    request.route = Route(
        uri="/feed", methods=frozenset({"GET"}), name="feed", handler=print, websocket=WebSocketOptions()
    )
    assert (request.scheme, request.url) == (scheme, f"{scheme}://a.example/feed?a")


async def test_behind_a_proxy_that_is_trusted() -> None:
    headers = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", "x-forwarded-host": "b.example"}
    request = make_request(headers=headers, config={"PROXIES_COUNT": 1})
    assert (request.client_ip, request.client_port) == ("192.0.2.1", None)
    assert request.url == "https://b.example/"
    assert request.forwarded.host == "b.example"


@pytest.mark.parametrize(
    ("target", "authority", "url"),
    [
        (b"*", b"a.example:81", "http://a.example:81"),
        (b"/a?b", b"", "/a?b"),
        (b"//evil.example/", b"a", "http://a//evil.example/"),
    ],
)
async def test_urls_of_odd_targets(target, authority, url) -> None:
    assert make_request(target, authority=authority).url == url


# --- the body ---------------------------------------------------------------------------------------------------------


async def test_the_body_is_received_once_and_kept() -> None:
    request = make_request(body=[b"one", b"two"])
    assert await request.receive_body() == b"onetwo"
    assert await request.receive_body() == b"onetwo"
    assert request.body == b"onetwo"
    assert request.text == "onetwo"


async def test_receiving_at_the_same_time_gives_the_same() -> None:
    arrived = trio.Event()
    request = make_request(body=[b"one", arrived, b"two"])
    bodies = []

    async def receive() -> None:
        bodies.append(await request.receive_body())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        arrived.set()
    assert bodies == [b"onetwo", b"onetwo"]


async def test_a_body_that_is_not_there_says_how_to_get_it() -> None:
    request = make_request(body=[b"one"])
    with pytest.raises(ServerError, match=r"await request\.receive_body\(\) first"):
        _ = request.body


async def test_a_request_without_a_body_has_an_empty_one() -> None:
    request = make_request()
    assert request.body == b""
    assert request.json is None
    assert await request.receive_body() == b""


async def test_a_body_that_failed_is_not_taken_for_a_whole_one() -> None:
    request = make_request(body=[b"one", RequestTimeout(), b"two"])
    with pytest.raises(RequestTimeout):
        await request.receive_body()
    with pytest.raises(ServerError, match="lost"):
        await request.receive_body()
    with pytest.raises(ServerError, match="lost"):
        _ = request.body


async def test_a_body_whose_receiving_was_cancelled_is_lost() -> None:
    request = make_request(body=[b"one", trio.Event()])
    with trio.CancelScope() as scope:
        scope.cancel()
        await request.receive_body()
    with pytest.raises(ServerError, match="lost"):
        await request.receive_body()


async def test_the_stream_is_the_exchanges_and_can_be_limited() -> None:
    request = make_request(body=[b"one", b"two"])
    assert request.stream is request.exchange.body
    request.stream.request_max_size = 5
    with pytest.raises(PayloadTooLarge):
        await request.receive_body()


async def test_what_is_left_of_a_body() -> None:
    request = make_request(body=[b"one", b"two"])
    assert await request.stream.read() == b"one"
    assert await request.receive_body() == b"two"


async def received(body: bytes, content_type: str = "", **options: Any) -> Request:
    request = make_request(headers={"content-type": content_type}, body=[body], **options)
    await request.receive_body()
    return request


async def test_text_in_its_charset() -> None:
    assert (await received(b"\xe9", "text/plain; charset=iso-8859-1")).text == "é"
    with pytest.raises(BadRequest):
        _ = (await received(b"\xe9")).text
    with pytest.raises(HTTPError, match="charset"):
        _ = (await received(b"", "text/plain; charset=idna")).text


async def test_json_is_parsed_once() -> None:
    request = await received(b'{"a": [1]}')
    assert request.json == {"a": [1]}
    assert request.json is request.json


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
async def test_what_is_no_json_is_the_clients_mistake(body) -> None:
    request = await received(body)
    with pytest.raises(BadRequest, match="not valid JSON"):
        _ = request.json


async def test_json_by_another_parser() -> None:
    assert (await received(b"5", loads=lambda body: body * 2)).json == b"55"
    assert (await received(b"5")).load_json(lambda body: body * 3) == b"555"


# --- the response -----------------------------------------------------------------------------------------------------


async def test_responding_piece_by_piece() -> None:
    request = make_request()
    assert not request.responded
    response = await request.respond(status=201, headers={"x-a": "1"}, content_type="text/x")
    assert request.responded
    assert sent(request) == []
    await response.send("one")
    assert sent(request) == [("head", 201, ((b"x-a", b"1"), (b"content-type", b"text/x")), None), ("data", b"one")]
    await request.finish_response()
    assert sent(request)[-1] == ("end",)


@pytest.mark.parametrize(
    ("status", "headers", "content_type"),
    [(200, None, b"application/octet-stream"), (200, {"content-type": "text/x"}, b"text/x"), (204, None, None)],
)
async def test_a_response_without_a_content_type_is_octets(status, headers, content_type) -> None:
    request = make_request()
    async with await request.respond(status=status, headers=headers):
        pass
    assert dict(sent(request)[0][2]).get(b"content-type") == content_type


async def test_respond_with_a_response_sends_its_body_first() -> None:
    request = make_request()
    stream = await request.respond(text("one", 202))
    await stream.send("two")
    assert sent(request) == [("head", 202, PLAIN, None), ("data", b"one"), ("data", b"two")]


async def test_respond_with_a_response_that_is_streamed() -> None:
    async def pieces():
        yield b"one"

    request = make_request()
    await request.respond(Response(pieces(), content_type="text/x"))
    assert sent(request)[1:] == [("data", b"one")]


async def test_respond_with_an_empty_response_sends_nothing_yet() -> None:
    request = make_request()
    await request.respond(empty())
    assert sent(request) == []


async def test_responding_twice_is_an_error() -> None:
    request = make_request()
    await request.respond()
    with pytest.raises(ServerError, match="the response has begun"):
        await request.respond()


async def test_responding_to_what_has_been_answered_is_an_error() -> None:
    request = make_request()
    await request.exchange.send_response(200, (), b"")
    assert request.responded
    await request.finish_response()
    with pytest.raises(ServerError, match="the response has begun"):
        await request.respond()
    assert len(sent(request)) == 1


async def test_a_response_that_could_not_begin_may_be_tried_again() -> None:
    request = make_request()
    with pytest.raises(LocalProtocolError):
        await request.respond(headers={"x-a": "\n"})
    await request.respond()


async def test_informational_responses() -> None:
    request = make_request()
    await request.send_informational(103, [("Link", "</a>"), ("Link", "</b>")])
    await request.send_informational(102)
    assert sent(request) == [
        ("informational", 103, ((b"link", b"</a>"), (b"link", b"</b>"))),
        ("informational", 102, ()),
    ]


# --- the lifetime -----------------------------------------------------------------------------------------------------


async def test_the_deadline_is_the_lifetimes() -> None:
    request = make_request()
    assert request.deadline == math.inf
    request.deadline = trio.current_time() + 5
    assert request.exchange.lifetime.deadline == request.deadline


async def test_cancelling() -> None:
    request = make_request()
    request.cancel()
    assert request.exchange.lifetime.reason == "application"


async def test_the_blocks_are_the_lifetimes() -> None:
    request = make_request()
    with request.shielded(5):
        request.cancel()
        await trio.lowlevel.checkpoint()
    assert type(request.cancellable()) is type(request.exchange.lifetime.cancellable())


async def test_the_client_leaving() -> None:
    request = make_request()
    assert not request.disconnected
    request.exchange.lifetime.peer_reset()
    assert request.disconnected
    await request.wait_disconnected()


async def test_the_nursery_is_the_lifetimes() -> None:
    async with trio.open_nursery() as connection:
        request = make_request(spawn=connection.start_soon)
        ran = trio.Event()

        async def handle() -> None:
            async def child() -> None:
                ran.set()

            request.nursery.start_soon(child)

        await request.exchange.lifetime.run(handle)
        assert ran.is_set()

"""A WebSocket as its handler sees it: what each operation does, and what is left when it fails or is cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, assert_no_checkpoints, wait_all_tasks_blocked
from websocket_peer import (
    Frame,
    WebSocketPeer,
    close,
    closing,
    needs_epoll,
    on_each,
    ping,
    pong,
    settled,
    text,
    websocket,
)
from written_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

from trioframe import App, LocalProtocolError, RequestCancelled, WebSocket, WebSocketClosed
from trioframe import text as refusal
from trioframe.ws.ended import Broken, Ended
from trioframe.ws.outbox import WORK_PER_FRAME
from trioframe.ws.websocket import WORK_PER_TURN

CLOSE_TIMEOUT = 5.0  # seconds
STUCK = bytes(1 << 20)
UNFINISHED = closing(1011, "a message could not be completed")

Handler = Callable[[WebSocket], Awaitable[object]]


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


# --- accepting --------------------------------------------------------------------------------------------------------


async def receive_piece(ws: WebSocket) -> object:
    return await anext(ws.recv_streaming())


OPERATIONS: dict[str, Handler] = {
    "accept": WebSocket.accept,
    "recv": WebSocket.recv,
    "recv_streaming": receive_piece,
    "send": lambda ws: ws.send("a"),
    "send pieces": lambda ws: ws.send(pieces("a")),
    "ping": WebSocket.ping,
    "pong": WebSocket.pong,
    "close": WebSocket.close,
}


async def pieces(*these: Any) -> AsyncIterator[Any]:
    for piece in these:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_first_operation_accepts(name: str, autojump_clock: MockClock) -> None:
    async with websocket(OPERATIONS[name], accept=False) as peer:
        assert await peer.stream.receive_some(12) == b"HTTP/1.1 101"
        assert trio.current_time() == 0
        assert peer.ws.accepted


async def test_accepting_twice_changes_nothing(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        assert not ws.accepted
        assert (ws.closed, ws.close_code, ws.close_reason) == (False, None, "")
        async with trio.open_nursery() as nursery:
            for _ in range(3):  # also at once
                nursery.start_soon(ws.accept)
            nursery.start_soon(ws.send, "a")
        await ws.accept({"x-late": "unseen"})
        await ws.send("b")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert b"x-late" not in peer.head
        assert await peer.read_many(3) == [Frame(TEXT, b"a"), Frame(TEXT, b"b"), closing()]


async def test_headers_go_with_it(autojump_clock: MockClock) -> None:
    async with websocket(lambda ws: ws.accept([("X-A", "1"), ("Set-Cookie", "a=b")]), accept=False) as peer:
        await peer.read_head()
        assert b"\r\nx-a: 1\r\nset-cookie: a=b\r\n" in peer.head.lower() + b"\r\n"


@pytest.mark.parametrize("headers", [{"x": "a\nb"}, {"upgrade": "websocket"}, {"sec-websocket-accept": "x"}])
async def test_headers_that_cannot_be_sent_leave_it_as_it_was(
    headers: dict[str, str], autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.accept(headers)
        assert not ws.accepted
        await ws.send("accepted")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert await peer.read() == Frame(TEXT, b"accepted")


async def test_accept_after_the_end(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.leave()
        await peer.ws.accept()  # it was
    async with websocket(sleep, accept=False) as peer:
        await wait_all_tasks_blocked()
        peer.reset()
        await peer.served.wait()
        with pytest.raises(Broken, match="1006"):
            await peer.ws.accept()


async def test_an_accept_that_is_cancelled_closes_the_connection(autojump_clock: MockClock) -> None:
    """When the handler has ended; until then nothing can be done any more."""

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1) as scope:
            await ws.accept({"x": "a" * 1000})
        assert scope.cancelled_caught
        for operation in (ws.accept, ws.recv, ws.close):
            with pytest.raises(RequestCancelled):
                await operation()

    async with websocket(handler, accept=False, buffer_size=200) as peer:
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at, peer.ws.accepted) == ("returned", 1, False)
        assert len(await peer.stream.receive_some()) == 200
        with pytest.raises(AssertionError, match="left"):
            await peer.read()


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_handshake_that_a_middleware_refuses(name: str, autojump_clock: MockClock) -> None:
    """The handler is told, by whatever it does first."""
    errors: list[WebSocketClosed] = []

    async def handler(ws: WebSocket) -> None:
        for operation in (OPERATIONS[name], WebSocket.accept, WebSocket.recv):
            with pytest.raises(Broken) as caught:
                await operation(ws)
            errors.append(caught.value)
        assert (ws.accepted, ws.closed, ws.close_code) == (False, True, 1006)
        await ws.close()

    def refuse(app: App) -> None:
        app.on_response(lambda request, response: refusal("no", status=403))

    async with websocket(handler, accept=False, prepare=refuse) as peer:
        assert await peer.stream.receive_some(12) == b"HTTP/1.1 403"
        await peer.ended.wait()
        assert (peer.fate, {error.code for error in errors}) == ("returned", {1006})


async def test_how_it_stands(autojump_clock: MockClock) -> None:
    async with websocket(sleep, route={"subprotocols": ["chat"]}) as peer:
        ws = peer.ws
        assert ws.subprotocol is None
        assert (ws.accepted, ws.closed, ws.close_code, ws.close_reason) == (True, False, None, "")
        assert repr(ws) == "<WebSocket of <GET />, OPEN>"
        await peer.send(close(4000, "why"))
        await peer.read_to_end()
        assert (ws.accepted, ws.closed, ws.close_code, ws.close_reason) == (True, True, 4000, "why")
        assert repr(ws) == "<WebSocket of <GET />, CLOSED>"


# --- sending ----------------------------------------------------------------------------------------------------------


class Text(str):
    """A kind of text."""

    __slots__ = ()


MESSAGES: list[tuple[object, Frame]] = [
    ("", Frame(TEXT)),
    ("é", Frame(TEXT, "é".encode())),
    (b"", Frame(BINARY)),
    (b"\0\xff", Frame(BINARY, b"\0\xff")),
    (bytearray(b"ab"), Frame(BINARY, b"ab")),
    (memoryview(b"abcd")[::2], Frame(BINARY, b"ac")),
    (Text("kind"), Frame(TEXT, b"kind")),
    ("a" * 126, Frame(TEXT, b"a" * 126)),
    (bytes(70_000), Frame(BINARY, bytes(70_000))),
]


@on_each
async def test_a_message_is_sent_as_what_it_is(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        for message, _ in MESSAGES:
            await ws.send(message)  # type: ignore[arg-type]

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(len(MESSAGES)) == [frame for _, frame in MESSAGES]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (1, TypeError),
        (None, TypeError),
        ([b"a"], TypeError),
        ("\ud800", LocalProtocolError),
    ],
)
async def test_what_cannot_be_sent_changes_nothing(
    message: object, error: type[Exception], autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(error):
            await ws.send(message)  # type: ignore[arg-type]
        await ws.send("next")

    async with websocket(handler) as peer:
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
async def test_messages_of_several_tasks_leave_in_the_order_of_asking(
    transport: str, autojump_clock: MockClock
) -> None:
    """While the peer does not read."""
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        for number in range(20):
            message = pieces(f"{number}") if number == 10 else f"{number}"
            nursery.start_soon(peer.ws.send, message)
            await wait_all_tasks_blocked()
        assert (await peer.read()).payload == STUCK
        frames = await peer.read_many(21)
        assert b"".join(frame.payload for frame in frames) == b"".join(b"%d" % number for number in range(20))


@on_each
async def test_pings_are_answered_behind_a_frame_that_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    """The last one, which answers all."""
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        for number in range(100):
            await peer.send(ping(b"%d" % number))
            if number % 10 == 0:
                await settled()
        await settled()
        nursery.start_soon(peer.ws.send, "next")
        await settled()
        assert await peer.read() == Frame(BINARY, STUCK)
        assert await peer.read_many(2) == [Frame(PONG, b"99"), Frame(TEXT, b"next")]


@on_each
async def test_a_message_does_not_tear_a_control_frame_that_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport, buffer_size=50) as peer, trio.open_nursery() as nursery:
        control = bytes([0x8A, 126]) + (60_000).to_bytes(2) + bytes(60_000)  # larger than any, to be stuck anywhere
        stuck = 10
        peer.ws._outbox.send_soon(control * stuck)
        for message in ("1", pieces("2"), "3"):
            nursery.start_soon(peer.ws.send, message)
            await wait_all_tasks_blocked()
        assert await peer.read_many(stuck) == [Frame(PONG, bytes(60_000))] * stuck
        frames = await peer.read_many(4)
        assert [frame.payload for frame in frames] == [b"1", b"2", b"", b"3"]


@on_each
async def test_a_peer_that_closes_while_a_frame_is_stuck(transport: str, autojump_clock: MockClock) -> None:
    """The frame leaves whole, and our close behind it; what waited is not sent."""
    errors: list[WebSocketClosed] = []

    async def send(ws: WebSocket) -> None:
        try:
            await ws.send("never")
        except WebSocketClosed as error:
            errors.append(error)

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        nursery.start_soon(send, peer.ws)
        await peer.send(close(4000))
        await settled()
        assert await peer.read_to_end() == [Frame(BINARY, STUCK), closing(4000)]
        assert [(type(error), error.code) for error in errors] == [(Broken, 4000)]


@on_each
async def test_a_send_that_is_cancelled_before_it_begins_sends_nothing(
    transport: str, autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        for message in ("never", pieces("never")):
            with trio.CancelScope() as scope:
                scope.cancel()
                await ws.send(message)
            assert scope.cancelled_caught
        await ws.send("next")

    async with websocket(handler, transport) as peer:
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_send_that_is_cancelled_before_its_turn_sends_nothing(
    transport: str, in_pieces: bool, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        with trio.move_on_after(1) as scope:
            await peer.ws.send(pieces("never") if in_pieces else "never")
        assert scope.cancelled_caught
        nursery.start_soon(peer.ws.send, "next")
        assert await peer.read() == Frame(BINARY, STUCK)
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_send_that_is_cancelled_within_a_frame_cuts_the_connection(
    transport: str, in_pieces: bool, autojump_clock: MockClock
) -> None:
    """And its handler goes on."""
    errors: list[WebSocketClosed] = []

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1):
            await ws.send(pieces(STUCK) if in_pieces else STUCK)
        for operation in OPERATIONS.values():
            try:
                await operation(ws)
            except WebSocketClosed as error:
                errors.append(error)
        await trio.sleep(1)

    async with websocket(handler, transport) as peer:
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at) == ("returned", pytest.approx(2, abs=0.2))
        assert await peer.read_to_end() == []
        assert 0 < len(peer.received) < len(STUCK)
        assert {(type(error), error.code) for error in errors} == {(Broken, 1006)}
        assert len(errors) == len(OPERATIONS) - 2  # but accept, which was done, and close, which has no effect


async def test_a_send_that_is_cancelled_behind_its_frame_cuts_it_too(autojump_clock: MockClock) -> None:
    """A control frame is stuck there."""
    head_was_read = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await head_was_read.wait()
        with trio.move_on_after(1) as scope:
            await ws.send(bytes(146))
        assert scope.cancelled_caught
        with pytest.raises(Broken, match="1006"):
            await ws.send("never")

    async with websocket(handler, buffer_size=100) as peer:
        head_was_read.set()
        await wait_all_tasks_blocked()
        await peer.send(ping(bytes(90)))
        await wait_all_tasks_blocked()
        peer.received += await peer.stream.receive_some(60)  # so that there is room for ten octets of the pong
        await peer.ended.wait()
        assert peer.fate == "returned"
        assert await peer.read_to_end() == [Frame(BINARY, bytes(146))]
        assert len(peer.received) == 10


async def test_others_have_their_turn_while_much_is_sent(autojump_clock: MockClock) -> None:
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bystander)
            for _ in range(1000):
                await ws.send("a")
            nursery.cancel_scope.cancel()

    async with websocket(handler, "unix") as peer:
        assert len(await peer.read_many(1000)) == 1000
        assert turns > 1000 * WORK_PER_FRAME / WORK_PER_TURN / 2


@on_each
async def test_every_operation_can_be_cancelled_where_it_begins(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        for operation in OPERATIONS.values():
            with trio.CancelScope() as scope:
                scope.cancel()
                await operation(peer.ws)
            assert scope.cancelled_caught
        assert await peer.read_now() == []


# --- in pieces --------------------------------------------------------------------------------------------------------


class Pieces:
    """An asynchronous iterable that is no generator."""

    def __init__(self, *these: str | bytes) -> None:
        self._left = list(these)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str | bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


@on_each
@pytest.mark.parametrize("kind", [pieces, Pieces])
@pytest.mark.parametrize(
    ("these", "frames"),
    [
        (("a",), [Frame(TEXT, b"a", False), Frame(CONTINUATION)]),
        (
            (b"a", bytearray(b""), memoryview(b"b")),
            [
                *(Frame(BINARY, b"a", False), Frame(CONTINUATION, b"", False), Frame(CONTINUATION, b"b", False)),
                Frame(CONTINUATION),
            ],
        ),
        ((), []),
        (("",), [Frame(TEXT, b"", False), Frame(CONTINUATION)]),
    ],
)
async def test_pieces_are_the_frames_of_one_message(
    transport: str,
    kind: Callable[..., AsyncIterator[str | bytes]],
    these: tuple[str | bytes, ...],
    frames: list[Frame],
    autojump_clock: MockClock,
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(kind(*these))
        await ws.send("next")

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(len(frames) + 1) == [*frames, Frame(TEXT, b"next")]


@on_each
async def test_each_is_sent_when_it_is_there_and_others_wait_for_the_last(
    transport: str, autojump_clock: MockClock
) -> None:
    """But control frames do not (RFC 6455 section 5.4)."""
    go_on = trio.Event()

    async def slowly() -> AsyncIterator[str]:
        yield "1"
        await go_on.wait()
        yield "2"

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, slowly())
        assert await peer.read() == Frame(TEXT, b"1", fin=False)
        nursery.start_soon(peer.ws.send, "next")
        await peer.send(ping(b"p"))
        assert await peer.read() == Frame(PONG, b"p")
        assert await peer.read_now() == []
        go_on.set()
        assert await peer.read_many(3) == [
            *(Frame(CONTINUATION, b"2", fin=False), Frame(CONTINUATION), Frame(TEXT, b"next")),
        ]


FAILING: dict[str, tuple[tuple[object, ...], type[Exception]]] = {
    "it raises": (("a", KeyError("broken")), KeyError),
    "two types": (("a", b"b"), LocalProtocolError),
    "no message": (("a", 1), TypeError),
    "no Unicode": (("a", "\ud800"), LocalProtocolError),
}


@on_each
@pytest.mark.parametrize("kind", FAILING)
async def test_a_message_that_cannot_be_completed_closes(transport: str, kind: str, autojump_clock: MockClock) -> None:
    these, error = FAILING[kind]
    generator = pieces(*these)

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(error):
            await ws.send(generator)
        assert (ws.closed, ws.close_code) == (True, 1011)
        with pytest.raises(Broken, match="1011"):
            await ws.send("never")

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(2) == [Frame(TEXT, b"a", fin=False), UNFINISHED]
        await peer.send(close(1011))
        assert await peer.read_to_end() == []
        await peer.ended.wait()
        assert peer.fate == "returned"
    with pytest.raises(StopAsyncIteration):
        await anext(generator)


@pytest.mark.parametrize("kind", FAILING)
async def test_one_that_fails_before_its_first_piece_changes_nothing(kind: str, autojump_clock: MockClock) -> None:
    these, error = FAILING[kind]
    if kind == "two types":
        return

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(error):
            await ws.send(pieces(*these[1:]))
        await ws.send("next")

    async with websocket(handler) as peer:
        assert await peer.read() == Frame(TEXT, b"next")


@on_each
async def test_one_that_is_cancelled_between_its_pieces_closes(transport: str, autojump_clock: MockClock) -> None:
    closed: list[str] = []

    async def endless() -> AsyncIterator[str]:
        try:
            yield "1"
            await trio.sleep_forever()
        finally:
            closed.append("generator")

    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1) as scope:
            await ws.send(endless())
        assert scope.cancelled_caught
        assert closed == ["generator"]

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(2) == [Frame(TEXT, b"1", fin=False), UNFINISHED]
        await peer.send(close(1011))
        assert await peer.read_to_end() == []
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_one_whose_peer_closes_meanwhile_is_not_completed(transport: str, autojump_clock: MockClock) -> None:
    go_on = trio.Event()

    async def slowly() -> AsyncIterator[str]:
        yield "1"
        await go_on.wait()
        yield "2"

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(Broken, match="4000"):
            await ws.send(slowly())

    async with websocket(handler, transport) as peer:
        assert await peer.read() == Frame(TEXT, b"1", fin=False)
        await peer.send(close(4000))
        await settled()
        go_on.set()
        assert await peer.read_to_end() == [closing(4000)]
        await peer.ended.wait()
        assert peer.fate == "returned"


# --- pings ------------------------------------------------------------------------------------------------------------


@on_each
async def test_a_ping_tells_how_long_its_pong_took(transport: str, autojump_clock: MockClock) -> None:
    took: list[float] = []

    async def handler(ws: WebSocket) -> None:
        took.append(await ws.ping())
        took.append(await ws.ping(b"mine"))
        took.append(await ws.ping(b""))

    async with websocket(handler, transport) as peer:
        for number in range(3):
            opcode, payload, _ = await peer.read()
            assert opcode == PING
            assert (len(payload) == 4) if number == 0 else payload == (b"mine", b"")[number - 1]
            await trio.sleep(number + 1)
            await peer.send(pong(b"another"), pong(payload))
        await peer.ended.wait()
        assert took == pytest.approx([1, 2, 3], abs=0.1)


async def test_pings_of_several_tasks(autojump_clock: MockClock) -> None:
    """The pong of the latest answers all of them."""
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(peer.ws.ping)
        payloads = [(await peer.read()).payload for _ in range(3)]
        assert len(set(payloads)) == 3
        await peer.send(pong(payloads[-1]))


async def test_a_ping_waits_for_a_frame_that_is_stuck(autojump_clock: MockClock) -> None:
    """Its time counts from when it leaves."""
    took: list[float] = []

    async def measure(ws: WebSocket) -> None:
        took.append(await ws.ping(b"p"))

    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.send, STUCK)
        await settled()
        nursery.start_soon(measure, peer.ws)
        await trio.sleep(10)
        assert await peer.read_many(2) == [Frame(BINARY, STUCK), Frame(PING, b"p")]
        await trio.sleep(1)
        await peer.send(pong(b"p"))
    assert took == [1]


async def test_a_ping_that_cannot_be_sent(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        with pytest.raises(LocalProtocolError, match="125"):
            await peer.ws.ping(bytes(126))
        with pytest.raises(LocalProtocolError, match="125"):
            await peer.ws.pong(bytes(126))
        nursery.start_soon(peer.ws.ping, b"p")
        await wait_all_tasks_blocked()
        with pytest.raises(LocalProtocolError, match="take another one"):
            await peer.ws.ping(b"p")
        assert await peer.read_now() == [Frame(PING, b"p")]
        await peer.send(pong(b"p"))


async def test_a_ping_that_is_cancelled_is_waited_for_no_more(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        for _ in range(2):
            with trio.move_on_after(1) as scope:
                await peer.ws.ping(b"p")
            assert scope.cancelled_caught
        assert await peer.read_now() == [Frame(PING, b"p")] * 2
        assert len(peer.ws._pings or ()) == 0


@on_each
async def test_a_ping_whose_websocket_ends(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(Broken, match="4000"):
            await ws.ping()
        with pytest.raises(Broken, match="4000"):
            await ws.ping()
        with pytest.raises(Broken, match="4000"):
            await ws.pong()

    async with websocket(handler, transport) as peer:
        assert (await peer.read()).opcode == PING
        await peer.send(close(4000))
        assert await peer.read_to_end() == [closing(4000)]
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_a_pong_that_nobody_asked_for(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with assert_checkpoints():
            await ws.pong()
        await ws.pong(b"alive")

    async with websocket(handler, transport) as peer:
        assert await peer.read_many(2) == [Frame(PONG), Frame(PONG, b"alive")]


# --- closing ----------------------------------------------------------------------------------------------------------


@on_each
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "words"), (4999, "é" * 61)])
async def test_close_waits_for_the_peer_to_close_too(
    transport: str, code: int, reason: str, autojump_clock: MockClock
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(code, reason)
        assert trio.current_time() == pytest.approx(2, abs=0.1)
        assert (ws.closed, ws.close_code, ws.close_reason) == (True, code, reason)
        for operation in (ws.recv, ws.ping, ws.pong):
            with pytest.raises(WebSocketClosed, match=str(code)):
                await operation()
        with assert_checkpoints():
            await ws.close(1001, "too late")
        await ws.aclose()
        assert ws.close_code == code

    async with websocket(handler, transport) as peer:
        assert await peer.read() == closing(code, reason)
        await trio.sleep(2)
        await peer.send(text("dropped"), close(1001, "theirs"))
        assert await peer.read_to_end() == []
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_but_only_for_a_moment(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close()
        await trio.sleep(1)

    async with websocket(handler, transport, WEBSOCKET_CLOSE_TIMEOUT=CLOSE_TIMEOUT) as peer:
        assert await peer.read_to_end() == [closing()]
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at) == ("returned", pytest.approx(CLOSE_TIMEOUT + 1, abs=0.1))
        assert peer.ws.close_code == 1000


@on_each
async def test_several_tasks_may_close(transport: str, autojump_clock: MockClock) -> None:
    """The first one says why."""
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        for code in (4000, 4001, 4002):
            nursery.start_soon(peer.ws.close, code)
            await wait_all_tasks_blocked()
        assert await peer.leave() == [closing(4000)]


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "a" * 124)])
async def test_a_close_that_cannot_be_sent_changes_nothing(code: int, reason: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        if code == 1005:  # no code at all
            await ws.close(code, reason)
            return
        with pytest.raises(LocalProtocolError):
            await ws.close(code, reason)
        assert (ws.closed, ws.close_code) == (False, None)
        await ws.send("open")

    async with websocket(handler) as peer:
        assert await peer.read() == (Frame(CLOSE) if code == 1005 else Frame(TEXT, b"open"))


@on_each
async def test_a_close_that_is_cancelled_was_sent(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1) as scope:
            await ws.close(4000)
        assert scope.cancelled_caught
        await ws.close()  # waits for the answer to the first
        assert ws.close_code == 4000

    async with websocket(handler, transport) as peer:
        assert await peer.read() == closing(4000)
        await trio.sleep(2)
        await peer.send(close(4000))
        assert await peer.read_to_end() == []
        await peer.ended.wait()
        assert (peer.fate, peer.ended_at) == ("returned", pytest.approx(2, abs=0.1))


@on_each
async def test_who_receives_is_told_when_another_task_has_closed(transport: str, autojump_clock: MockClock) -> None:
    async def receive(ws: WebSocket) -> None:
        with pytest.raises(Ended):
            await ws.recv()

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, ws)
            await wait_all_tasks_blocked()
            await ws.close()

    async with websocket(handler, transport) as peer:
        assert await peer.read() == closing()
        assert await peer.leave() == []
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_an_aclose_that_is_cancelled_cuts_the_connection(transport: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with trio.move_on_after(1) as scope:
            await ws.aclose()
        assert scope.cancelled_caught
        await trio.sleep(10)

    async with websocket(handler, transport) as peer:
        assert await peer.read_to_end() == [closing()]
        assert trio.current_time() == pytest.approx(1, abs=0.1)
        await peer.ended.wait()
        assert peer.fate == "returned"


async def test_an_aclose_that_is_cancelled_before_it_is_accepted(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.aclose()
        assert scope.cancelled_caught
        await ws.send("open")

    async with websocket(handler, accept=False) as peer:
        await peer.read_head()
        assert await peer.read() == Frame(TEXT, b"open")


@pytest.mark.parametrize(("code", "is_clean"), [(1000, True), (1001, True), (1011, False), (4000, False)])
async def test_who_iterates_while_another_task_closes(code: int, is_clean: bool, autojump_clock: MockClock) -> None:
    """The iteration ends as if the peer had closed; whoever looks sees that it was closed here."""
    seen: list[str] = []

    async def iterate(ws: WebSocket) -> None:
        try:
            async for _ in ws:
                pass
            seen.append("ended")
        except trio.ClosedResourceError as closed:
            seen.append(str(closed))
        with pytest.raises(trio.ClosedResourceError) as ended:
            await ws.recv()
        assert isinstance(ended.value, trio.EndOfChannel) is is_clean

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(iterate, ws)
            await trio.sleep(1)
            await ws.close(code, "bye")

    async with websocket(handler) as peer:
        assert await peer.read() == closing(code, "bye")
        assert await peer.leave() == []
        assert peer.fate == "returned"
        assert seen == ["ended" if is_clean else f"the WebSocket has ended with {code}: bye"]


async def test_who_goes_on_behind_the_end_leaves_others_their_turn(autojump_clock: MockClock) -> None:
    """A handler that logs each exception and tries again would otherwise stop the whole server."""

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(WebSocketClosed):
            await ws.recv()
        for operation in (partial(ws.send, "a"), partial(ws.send, some_pieces()), ws.recv, ws.ping, ws.pong):
            with assert_checkpoints(), pytest.raises(WebSocketClosed):
                await operation()
            with pytest.raises(trio.TooSlowError), trio.fail_after(0):
                await operation()

    async with websocket(handler) as peer:
        await peer.leave()
        await peer.ended.wait()
        assert peer.fate == "returned"


async def some_pieces() -> AsyncIterator[str]:
    yield "a"


async def test_closing_what_the_peer_has_closed(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(WebSocketClosed) as closed:
            await ws.recv()
        assert not isinstance(closed.value, trio.ClosedResourceError)
        await ws.close()
        with pytest.raises(trio.ClosedResourceError):
            await ws.recv()
        assert ws.close_code == 4000

    async with websocket(handler) as peer:
        await peer.send(close(4000))
        await peer.read_to_end()
        assert peer.fate == "returned"


async def test_it_is_a_channel(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        channel: trio.abc.Channel[str | bytes] = ws
        async with channel:
            await channel.send(await channel.receive())
        for operation in (partial(channel.send, "never"), channel.receive):
            with pytest.raises(trio.ClosedResourceError) as closed:
                await operation()
            assert isinstance(closed.value, WebSocketClosed)
            assert closed.value.code == 1000

    async with websocket(handler) as peer:
        await peer.send(text("a"))
        assert await peer.read_many(2) == [Frame(TEXT, b"a"), closing()]
        assert await peer.leave() == []
        await peer.ended.wait()
        assert peer.fate == "returned"


@on_each
async def test_a_fast_path_is_no_shortcut_around_the_end(transport: str, autojump_clock: MockClock) -> None:
    """What is sent behind the close of the peer is not sent, though the transport would take it."""

    async def handler(ws: WebSocket) -> None:
        await trio.sleep(1)
        for message in ("never", pieces("never")):
            with pytest.raises(Broken, match="1000"):
                await ws.send(message)

    async with websocket(handler, transport) as peer:
        assert await peer.leave() == [closing()]
        await peer.ended.wait()
        assert peer.fate == "returned"


# --- what it costs ----------------------------------------------------------------------------------------------------


class Tasks(trio.abc.Instrument):
    """Counts the tasks that are started, and the steps of one."""

    def __init__(self) -> None:
        self.started = 0
        self.steps = 0
        self.handler: trio.lowlevel.Task | None = None

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.started += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += task is self.handler


@on_each
async def test_an_echo_costs_no_task(transport: str, autojump_clock: MockClock) -> None:
    """And on the reactor one step of the handler: it is woken, and waits for the next message."""
    tasks = Tasks()

    async def echo(ws: WebSocket) -> None:
        tasks.handler = trio.lowlevel.current_task()
        async for message in ws:
            await ws.send(message)

    async with websocket(echo, transport) as peer:
        await echo_once(peer)
        trio.lowlevel.add_instrument(tasks)
        for _ in range(10):
            await echo_once(peer)
        trio.lowlevel.remove_instrument(tasks)
        assert tasks.started == 0
        assert tasks.steps == (10 if transport == "unix" else 20)


async def echo_once(peer: WebSocketPeer) -> None:
    await peer.send(text("hello"))
    assert await peer.read() == Frame(TEXT, b"hello")
    await settled()


@needs_epoll
async def test_a_small_message_is_sent_without_a_wait(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with assert_no_checkpoints():
            await ws.send("a")
            await ws.send("b")

    async with websocket(handler, "unix") as peer:
        assert await peer.read_many(2) == [Frame(TEXT, b"a"), Frame(TEXT, b"b")]

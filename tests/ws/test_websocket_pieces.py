"""Sending in pieces: they are the frames of one message, which is completed or the last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock
from websocket_peer import Frame, close, closing, on_each, pieces, ping, settled, websocket
from written_frames import BINARY, CONTINUATION, PONG, TEXT

from trioframe import LocalProtocolError, WebSocket
from trioframe.ws.ended import Broken

UNFINISHED = closing(1011, "a message could not be completed")


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


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


@pytest.mark.parametrize("kind", [kind for kind in FAILING if kind != "two types"])
async def test_one_that_fails_before_its_first_piece_changes_nothing(kind: str, autojump_clock: MockClock) -> None:
    these, error = FAILING[kind]

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

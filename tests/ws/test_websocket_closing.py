"""Closing: both sides do, and every task of the handler learns of it."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked
from websocket_peer import Frame, close, closing, on_each, pieces, text, websocket
from written_frames import CLOSE, TEXT

from trioframe import LocalProtocolError, WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken, Ended

CLOSE_TIMEOUT = 5.0  # seconds


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


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


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (999, ""), (5000, ""), (1000, "a" * 124)])
async def test_a_close_that_cannot_be_sent_changes_nothing(code: int, reason: str, autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.close(code, reason)
        assert (ws.closed, ws.close_code) == (False, None)
        await ws.send("open")

    async with websocket(handler) as peer:
        assert await peer.read() == Frame(TEXT, b"open")


async def test_a_close_without_a_code(autojump_clock: MockClock) -> None:
    async with websocket(lambda ws: ws.close(1005)) as peer:
        assert await peer.read() == Frame(CLOSE)
        await peer.send(close(4000))
        assert await peer.read_to_end() == []
        assert (peer.fate, peer.ws.close_code, peer.ws.close_reason) == ("returned", 1005, "")


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
        for operation in (partial(ws.send, "a"), partial(ws.send, pieces("a")), ws.recv, ws.ping, ws.pong):
            with assert_checkpoints(), pytest.raises(WebSocketClosed):
                await operation()
            with pytest.raises(trio.TooSlowError), trio.fail_after(0):
                await operation()

    async with websocket(handler) as peer:
        await peer.leave()
        await peer.ended.wait()
        assert peer.fate == "returned"


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

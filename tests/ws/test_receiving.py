"""Receiving: whole messages, one task at a time, and the end after all of them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked
from websocket_peer import (
    WebSocketPeer,
    binary,
    close,
    closing,
    first,
    last,
    more,
    on_each,
    ping,
    settled,
    text,
    websocket,
)
from written_frames import frame

from trioframe import WebSocket, WebSocketClosed
from trioframe.ws.ended import Broken, Ended


async def sleep(ws: WebSocket) -> None:
    await trio.sleep_forever()


@on_each
async def test_messages_are_received_as_they_were_sent(transport: str, autojump_clock: MockClock) -> None:
    sent = ["", "text", b"", b"\0\xff", "é" * 300, bytes(70_000), "in fragments", "in octets"]

    async def send(peer: WebSocketPeer) -> None:
        for message in sent[:-2]:
            await peer.send(text(message) if isinstance(message, str) else binary(message))
        await peer.send(first(b"in "), ping(), more(b"frag"), last(b"ments"))
        for octet in text("in octets"):
            await peer.send(bytes([octet]))
            await wait_all_tasks_blocked()

    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(send, peer)
        assert [await peer.ws.recv() for _ in sent] == sent


@on_each
async def test_each_is_a_checkpoint(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), text("2"), close())
        await settled()
        for message in ("1", "2"):
            with assert_checkpoints():
                assert await peer.ws.recv() == message
        with assert_checkpoints(), pytest.raises(Ended):
            await peer.ws.recv()


async def test_one_task_receives_at_a_time(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.recv)
        await wait_all_tasks_blocked()
        for receive in (peer.ws.recv, peer.ws.receive, peer.ws.__anext__, peer.ws.recv_streaming().__anext__):
            with pytest.raises(trio.BusyResourceError, match="another task is receiving"):
                await receive()
        await peer.send(text("a"))
    async with websocket(sleep) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.ws.recv_streaming().__anext__)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await peer.ws.recv()
        nursery.cancel_scope.cancel()


# --- the end ----------------------------------------------------------------------------------------------------------


@on_each
@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_all_that_came_before_the_end_is_received_before_it(
    transport: str, code: int, autojump_clock: MockClock
) -> None:
    async with websocket(sleep, transport) as peer:
        await peer.send(text("1"), binary(b"2"), close(code, "why"), text("late"))
        await settled()
        assert [await peer.ws.recv(), await peer.ws.recv()] == ["1", b"2"]
        for receive in (peer.ws.recv, peer.ws.receive, peer.ws.recv_streaming().__anext__, peer.ws.recv):
            with pytest.raises(Ended if code < 1002 else Broken) as caught:
                await receive()
            assert (caught.value.code, caught.value.reason) == (code, "why")


@on_each
async def test_also_when_we_have_closed(transport: str, autojump_clock: MockClock) -> None:
    async with websocket(sleep, transport) as peer, trio.open_nursery() as nursery:
        await peer.send(text("1"), text("2"))
        await settled()
        nursery.start_soon(peer.ws.close, 4000)
        assert await peer.read() == closing(4000)
        assert [await peer.ws.recv(), await peer.ws.recv()] == ["1", "2"]
        with pytest.raises(Broken, match="4000"):  # at once: nothing will come
            await peer.ws.recv()
        await peer.send(close(4000))


@pytest.mark.parametrize(("code", "is_clean"), [(1000, True), (1001, True), (None, True), (1002, False), (4000, False)])
async def test_iteration_ends_when_it_is_closed_in_order(
    code: int | None, is_clean: bool, autojump_clock: MockClock
) -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.extend([message async for message in ws])
        received.append("ended")

    async with websocket(handler) as peer:
        await peer.send(text("1"), frame(8) if code is None else close(code))
        await peer.ended.wait()
        assert received == (["1", "ended"] if is_clean else [])
        assert (peer.fate, type(peer.error)) == (("returned", type(None)) if is_clean else ("raised", Broken))


async def test_to_users_of_a_channel_it_is_the_end_or_a_break(autojump_clock: MockClock) -> None:
    async with websocket(sleep) as peer:
        await peer.leave()
        with pytest.raises(trio.EndOfChannel) as ended:
            await peer.ws.receive()
        assert isinstance(ended.value, WebSocketClosed)
    async with websocket(sleep, route={"on_disconnect": "ignore"}) as peer:
        await peer.stream.aclose()
        with pytest.raises(trio.BrokenResourceError) as broken:
            await peer.ws.receive()
        assert isinstance(broken.value, WebSocketClosed)


# --- others -----------------------------------------------------------------------------------------------------------


async def test_others_have_their_turn(autojump_clock: MockClock) -> None:
    """However many have come, each is a checkpoint."""
    received, turns = 0, 0

    async def handler(ws: WebSocket) -> None:
        nonlocal received
        async for _ in ws:
            received += 1

    async def bystander() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with websocket(handler) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(bystander)
        await peer.send(*(text("a") for _ in range(1000)), close())
        await peer.ended.wait()
        assert received == 1000
        assert turns > 1000
        nursery.cancel_scope.cancel()

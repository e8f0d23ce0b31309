"""The socket beneath a stream, if there is one."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import memory_stream_pair

from trioframe.server.sockets import conn_info, reset_on_close, socket_beneath


async def connected() -> tuple[trio.SocketStream, trio.SocketStream]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.testing.open_stream_to_socket_listener(listener)
    server = await listener.accept()
    await listener.aclose()
    return client, server


async def test_a_tcp_connection() -> None:
    client, server = await connected()
    info = conn_info(server)
    assert info.peername == client.socket.getsockname()
    assert info.sockname == client.socket.getpeername()
    assert not info.unix
    await client.aclose()
    await server.aclose()


async def test_a_socket_is_found_beneath_layers() -> None:
    client, server = await connected()

    class Layer:
        def __init__(self, transport_stream: object) -> None:
            self.transport_stream = transport_stream

    assert socket_beneath(Layer(Layer(server))) is server.socket
    await client.aclose()
    await server.aclose()


async def test_a_stream_without_a_socket() -> None:
    one, _ = memory_stream_pair()
    assert socket_beneath(one) is None
    assert conn_info(one).peername is None
    reset_on_close(one)


async def test_a_unix_socket() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with other:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(one))
        assert conn_info(stream).unix
        await stream.aclose()


async def test_a_peer_that_has_gone_has_no_name() -> None:
    client, server = await connected()
    await server.aclose()
    assert conn_info(server).peername is None
    reset_on_close(server)
    await client.aclose()


async def test_a_close_that_resets() -> None:
    client, server = await connected()
    reset_on_close(server)
    await server.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()

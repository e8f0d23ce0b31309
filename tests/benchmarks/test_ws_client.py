"""The client of WebSockets in the loads: its frames, its handshake, and what it takes for an echo."""

from __future__ import annotations

import socket

import pytest
from side_by_side.workload import BenchmarkError
from side_by_side.ws import client
from side_by_side.ws.client import BINARY, PING, PONG, TEXT, ask, masked, plain
from side_by_side.ws.echo_load import LETTERS, message

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + client.ACCEPT + b"\r\n\r\n"
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def test_a_masked_frame_is_that_of_the_rfc():
    # RFC 6455, 5.7
    assert masked(TEXT, b"Hello") == bytes.fromhex("818537fa213d7f9f4d5158")


@pytest.mark.parametrize(
    ("size", "head"),
    [(0, "8200"), (125, "827d"), (126, "827e007e"), (65535, "827effff"), (65536, "827f0000000000010000")],
)
def test_the_size_is_written_in_the_shortest_way(size, head):
    assert plain(BINARY, b"x" * size) == bytes.fromhex(head) + b"x" * size


@pytest.mark.parametrize("size", [0, 1, 4, 64, 200, 65536])
def test_what_is_masked_twice_is_what_it_was(size):
    payload = message(size)[1]
    frame = masked(BINARY, payload)
    covered = frame[len(frame) - size :]
    assert masked(BINARY, covered)[len(frame) - size :] == payload


def test_the_letters_differ():
    assert len(set(LETTERS)) == len(LETTERS) == 64


@pytest.mark.parametrize(("size", "first"), [(64, TEXT), (65536, BINARY)])
def test_a_message_has_its_size(size, first):
    assert message(size)[0] == first
    assert len(message(size)[1]) == size


def test_the_answer_to_the_handshake_is_taken():
    client._check_handshake(ACCEPTED)


@pytest.mark.parametrize(
    "answer",
    [
        ACCEPTED.replace(b"101", b"200"),
        ACCEPTED.replace(client.ACCEPT, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ACCEPTED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        ACCEPTED + plain(PING, b""),
    ],
    ids=["no switching", "of another key", "an extension", "something behind it"],
)
def test_another_answer_to_the_handshake_is_none(answer):
    with pytest.raises(BenchmarkError, match="handshake"):
        client._check_handshake(answer)


def test_an_echo_is_taken(pair):
    ours, theirs = pair
    theirs.sendall(plain(TEXT, b"Hello"))
    ask(ours, TEXT, b"Hello")
    assert theirs.recv(100) == masked(TEXT, b"Hello")


def test_a_ping_before_an_echo_has_its_pong(pair):
    ours, theirs = pair
    theirs.sendall(plain(PING, b"1234") + plain(PING, b"") + plain(TEXT, b"Hello"))
    ask(ours, TEXT, b"Hello")
    assert theirs.recv(100) == masked(TEXT, b"Hello") + masked(PONG, b"1234") + masked(PONG, b"")


@pytest.mark.parametrize("answer", [plain(TEXT, b"hello"), plain(BINARY, b"Hello")], ids=["other text", "binary"])
def test_something_else_is_no_echo(pair, answer):
    ours, theirs = pair
    theirs.sendall(answer)
    with pytest.raises(BenchmarkError, match="expected"):
        ask(ours, TEXT, b"Hello")


def test_the_end_is_no_echo(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises((BenchmarkError, ConnectionError)):
        ask(ours, TEXT, b"Hello")


def test_a_probe_of_nobody_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):  # so that it is tried again
        client.echoes(*message(64))(port)

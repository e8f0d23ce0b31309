"""The loads of WebSockets: what they count, and what they do not take for an answer."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from side_by_side.workload import BenchmarkError, Effort, Round
from side_by_side.ws import program
from side_by_side.ws.broadcast_load import Hearers
from side_by_side.ws.client import PING, PONG, TEXT, masked, plain
from side_by_side.ws.echo_load import LETTERS, Echoes

FRAME, ECHO = masked(TEXT, LETTERS), plain(TEXT, LETTERS)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def talk(pair):
    ours, theirs = pair
    with Echoes([ours], TEXT, LETTERS) as echoes:
        echoes.ask_all()
        assert theirs.recv(1000) == FRAME
        yield echoes, theirs


def test_an_echo_is_counted_and_the_next_message_sent(talk):
    echoes, theirs = talk
    theirs.sendall(ECHO)
    assert echoes.run(1e-9) > 0
    assert theirs.recv(1000) == FRAME


def test_an_echo_in_pieces_is_counted_once(talk):
    echoes, theirs = talk
    theirs.sendall(ECHO[:1])
    assert echoes.run(1e-9) == 0
    theirs.sendall(ECHO[1:])
    assert echoes.run(1e-9) > 0


def test_pings_around_an_echo_have_their_pongs(talk):
    echoes, theirs = talk
    theirs.sendall(plain(PING, b"1234") + ECHO[:10])
    assert echoes.run(1e-9) == 0
    assert theirs.recv(1000) == masked(PONG, b"1234")
    theirs.sendall(ECHO[10:] + plain(PING, b""))
    assert echoes.run(1e-9) > 0
    assert theirs.recv(1000) == masked(PONG, b"") + FRAME


def test_in_the_end_all_echoes_are_there(talk):
    echoes, theirs = talk
    theirs.sendall(ECHO)
    echoes.finish()
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1000)  # nothing was asked any more


def test_a_ping_behind_the_last_echo_is_none(talk):
    echoes, theirs = talk
    theirs.sendall(ECHO)
    theirs.sendall(plain(PING, b"1234"))
    echoes.finish()


@pytest.mark.parametrize("more", [ECHO, ECHO[:1]], ids=["an echo", "an octet"])
def test_in_the_end_there_must_be_no_more(talk, more):
    echoes, theirs = talk
    theirs.sendall(ECHO + more)
    with pytest.raises(BenchmarkError, match="more echoes"):
        echoes.finish()


@pytest.mark.parametrize("answer", [b"\x82" + ECHO[1:], ECHO[:1] + b"\x3f" + ECHO[2:], ECHO[1:]])
def test_a_frame_that_begins_otherwise_is_no_echo(talk, answer):
    echoes, theirs = talk
    theirs.sendall(answer)
    with pytest.raises(BenchmarkError, match="echo was expected"):
        echoes.run(1)


def test_a_server_that_closes_has_failed(talk):
    echoes, theirs = talk
    theirs.close()
    with pytest.raises(BenchmarkError, match="closed"):
        echoes.run(1)


def test_what_a_socket_does_not_take_is_sent_when_it_does(pair):
    ours, theirs = pair
    payload = bytes(4_000_000)
    with Echoes([ours], TEXT, payload) as echoes:
        echoes.ask_all()
        received = theirs.recv(10_000_000)
        assert len(received) < len(payload)
        while len(received) < len(masked(TEXT, payload)):
            theirs.setblocking(False)
            echoes.run(1e-9)  # it finds that there is room again
            theirs.settimeout(5)
            received += theirs.recv(10_000_000)
        assert received == masked(TEXT, payload)


@pytest.fixture
def audience():
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for ours, theirs in pairs:
            stack.enter_context(ours)
            stack.enter_context(theirs)
        yield stack.enter_context(Hearers([ours for ours, _ in pairs], 4)), [theirs for _, theirs in pairs]


def test_what_all_hear_is_counted_until_it_is_complete(audience):
    hearers, voices = audience
    for voice in voices:
        voice.sendall(ECHO * 4)
    assert hearers.hear(60) > 0


def test_when_the_time_is_over_whole_messages_count(audience, monkeypatch):
    hearers, voices = audience
    voices[0].sendall(ECHO + ECHO[:10])
    times = iter([0.0, 2.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    assert hearers.hear(1) == 1 / 2.0


@pytest.mark.parametrize(
    "told",
    [ECHO[1:], ECHO[:20] + ECHO[21:] + ECHO, ECHO * 5],
    ids=["no beginning", "a hole", "too much"],
)
def test_something_else_is_not_heard(audience, told):
    hearers, voices = audience
    voices[0].sendall(told)
    with pytest.raises(BenchmarkError, match="was expected"):
        hearers.hear(60)


def test_a_hole_between_pieces_is_found(audience):
    hearers, voices = audience
    voices[0].sendall(ECHO * 2)
    hearers.hear(1e-9)
    voices[0].sendall(ECHO[1:] + ECHO)
    with pytest.raises(BenchmarkError, match="message 2 was expected"):
        hearers.hear(60)


def test_an_audience_that_is_left_has_heard_enough(audience):
    hearers, voices = audience
    voices[0].close()
    with pytest.raises(BenchmarkError, match="closed"):
        hearers.hear(60)


def test_a_load_tells_what_it_found(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["load", '{"port": 1, "seconds": 2}'])
    monkeypatch.setattr(program.gc, "disable", lambda: None)
    program.be_load(lambda port, seconds: {"rate": port * seconds})
    found = json.loads(capsys.readouterr().out)
    assert found.pop(program.WAITED) >= 0
    assert found == {"rate": 2}


def test_how_long_a_load_waited_is_noted_in_the_round(monkeypatch):
    told = subprocess.CompletedProcess([], 0, '{"rate": 2.0, "waited": 0.5}', "")
    monkeypatch.setattr(program.subprocess, "run", lambda *_, **__: told)
    this = Round(Effort(1, 1, 0, 1), {}, {})
    assert program.run_load(this, "echo_load", seconds=1) == {"rate": 2.0}
    assert this.waits == [0.5]


def test_a_load_tells_why_it_found_nothing(monkeypatch):
    def fail(**_):
        raise BenchmarkError("nobody answers")

    monkeypatch.setattr(sys, "argv", ["load", "{}"])
    monkeypatch.setattr(program.gc, "disable", lambda: None)
    with pytest.raises(SystemExit, match="nobody answers"):
        program.be_load(fail)


def test_the_programs_of_the_loads_are_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for name, order in (
        ("echo_load", {"connections": 1, "size": 64, "warm_up": 0}),
        ("broadcast_load", {"connections": 1, "messages": 1}),
    ):
        with pytest.raises(BenchmarkError, match="Connection refused"):
            program.run_load(Round(Effort(1, 1, 0, 1), {}, {}), name, port=port, seconds=1, **order)

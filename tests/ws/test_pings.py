"""The pings that wait for their pongs (RFC 6455 section 5.5.3)."""

from __future__ import annotations

import itertools

import pytest

from trioframe.errors import LocalProtocolError
from trioframe.ws.pings import Pings


def test_a_pong_answers_its_ping() -> None:
    pings = Pings()
    ping = pings.add(b"a")
    assert ping.payload == b"a"
    assert len(pings) == 1
    pings.answer(b"a")
    assert ping.done.is_set()
    assert ping.answered
    assert len(pings) == 0


def test_a_pong_answers_all_that_were_sent_before_too() -> None:
    pings = Pings()
    sent = [pings.add(payload) for payload in (b"1", b"2", b"3")]
    pings.answer(b"2")
    assert [ping.done.is_set() for ping in sent] == [ping.answered for ping in sent] == [True, True, False]
    assert len(pings) == 1


def test_a_pong_that_nobody_asked_for_answers_none() -> None:
    pings = Pings()
    pings.answer(b"")
    ping = pings.add(b"a")
    pings.answer(b"b")
    assert not ping.done.is_set()
    pings.answer(b"a")
    pings.answer(b"a")
    assert len(pings) == 0


def test_payloads_tell_one_ping_from_others() -> None:
    pings = Pings()
    payloads = {pings.add().payload for _ in range(300)}
    assert len(payloads) == 300
    assert {len(payload) for payload in payloads} == {4}


def test_a_payload_that_waits_is_not_taken() -> None:
    pings = Pings()
    pings.add((1).to_bytes(4))
    pings.add((2).to_bytes(4))
    assert pings.add().payload == (3).to_bytes(4)


def test_payloads_begin_again_when_they_are_used_up() -> None:
    pings = Pings()
    pings._numbers = itertools.count(2**32 - 1)
    assert [pings.add().payload for _ in range(2)] == [b"\xff\xff\xff\xff", bytes(4)]


def test_a_payload_is_not_used_twice_at_a_time() -> None:
    pings = Pings()
    pings.add(b"a")
    with pytest.raises(LocalProtocolError, match="take another one"):
        pings.add(b"a")
    pings.answer(b"a")
    pings.add(b"a")


def test_one_that_is_given_up_is_waited_for_no_more() -> None:
    pings = Pings()
    first, second = pings.add(b"1"), pings.add(b"2")
    pings.give_up(first)
    pings.answer(b"1")
    assert [first.done.is_set(), second.done.is_set()] == [False, False]
    again = pings.add(b"1")
    pings.give_up(first)  # which is another one, with the same payload
    pings.answer(b"1")
    assert again.answered


def test_when_all_are_given_up_all_are_told() -> None:
    pings = Pings()
    waiting = [pings.add() for _ in range(3)]
    pings.give_up_all()
    assert all(ping.done.is_set() and not ping.answered for ping in waiting)
    assert len(pings) == 0
    pings.give_up_all()

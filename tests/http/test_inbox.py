"""The inbox gives back what was put in, in order, and copies only when it must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioframe.http.inbox import Inbox


def test_one_read_taken_whole_is_that_read() -> None:
    inbox = Inbox()
    read = b"GET / HTTP/1.1\r\n\r\n"
    inbox.append(read)
    assert inbox.take(len(read)) is read
    assert len(inbox) == 0


def test_what_is_taken_is_bytes() -> None:
    """Events may be kept and hashed, so that no buffer that still changes may leave."""
    inbox = Inbox()
    inbox.append(b"one")
    inbox.append(b"two")
    assert type(inbox.take(4)) is bytes
    assert type(inbox.take(2)) is bytes


def test_taking_more_than_there_is_gives_what_there_is() -> None:
    inbox = Inbox()
    inbox.append(b"abc")
    assert inbox.take(10) == b"abc"
    assert inbox.take(10) == b""


def test_discarding() -> None:
    inbox = Inbox()
    inbox.append(b"abcdef")
    inbox.discard(0)
    assert inbox.data == b"abcdef"
    inbox.discard(2)
    assert inbox.data == b"cdef"
    inbox.discard(1)
    assert inbox.data == b"def"
    inbox.discard(3)
    assert len(inbox) == 0


def test_the_bytes_given_are_never_changed() -> None:
    inbox = Inbox()
    read = b"abc"
    inbox.append(read)
    inbox.append(b"def")
    inbox.discard(1)
    assert read == b"abc"


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=8), st.integers(0, 10))))
def test_it_is_a_queue(steps: list[bytes | int]) -> None:
    inbox, model, taken, gone = Inbox(), b"", b"", b""
    for step in steps:
        if isinstance(step, bytes):
            inbox.append(step)
            model += step
        else:
            taken += inbox.take(step)
            gone, model = gone + model[:step], model[step:]
        assert inbox.data == model
        assert taken == gone

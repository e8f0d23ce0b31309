"""A Signal is a blinker.Signal: what blinker promises holds, and what it keeps inside is where it is looked for."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import blinker
import pytest
from blinker import ANY
from blinker._utilities import make_id
from hypothesis import given
from hypothesis import strategies as st

from trioframe.app.signals import Signal


class Log(list[Any]):
    """Notes who was called, by whom, with what."""

    def receiver(self, key: str) -> Callable[..., None]:
        def receiver(sender: Any, /, **context: Any) -> None:
            self.append((key, sender, context))

        return receiver


class Sender:
    """Something that can be referred to weakly."""


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def signal() -> Signal:
    return Signal()


def test_it_is_one(signal: Signal) -> None:
    assert isinstance(signal, blinker.Signal)
    assert Signal.ANY is ANY


def test_send_gives_sender_and_context(signal: Signal, log: Log) -> None:
    receiver = signal.connect(log.receiver("a"))
    assert signal.send("me", x=1, receiver=2) == [(receiver, None)]
    assert signal.send() == [(receiver, None)]
    assert log == [("a", "me", {"x": 1, "receiver": 2}), ("a", None, {})]


def test_what_receivers_return(signal: Signal) -> None:
    def double(sender: int) -> int:
        return 2 * sender

    signal.connect(double)
    assert signal.send(4) == [(double, 8)]


def test_what_receivers_raise(signal: Signal, log: Log) -> None:
    @functools.partial(signal.connect, weak=False)
    def fail(sender: object) -> None:
        raise ZeroDivisionError

    signal.connect(log.receiver("behind"), weak=False)
    with pytest.raises(ZeroDivisionError):
        signal.send()
    assert log == []


@pytest.mark.parametrize("sender", [ANY, "a name", Sender()])
def test_signals_about_signals(signal: Signal, log: Log, sender: object) -> None:
    connected, disconnected = log.receiver("connected"), log.receiver("disconnected")
    assert not signal.receiver_connected.receivers
    assert not signal.receiver_disconnected.receivers
    signal.receiver_connected.connect(connected)
    signal.receiver_disconnected.connect(disconnected)
    weak, strong = log.receiver("weak"), log.receiver("strong")
    signal.connect(weak, sender=sender)
    signal.connect(strong, sender=sender, weak=False)
    signal.disconnect(weak, sender=sender)
    signal.disconnect(strong)
    assert log == [
        ("connected", signal, {"receiver": weak, "sender": sender, "weak": True}),
        ("connected", signal, {"receiver": strong, "sender": sender, "weak": False}),
        ("disconnected", signal, {"receiver": weak, "sender": sender}),
        ("disconnected", signal, {"receiver": strong, "sender": ANY}),
    ]


def test_who_hears_of_a_connection_finds_it_made(signal: Signal, log: Log) -> None:
    def replay(signal: Signal, **_: object) -> None:
        signal.send("replayed")

    signal.receiver_connected.connect(replay)
    signal.send()
    signal.connect(log.receiver("new"), weak=False)
    assert log == [("new", "replayed", {})]


def test_a_connection_that_is_refused_is_none(signal: Signal, log: Log) -> None:
    def refuse(signal: Signal, **_: object) -> None:
        raise TypeError("no")

    signal.receiver_connected.connect(refuse)
    with pytest.raises(TypeError, match="no"):
        signal.connect(log.receiver("a"), weak=False)
    assert not signal.receivers
    assert signal.send() == []


def test_what_cannot_be_held_weakly(signal: Signal) -> None:
    class Slotted:
        __slots__ = ()

        def __call__(self, sender: object) -> str:
            return "called"

    receiver = Slotted()
    with pytest.raises(TypeError, match="weak reference"):
        signal.connect(receiver)
    assert not signal.receivers
    assert not signal.has_receivers_for(ANY)
    signal.connect(receiver, weak=False)
    assert signal.send() == [(receiver, "called")]


def test_death_of_receivers_and_senders_is_not_told(signal: Signal, log: Log) -> None:
    disconnected = log.receiver("disconnected")
    signal.receiver_disconnected.connect(disconnected)
    sender, receiver, other = Sender(), log.receiver("receiver"), log.receiver("other")
    signal.connect(receiver)
    signal.connect(other, sender=sender)
    del receiver, sender
    gc.collect()
    assert log == []


def test_weak_receivers_vanish(signal: Signal, log: Log) -> None:
    receiver = signal.connect(log.receiver("a"))
    assert signal.receivers
    del receiver
    gc.collect()
    assert not signal.receivers
    assert not signal.has_receivers_for(ANY)
    assert list(signal.receivers_for(ANY)) == []
    assert signal.send() == []
    assert log == []


def test_strong_receivers_stay(signal: Signal, log: Log) -> None:
    signal.connect(log.receiver("a"), weak=False)
    gc.collect()
    signal.send("x")
    assert log == [("a", "x", {})]


def test_a_weak_one_that_is_connected_strongly(signal: Signal, log: Log) -> None:
    receiver = signal.connect(log.receiver("a"))
    signal.connect(receiver, weak=False)
    del receiver
    gc.collect()
    assert len(signal.send("x")) == 1


def test_methods_are_held_by_their_object(signal: Signal) -> None:
    class Receiver:
        def __init__(self) -> None:
            self.heard: list[object] = []

        def receive(self, sender: object) -> None:
            self.heard.append(sender)

    receiver = Receiver()
    heard = receiver.heard
    signal.connect(receiver.receive)
    signal.send(1)
    signal.connect(receiver.receive)  # another object, the same receiver
    signal.send(2)
    del receiver
    gc.collect()
    assert signal.send(3) == []
    assert heard == [1, 2]


def test_by_sender(signal: Signal, log: Log) -> None:
    receiver = signal.connect(log.receiver("a"), 123)
    for sender in (None, 123, 124, int("123")):
        signal.send(sender)
    assert [sender for _, sender, _ in log] == [123, 123]
    signal.disconnect(receiver, 123)
    signal.send(123)
    signal.connect(receiver, 123)
    signal.send(123)
    signal.disconnect(receiver)
    signal.send(123)
    assert len(log) == 3


def test_several_senders(signal: Signal, log: Log) -> None:
    one, two = Sender(), Sender()
    receiver = signal.connect(log.receiver("a"), one)
    signal.connect(receiver, two)
    for sender in (one, two, Sender()):
        signal.send(sender)
    assert [sender for _, sender, _ in log] == [one, two]
    signal.disconnect(receiver, one)
    signal.send(one)
    signal.send(two)
    assert [sender for _, sender, _ in log] == [one, two, two]


@pytest.mark.parametrize("first", [ANY, 123])
def test_nobody_hears_twice(signal: Signal, log: Log, first: object) -> None:
    receiver = signal.connect(log.receiver("a"), first)
    signal.connect(receiver, 123 if first is ANY else ANY)
    signal.send()
    signal.send(123)
    signal.send()
    assert [sender for _, sender, _ in log] == [None, 123, None]


def test_weak_senders_vanish(signal: Signal, log: Log) -> None:
    sender = Sender()
    signal.connect(log.receiver("a"), sender, weak=False)
    signal.send(sender)
    assert signal.has_receivers_for(sender)
    log.clear()
    del sender
    gc.collect()
    assert not any(signal._by_sender.values())
    assert not any(signal._by_receiver.values())
    assert signal.receivers
    assert all(signal.send(Sender()) == [] for _ in range(100))  # one of them may have the id of the dead one


def test_connect_via(signal: Signal, log: Log) -> None:
    sender = Sender()

    @signal.connect_via(sender)
    def receiver(sender: object, **context: object) -> None:
        log.append(context)

    signal.send(x=1)
    signal.send(sender, x=2)
    del receiver
    gc.collect()
    signal.send(sender, x=3)
    assert log == [{"x": 2}, {"x": 3}]


def test_connect_via_weakly(signal: Signal) -> None:
    signal.connect_via(ANY, weak=True)(lambda sender: None)
    gc.collect()
    assert not signal.receivers


def test_connected_to(signal: Signal, log: Log) -> None:
    with signal.connected_to(log.receiver("a")):
        signal.send(1)
    signal.send(2)
    with pytest.raises(ZeroDivisionError), signal.connected_to(log.receiver("b"), sender=3):
        signal.send(4)
        signal.send(3)
        raise ZeroDivisionError
    assert not signal.receivers
    assert log == [("a", 1, {}), ("b", 3, {})]


def test_muted(signal: Signal, log: Log) -> None:
    signal.connect(log.receiver("a"), weak=False)
    assert not signal.is_muted
    with signal.muted():
        assert signal.is_muted
        assert signal.send(1) == []
    signal.send(2)
    signal.is_muted = True
    signal.send(3)
    assert [sender for _, sender, _ in log] == [2]


def test_has_receivers_for(signal: Signal) -> None:
    sender = Sender()
    assert not signal.has_receivers_for(ANY)
    by_sender = signal.connect(lambda _: None, sender)
    assert signal.has_receivers_for(sender)
    assert not signal.has_receivers_for(None)
    assert not signal.has_receivers_for(ANY)
    signal.connect(lambda _: None, weak=False)
    for each in (sender, None, ANY, "other"):
        assert signal.has_receivers_for(each)
    assert by_sender in signal.receivers_for(sender)
    assert by_sender not in signal.receivers_for(ANY)


def test_receivers_for_is_a_generator(signal: Signal, log: Log) -> None:
    receiver = signal.connect(log.receiver("a"))
    assert inspect.isgenerator(signal.receivers_for(None))
    assert list(signal.receivers_for(None)) == [receiver]


def test_a_receiver_that_dies_while_they_are_listed(signal: Signal, log: Log) -> None:
    first, second = signal.connect(log.receiver("a")), signal.connect(log.receiver("b"))
    listing = signal.receivers_for(None)
    assert next(listing) is first
    del second
    gc.collect()
    assert list(listing) == []


async def test_send_async(signal: Signal) -> None:
    async def double(sender: int) -> int:
        return 2 * sender

    signal.connect(double)
    assert await signal.send_async(4) == [(double, 8)]
    with signal.muted():
        assert await signal.send_async(4) == []


async def test_async_and_sync_need_a_wrapper(signal: Signal) -> None:
    def one(sender: object, x: int) -> int:
        return x

    async def two(sender: object, x: int) -> int:
        return 2 * x

    def asynced(function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return call

    def synced(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> str:
            function(*args, **kwargs).close()  # type: ignore[attr-defined]
            return "synced"

        return call

    signal.connect(one)
    signal.connect(two)
    with pytest.raises(RuntimeError, match="coroutine function"):
        signal.send(x=1)
    with pytest.raises(RuntimeError, match="non-coroutine function"):
        await signal.send_async(x=1)
    assert signal.send(x=1, _async_wrapper=synced) == [(one, 1), (two, "synced")]
    assert await signal.send_async(x=1, _sync_wrapper=asynced) == [(one, 1), (two, 2)]


def test_doc() -> None:
    assert Signal("what it says").__doc__ == "what it says"
    assert Signal(doc="what it says").__doc__ == "what it says"
    assert Signal().__doc__ == Signal.__doc__


def test_repr_has_the_name() -> None:
    assert repr(Signal(name="user.order.done")) == "<Signal 'user.order.done'>"
    assert repr(Signal()).startswith("<trioframe.app.signals.Signal object at")


def test_bookkeeping_can_be_pruned(signal: Signal, log: Log) -> None:
    sender = Sender()
    receivers = [signal.connect(log.receiver(key), sender) for key in "ab"]
    for receiver in receivers:
        signal.disconnect(receiver, sender)
    assert len(signal._by_sender) == 1
    assert len(signal._by_receiver) == 2
    signal._cleanup_bookkeeping()
    assert not signal._by_sender
    assert not signal._by_receiver
    signal.connect(receivers[0], sender)
    assert len(signal.send(sender)) == 1


def test_it_can_be_cleared(signal: Signal, log: Log) -> None:
    signal.connect(log.receiver("a"), weak=False)
    signal.subscribe(print)
    signal._clear_state()
    assert not signal.receivers
    assert signal.send() == []


def test_where_blinker_tells_of_death(signal: Signal, log: Log) -> None:
    """Signal overrides `_disconnect`, and finds ids and the sets of senders where blinker keeps them."""
    sender, told = Sender(), []
    receiver = signal.connect(log.receiver("a"), sender)
    assert signal._by_receiver[id(receiver)] == {id(sender)}
    signal.changed = lambda: told.append(dict(signal.receivers))
    del receiver
    gc.collect()
    assert told == [{}]


# --- side by side -----------------------------------------------------------------------------------------------------

STEPS = st.tuples(
    st.sampled_from(["connect", "connect strongly", "disconnect", "receiver dies", "sender dies", "prune"]),
    st.integers(0, 2),
    st.integers(-1, 2),
)


class Heard:
    """A receiver that notes its number."""

    def __init__(self, number: int, notes: list[int]) -> None:
        self.number, self.notes = number, notes

    def __call__(self, sender: object) -> None:
        self.notes.append(self.number)


class Run:
    """A signal, three receivers and three senders."""

    def __init__(self, signal: blinker.Signal) -> None:
        self.signal = signal
        self.notes: list[int] = []
        self.receivers = [Heard(number, self.notes) for number in range(3)]
        self.senders: list[object] = [Sender() for _ in range(3)]

    def step(self, what: str, receiver: int, sender: int) -> None:
        by = self.senders[sender] if sender >= 0 else ANY
        if what.startswith("connect"):
            self.signal.connect(self.receivers[receiver], by, weak=what == "connect")
        elif what == "disconnect":
            # Behind a sender that was never connected blinker does not clean up, and another may get its id.
            if by is ANY or make_id(by) in self.signal._weak_senders:
                self.signal.disconnect(self.receivers[receiver], by)
        elif what == "receiver dies":
            self.receivers[receiver] = Heard(receiver, self.notes)
        elif what == "sender dies":
            self.senders[sender] = by = Sender()
        else:
            self.signal._cleanup_bookkeeping()

    def picture(self) -> list[object]:
        """Who hears what, and what the signal says about it."""
        heard: list[object] = [bool(self.signal.receivers)]
        for sender in (*self.senders, None, ANY):
            self.signal.send(sender)
            heard.append((self.signal.has_receivers_for(sender), sorted(self.notes)))
            self.notes.clear()
        return heard


@given(st.lists(STEPS, max_size=12))
def test_it_does_as_blinker_does(steps: list[tuple[str, int, int]]) -> None:
    ours, theirs = Run(Signal()), Run(blinker.Signal())
    for step in steps:
        ours.step(*step)
        theirs.step(*step)
        assert ours.picture() == theirs.picture(), step

"""A link knows who hears what, and a run calls them."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from blinker._utilities import make_id

from trioframe.app.signal_keywords import Keywords
from trioframe.app.signal_link import Audience, Link, Results, Step, run


def by_keyword(receiver: Callable[..., Any], **options: Any) -> Link:
    return Link(receiver, Keywords.of(receiver), **options)


async def run_links(*links: Link, condition: dict[str, Any] | None = None) -> Results:
    steps = tuple(Step(link, {}) for link in links)
    return await run(Audience((), steps), "sender", {"a": 1, "b": 2}, condition)


def take_a(a: int) -> int:
    return a


def take_all(**context: int) -> dict[str, int]:
    return context


def sender_first(sender: str, a: int, b: int) -> tuple[str, int, int]:
    return sender, a, b


async def test_ways_of_calling() -> None:
    links = [by_keyword(take_a), by_keyword(take_all), Link(sender_first, None)]
    assert await run_links(*links) == [(take_a, 1), (take_all, {"a": 1, "b": 2}), (sender_first, ("sender", 1, 2))]


async def test_everything_that_can_be_awaited_is() -> None:
    class Callee:
        async def __call__(self, a: int) -> int:
            await trio.lowlevel.checkpoint()
            return a + 1

    async def taking_b(b: int) -> int:
        return b

    def giving_an_awaitable(b: int) -> Awaitable[int]:
        return taking_b(b)

    links = [by_keyword(receiver) for receiver in (Callee(), taking_b, giving_an_awaitable)]
    assert [value for _, value in await run_links(*links)] == [2, 2, 2]


async def test_parameters_are_added_to_the_context() -> None:
    context = {"a": 1}
    steps = (Step(by_keyword(take_all), {"b": "x"}), Step(by_keyword(take_all), {}))
    results = await run(Audience((), steps), None, context, None)
    assert [value for _, value in results] == [{"a": 1, "b": "x"}, {"a": 1}]


async def test_waiters_come_first_and_without_a_result() -> None:
    order: list[str] = []
    waiter, receiver = by_keyword(lambda: order.append("waiter")), by_keyword(lambda: order.append("receiver"))
    results = await run(Audience((Step(waiter, {}),), (Step(receiver, {}),)), None, {}, None)
    assert order == ["waiter", "receiver"]
    assert results == [(receiver.receiver, None)]


@pytest.mark.parametrize(
    ("own", "sent", "heard"),
    [
        (None, None, True),
        ({}, None, True),
        (None, {"x": 1}, True),
        ({"x": 1}, None, False),
        ({"x": 1}, {}, False),
        ({"x": 1}, {"x": 1, "y": 2}, True),
        ({"x": 1, "y": 2}, {"x": 1}, False),
        ({"x": 1}, {"x": 2}, False),
        ({"x": []}, {"x": [], "y": {}}, True),
    ],
)
async def test_conditions(own: dict[str, Any] | None, sent: dict[str, Any] | None, heard: bool) -> None:
    link = by_keyword(take_a, condition=own)
    assert await run_links(link, condition=sent) == ([(take_a, 1)] if heard else [])


async def test_a_condition_is_that_of_the_connection() -> None:
    condition = {"x": 1}
    link = by_keyword(take_a, condition=condition)
    condition["x"] = 2
    assert await run_links(link, condition={"x": 1})


async def test_senders() -> None:
    hearing, deaf = (Link(sender_first, None, senders={make_id(sender)}) for sender in ("sender", "other"))
    assert len(await run_links(hearing, deaf)) == 1


async def test_a_weak_link_lets_its_receiver_die() -> None:
    receiver = lambda a: a  # noqa: E731 - held by this name alone
    link = by_keyword(receiver, weak=True)
    assert await run_links(link) == [(receiver, 1)]
    del receiver
    gc.collect()
    assert await run_links(link) == []


def test_order() -> None:
    links = [
        by_keyword(take_a, priority=priority, rank=rank) for priority, rank in [(0, 0), (0, 1), (5, 1), (0, 0), (-1, 0)]
    ]
    assert [links.index(link) for link in sorted(links, key=lambda link: link.order)] == [2, 0, 3, 1, 4]


async def test_a_receiver_that_misses_a_keyword() -> None:
    with pytest.raises(TypeError, match="'c'"):
        await run_links(by_keyword(lambda c: c))
    assert len(await run_links(by_keyword(lambda c=1: c))) == 1

"""Clients that ask many things at once on one connection."""

from __future__ import annotations

import itertools

import trio

from .attack import Bounds, Figure, at_most, attack, equal, fact
from .bystander_process import bystanders
from .connection import GET, Answer, Connection, connected
from .target import Target

__all__: list[str] = []

REQUESTS = 5000
CAP = 1000


@attack(Bounds(memory=8), options={"MAX_REQUESTS_PER_CONNECTION": "inf"})
async def pipeline(target: Target) -> list[Figure]:
    """5,000 requests in one write: answers in order."""
    requests = b"".join(GET % b"/number/%d" % number for number in range(REQUESTS))
    figures: list[Figure] = []
    for what, deaf in (("reading meanwhile", False), ("reading afterwards", True)):
        before = target.cpu()
        async with connected(target) as connection:
            answers, ending = await converse(connection, requests, REQUESTS, deaf=deaf)
        in_order = [int(answer.body) for answer in answers] == list(range(REQUESTS))
        figures += [
            equal(f"{what}: answers", len(answers), REQUESTS),
            equal(f"{what}: in order", in_order, True),
            equal(f"{what}: still open", ending, ""),
            fact(f"{what}: CPU", target.cpu() - before, "s"),
        ]
    return figures


@attack(Bounds(memory=8), options={"MAX_REQUESTS_PER_CONNECTION": CAP})
async def pipeline_cap(target: Target) -> list[Figure]:
    """5,000 requests where a connection may have 1,000."""
    requests = b"".join(GET % b"/number/%d" % number for number in range(REQUESTS))
    figures: list[Figure] = []
    for what, deaf in (("reading meanwhile", False), ("reading afterwards", True)):
        async with connected(target) as connection:
            answers, ending = await converse(connection, requests, REQUESTS, deaf=deaf)
        closing = [b"connection: close" in answer.headers for answer in answers]
        figures += [
            equal(f"{what}: answers", len(answers), CAP),
            equal(f"{what}: in order", [int(answer.body) for answer in answers] == list(range(CAP)), True),
            equal(f"{what}: the last and no other says close", closing == [False] * (CAP - 1) + [True], True),
            equal(f"{what}: ending", ending, "FIN"),
        ]
    return figures


async def converse(
    connection: Connection, requests: bytes, count: int, *, deaf: bool, patience: float = 20.0
) -> tuple[list[Answer], str]:
    """`count` answers, or what there is until the connection ends; and how it ended, if it did."""
    answers: list[Answer] = []

    async def send() -> None:
        await connection.send_patiently([requests], 0)

    async with trio.open_nursery() as nursery:
        if deaf:
            await send()
        else:
            nursery.start_soon(send)
        with trio.move_on_after(patience):
            try:
                while len(answers) < count:
                    if not await connection.receive():
                        return [*answers, *connection.take_answers()], "FIN"
                    answers += connection.take_answers()
            except trio.BrokenResourceError:
                return answers, "RST"
        nursery.cancel_scope.cancel()
    return answers, ""


@attack(Bounds(memory=8), options={"MAX_REQUESTS_PER_CONNECTION": "inf"})
async def pipeline_hog(target: Target) -> list[Figure]:
    """One connection pipelines without end, next to 50 that ask now and then."""
    seconds = 1.5 if target.quick else 5.0
    async with bystanders(target, connections=50, interval=0.1) as alone:
        await trio.sleep(seconds)
    answered = 0

    async def hog() -> None:
        nonlocal answered
        async with connected(target) as connection, trio.open_nursery() as nursery:
            requests = (GET % b"/ping") * 500
            nursery.start_soon(connection.send_patiently, itertools.repeat(requests), 0)
            while data := await connection.receive():
                answered += data.count(b"pong")
                connection.received.clear()

    async with bystanders(target, connections=50, interval=0.1) as crowded, trio.open_nursery() as nursery:
        nursery.start_soon(hog)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    return [
        fact("the others alone, p50", alone.percentile(50), "ms"),
        fact("the others alone, p99", alone.percentile(99), "ms"),
        fact("the others beside the hog, p50", crowded.percentile(50), "ms"),
        at_most("the others beside the hog, p99", crowded.percentile(99), 100, "ms"),
        equal("the others' requests unanswered", crowded.unanswered, 0),
        fact("the others' requests", len(crowded.latencies)),
        fact("the hog's requests", round(answered / seconds), "/s"),
    ]

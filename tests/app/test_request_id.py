"""What a request is called in logs: what it came with, if that is harmless there, or something new."""

from __future__ import annotations

import uuid

import pytest

from trioframe.app.request_id import request_id


@pytest.mark.parametrize(
    "given", ["7", "abc-DEF_9.~", "2f0c2b0e-1a37-4a4e-9a55-6a3c3a0e7a11", "a=b/c+d:e@f", "x" * 128]
)
def test_what_is_short_and_plain_is_kept(given: str) -> None:
    assert request_id(given) == given


@pytest.mark.parametrize(
    "given",
    ["", " ", "a b", "x" * 129, "a\nb", "a\n", "a\x1b[31m", '"a"', "a,b", "a;b", "<a>", "%0a", "\xe9", "\u0661"],
)
def test_anything_else_is_replaced(given: str) -> None:
    assert uuid.UUID(request_id(given)).version == 4


def test_no_two_are_the_same() -> None:
    assert len({request_id("") for _ in range(100)}) == 100

"""Every reason can be told in words."""

from __future__ import annotations

from typing import get_args

from trioframe.errors import CancelReason
from trioframe.http.why import WHY


def test_each_reason_has_its_words() -> None:
    assert set(WHY) == set(get_args(CancelReason))


def test_no_two_reasons_have_the_same() -> None:
    assert len(set(WHY.values())) == len(WHY)
    assert all(WHY.values())

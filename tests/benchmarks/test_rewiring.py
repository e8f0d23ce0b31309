"""Receivers that come and go do both."""

from __future__ import annotations

import gc

import pytest
import rewiring

from trioframe.app.signals import Signal


@pytest.mark.parametrize("kind", rewiring.KINDS)
async def test_a_receiver_comes_hears_and_goes(kind):
    signal = Signal()
    before = rewiring.counts["heard by those who come and go"]
    leave = kind(signal)
    await signal.dispatch(None, {"request": None})
    leave()
    gc.collect()
    await signal.dispatch(None, {"request": None})
    assert rewiring.counts["heard by those who come and go"] == before + 1
    assert not signal.receivers


def test_each_kind_meets_each_signal():
    kinds, signals = len(rewiring.KINDS), len(rewiring.SIGNALS)
    pairs = {(number % kinds, number % signals) for number in range(rewiring.RECEIVERS)}
    assert len(pairs) == kinds * signals

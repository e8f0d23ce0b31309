"""The ways to send a signal that are compared do the same."""

from __future__ import annotations

import dispatch
import pytest


@pytest.mark.parametrize("name", dispatch.ways())
async def test_each_way_tells_all_receivers(name):
    results = await dispatch.ways()[name]()
    assert [value for _, value in results] == [None] * dispatch.RECEIVERS

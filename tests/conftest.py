"""What every test shares: properties are searched the same way on every run, and no failure is swallowed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings
from swallowed import no_failure_is_swallowed

settings.register_profile("trioframe", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("trioframe")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    # at the root: a handler of its own would be a configuration of the logger "trioframe"
    with no_failure_is_swallowed(logging.getLogger()):
        yield

"""The tests themselves: no assertion fails unseen."""

from __future__ import annotations

import logging

import pytest
from swallowed import no_failure_is_swallowed

logger = logging.getLogger("elsewhere")
logger.propagate = False  # what fails here is meant to


def log(error: BaseException) -> None:
    try:
        raise error
    except BaseException:
        logger.exception("a handler failed")


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("mine"),
        NameError("mine"),
        ExceptionGroup("", [ValueError("another"), ExceptionGroup("", [AssertionError("mine")])]),
    ],
)
def test_an_assertion_that_was_logged_is_raised_in_the_end(error: Exception) -> None:
    ends: list[str] = []
    handlers = list(logger.handlers)
    with pytest.raises((AssertionError, NameError), match="mine"), no_failure_is_swallowed(logger):
        log(error)
        ends.append("the end")
    assert ends == ["the end"]
    assert logger.handlers == handlers


def test_what_else_is_logged_is_no_matter() -> None:
    with no_failure_is_swallowed(logger):
        log(ValueError("another"))
        logger.error("no exception at all")


def test_what_the_block_raises_comes_first() -> None:
    with pytest.raises(ValueError, match="first"), no_failure_is_swallowed(logger):
        log(AssertionError("mine"))
        raise ValueError("first")

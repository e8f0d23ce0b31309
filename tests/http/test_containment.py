"""What is contained, and what goes on."""

from __future__ import annotations

import logging

import pytest

from trioframe.http.containment import contain, split_fatal


def test_an_exception_is_contained() -> None:
    error = ValueError()
    assert split_fatal(error) == (error, None)


def test_what_is_none_goes_on() -> None:
    error = KeyboardInterrupt()
    assert split_fatal(error) == (None, error)


def test_a_group_is_split() -> None:
    one, other = ValueError(), KeyboardInterrupt()
    contained, fatal = split_fatal(BaseExceptionGroup("both", [one, other]))
    assert isinstance(contained, ExceptionGroup)
    assert contained.exceptions == (one,)
    assert isinstance(fatal, BaseExceptionGroup)
    assert fatal.exceptions == (other,)


def test_what_may_be_contained_is_logged_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    logger, one, other = logging.getLogger("trioframe"), KeyError("one"), KeyboardInterrupt()
    contain(one, logger, "%s failed", "it")
    with pytest.raises(KeyboardInterrupt):
        contain(other, logger, "never")
    with pytest.raises(BaseExceptionGroup) as raised:
        contain(BaseExceptionGroup("both", [one, other]), logger, "a part of it failed")
    assert raised.value.exceptions == (other,)
    assert [record.getMessage() for record in caplog.records] == ["it failed", "a part of it failed"]

"""The book of what was opened and closed."""

from __future__ import annotations

import pytest

from trioframe.testing import Watch


def test_what_balances_is_no_problem():
    watch = Watch()
    watch.opened("lock")
    watch.closed("lock")
    with watch.finalizer("log"):
        pass
    assert watch.problems == []


def test_what_was_not_closed():
    watch = Watch()
    watch.opened("lock")
    watch.opened("file")
    watch.closed("file")
    assert watch.problems == ["'lock' was opened 1 and closed 0 times"]


def test_what_was_closed_too_often():
    watch = Watch()
    watch.closed("lock")
    assert watch.problems == ["'lock' was opened 0 and closed 1 times"]


def test_a_finalizer_that_did_not_get_to_its_end():
    watch = Watch()
    with pytest.raises(ZeroDivisionError), watch.finalizer("log"):
        raise ZeroDivisionError
    assert watch.problems == ["the finalizer 'log' was cut short"]


def test_a_new_page():
    watch = Watch()
    watch.opened("lock")
    watch.clear()
    assert watch.problems == []

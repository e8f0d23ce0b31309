"""What is contained, and what goes on."""

from __future__ import annotations

from trioframe.http.containment import split_fatal


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

"""What those outside a cancelled request are told of what was raised in it."""

from __future__ import annotations

import pytest

from trioframe.errors import RequestCancelled
from trioframe.http.judgement import annotate, without_request_cancelled

# --- groups -----------------------------------------------------------------------------------------------------------


def test_of_nothing_but_request_cancelled_the_first_is_left() -> None:
    first = RequestCancelled("disconnect")
    assert without_request_cancelled(ExceptionGroup("", [first, RequestCancelled("timeout")])) is first


def test_however_deep_it_lies() -> None:
    first = RequestCancelled("shutdown")
    inner = ExceptionGroup("", [ExceptionGroup("", [first]), RequestCancelled("timeout")])
    assert without_request_cancelled(ExceptionGroup("", [inner, RequestCancelled("disconnect")])) is first


def test_what_else_was_raised_is_kept_in_its_groups() -> None:
    error, other = ValueError("a"), KeyError("b")
    inner = ExceptionGroup("inner", [RequestCancelled("disconnect"), error])
    only = ExceptionGroup("only", [RequestCancelled("disconnect")])
    rest = without_request_cancelled(ExceptionGroup("outer", [inner, only, other]))
    assert isinstance(rest, ExceptionGroup)
    assert rest.message == "outer"
    kept, last = rest.exceptions
    assert isinstance(kept, ExceptionGroup)
    assert kept.message == "inner"
    assert kept.exceptions == (error,)
    assert last is other


def test_what_is_fatal_is_kept() -> None:
    fatal = KeyboardInterrupt()
    rest = without_request_cancelled(BaseExceptionGroup("", [RequestCancelled("timeout"), fatal]))
    assert isinstance(rest, BaseExceptionGroup)
    assert rest.exceptions == (fatal,)


def test_a_group_without_any_stays_what_it_is() -> None:
    group = ExceptionGroup("", [ValueError(), ExceptionGroup("", [KeyError()])])
    assert without_request_cancelled(group) is group


# --- notes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError(), ExceptionGroup("", [ValueError()]), BaseExceptionGroup("", [KeyboardInterrupt()])], ids=repr
)
def test_an_error_is_noted(error: BaseException) -> None:
    annotate(error, "disconnect")
    assert error.__notes__ == ["raised while the request was being cancelled: the client left"]


def test_an_error_that_is_raised_again_is_noted_once() -> None:
    error = ValueError()
    error.add_note("by the handler")
    for _ in range(3):
        annotate(error, "timeout")
    assert error.__notes__ == [
        "by the handler",
        "raised while the request was being cancelled: the deadline of the request passed",
    ]


def test_outside_a_cancellation_there_is_nothing_to_note() -> None:
    error = ValueError()
    annotate(error, None)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_is_not_noted(kind: type[BaseException]) -> None:
    error = kind()
    annotate(error, "shutdown")
    assert not hasattr(error, "__notes__")

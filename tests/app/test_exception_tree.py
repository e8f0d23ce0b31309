"""Exceptions as facts: where they came from, what caused them, what is in them - within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable

from trioframe.app.exception_tree import (
    MAX_DEPTH,
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    MAX_NOTES,
    ExceptionFacts,
    Frame,
    examine,
)
from trioframe.app.lazy import lazy


class CustomError(Exception):
    pass


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as exc:  # noqa: BLE001  # it is what is looked at
        return exc
    raise AssertionError("it raised nothing")


def fail() -> None:
    raise ValueError("bad")  # here


def count(facts: ExceptionFacts) -> int:
    inner = (*facts.exceptions, *([facts.cause] if facts.cause else []))
    return 1 + sum(map(count, inner))


def depth(facts: ExceptionFacts) -> int:
    inner = (*facts.exceptions, *([facts.cause] if facts.cause else []))
    return 1 + max(map(depth, inner), default=0)


# --- one exception ----------------------------------------------------------------------------------------------------


def test_type_and_message() -> None:
    assert (examine(ValueError("bad")).type, examine(ValueError("bad")).message) == ("ValueError", "bad")
    assert examine(CustomError()).type.endswith("test_exception_tree.CustomError")


def test_frames_have_their_source_lines() -> None:
    newest = examine(raised(fail)).frames[-1]
    assert newest.file == __file__
    assert newest.name == "fail"
    assert newest.source == 'raise ValueError("bad")  # here'
    assert [number - newest.line for number, _ in newest.lines] == [-2, -1, 0, 1, 2]
    assert not newest.is_library


def test_the_first_and_last_lines_of_a_file_have_fewer_around_them(tmp_path) -> None:
    file = tmp_path / "short.py"
    file.write_text("1/0\nx")
    newest = examine(raised(lambda: exec(compile("1/0\n", str(file), "exec")))).frames[-1]
    assert newest.lines == ((1, "1/0"), (2, "x"))


def test_code_without_a_file_has_no_source() -> None:
    newest = examine(raised(lambda: exec(compile("1/0", "<nowhere>", "exec")))).frames[-1]
    assert newest == Frame("<nowhere>", 1, "<module>", (), is_library=False)
    assert newest.source == ""


def test_code_the_user_has_not_written_is_told_apart() -> None:
    class Lamp:
        __slots__ = ("_light",)

        @lazy
        def light(self) -> str:
            raise ValueError("dark")

    assert [frame.is_library for frame in examine(raised(lambda: Lamp().light)).frames] == [
        False,
        False,
        True,
        False,
    ]


def test_a_deep_recursion_keeps_its_oldest_and_newest_frames() -> None:
    def recurse() -> None:
        recurse()

    facts = examine(raised(recurse))
    assert len(facts.frames) == MAX_FRAMES
    assert facts.frames[0].name == "raised"
    assert facts.frames_omitted > 500


def test_notes() -> None:
    exc = ValueError("bad")
    exc.add_note("one")
    exc.add_note("two")
    assert examine(exc).notes == ("one", "two")
    exc.__notes__ = [str(number) for number in range(1000)]
    assert len(examine(exc).notes) == MAX_NOTES
    exc.__notes__ = "no list"  # type: ignore[assignment]
    assert examine(exc).notes == ("no list",)


def test_an_exception_without_text_is_described() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert examine(BrokenError()).message == "<BrokenError object; its text failed with RuntimeError>"


# --- causes -----------------------------------------------------------------------------------------------------------


def test_a_cause_and_a_context() -> None:
    def cause() -> None:
        try:
            fail()
        except ValueError as exc:
            raise KeyError("k") from exc

    def context() -> None:
        try:
            fail()
        finally:
            raise KeyError("k")

    def nothing() -> None:
        try:
            fail()
        except ValueError:
            raise KeyError("k") from None

    found = [examine(raised(function)) for function in (cause, context, nothing)]
    assert [facts.cause.message if facts.cause else None for facts in found] == ["bad", "bad", None]
    assert [facts.cause_is_explicit for facts in found] == [True, False, False]


def test_a_cycle_of_causes_ends() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    facts = examine(one)
    assert count(facts) == 2
    assert facts.cause is not None
    assert not facts.cause.cause_omitted


def test_a_long_chain_is_cut_and_says_so() -> None:
    first = exc = ValueError(0)
    for number in range(5000):
        exc.__cause__ = ValueError(number)
        exc = exc.__cause__
    facts = examine(first)
    assert depth(facts) == MAX_DEPTH
    while facts.cause is not None:
        assert not facts.cause_omitted
        facts = facts.cause
    assert facts.cause_omitted


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_has_its_members_and_they_theirs() -> None:
    inner = ExceptionGroup("inner", [ValueError("a")])
    facts = examine(ExceptionGroup("outer", [inner, KeyError("b")]))
    assert facts.message == "outer (2 sub-exceptions)"
    assert [member.type for member in facts.exceptions] == ["ExceptionGroup", "KeyError"]
    assert facts.exceptions[0].exceptions[0].message == "a"
    assert facts.exceptions_omitted == 0


def test_a_huge_group_is_cut_and_says_so() -> None:
    group = ExceptionGroup("huge", [ValueError(number) for number in range(100_000)])
    began = time.process_time()
    facts = examine(group)
    assert time.process_time() - began < 0.5
    assert count(facts) == MAX_EXCEPTIONS
    assert facts.exceptions_omitted == 100_000 - MAX_EXCEPTIONS + 1


def test_a_deep_group_is_cut_and_says_so() -> None:
    group: Exception = ValueError("bottom")
    for _ in range(500):
        group = ExceptionGroup("g", [group])
    facts = examine(group)
    assert depth(facts) == MAX_DEPTH
    while facts.exceptions:
        [facts] = facts.exceptions
    assert facts.exceptions_omitted == 1


def test_an_exception_that_stands_in_several_places_is_shown_once() -> None:
    same = ValueError("a")
    other = KeyError("b")
    facts = examine(ExceptionGroup("g", [same, same, other]))
    assert [member.type for member in facts.exceptions] == ["ValueError", "KeyError"]
    assert facts.exceptions_omitted == 1

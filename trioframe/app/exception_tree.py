"""An exception as facts to be shown: what it is, where it came from, what caused it, what is in it if it is a group.

Exceptions form a tree - causes on one side, the members of groups on the other - and user code decides how large.  So
everything here has a limit: exceptions in all, depth, frames of one exception, lines and characters.  What is left out
is said.  The exceptions themselves are only looked at, and not kept.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from .safe_text import clip, describe

__all__ = ["MAX_DEPTH", "MAX_EXCEPTIONS", "MAX_FRAMES", "ExceptionFacts", "Frame", "examine"]

MAX_EXCEPTIONS = 32  # in one tree
MAX_DEPTH = 12  # of groups and causes within each other
MAX_FRAMES = 24  # of one exception
OLDEST_FRAMES = 6  # of those; the others are the newest
MAX_NOTES = 10  # of one exception
MAX_LINE = 160  # characters of source
LINES_AROUND = 2  # shown before and after the line that was running

_LIBRARIES = (
    *{sysconfig.get_path(key) + os.sep for key in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).parent.parent) + os.sep,  # trioframe itself
    "<frozen ",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on the way to where an exception was raised.

    Attributes:
      lines: number and text of the source lines around `line`, `line` among them; none if the source is not there.
      is_library: whether it is in code that the user of trioframe has not written.
    """

    file: str
    line: int
    name: str
    lines: tuple[tuple[int, str], ...]
    is_library: bool

    @property
    def source(self) -> str:
        """The line that was running, "" if the source is not there."""
        return dict(self.lines).get(self.line, "").strip()


@dataclass(frozen=True, slots=True)
class ExceptionFacts:
    """One exception.

    Attributes:
      frames: the calls, the newest last.
      frames_omitted: how many are left out, after the first OLDEST_FRAMES.
      cause: what it came from.
      cause_is_explicit: it was raised ``from`` that, and not merely while that was handled.
      cause_omitted: there is one, but it is not shown.
      exceptions: the members of a group.
      exceptions_omitted: how many further members are left out.
    """

    type: str
    message: str
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    frames_omitted: int
    cause: ExceptionFacts | None
    cause_is_explicit: bool
    cause_omitted: bool
    exceptions: tuple[ExceptionFacts, ...]
    exceptions_omitted: int


def examine(exception: BaseException) -> ExceptionFacts:
    """The facts about `exception` and what belongs to it."""
    return _Examination().examine(exception, MAX_DEPTH)


class _Examination:
    """One walk through a tree; remembers how many exceptions may still be looked at, and which have been."""

    def __init__(self) -> None:
        self._left = MAX_EXCEPTIONS
        self._seen: set[int] = set()

    def examine(self, exception: BaseException, depth: int) -> ExceptionFacts:
        self._left -= 1
        self._seen.add(id(exception))
        members = exception.exceptions if isinstance(exception, BaseExceptionGroup) else ()
        # The members first: what a group is about is worth more than what it came from.
        shown = self._examine_all(members, depth - 1)
        cause = exception.__cause__
        if cause is None and not exception.__suppress_context__:
            cause = exception.__context__
        causes = [] if cause is None or id(cause) in self._seen else [cause]
        shown_causes = self._examine_all(causes, depth - 1)
        frames, frames_omitted = _frames(exception.__traceback__)
        return ExceptionFacts(
            type=_type_name(type(exception)),
            message=describe(exception),
            notes=_notes(exception),
            frames=frames,
            frames_omitted=frames_omitted,
            cause=next(iter(shown_causes), None),
            cause_is_explicit=exception.__cause__ is not None,
            cause_omitted=len(shown_causes) < len(causes),
            exceptions=shown,
            exceptions_omitted=len(members) - len(shown),
        )

    def _examine_all(self, exceptions: Sequence[BaseException], depth: int) -> tuple[ExceptionFacts, ...]:
        shown = []
        for exception in exceptions:
            if depth == 0 or self._left == 0:
                break
            if id(exception) not in self._seen:
                shown.append(self.examine(exception, depth))
        return tuple(shown)


def _type_name(type_: type[BaseException]) -> str:
    module = type_.__module__
    return clip(type_.__qualname__ if module in ("builtins", "__main__") else f"{module}.{type_.__qualname__}", 200)


def _notes(exception: BaseException) -> tuple[str, ...]:
    # `add_note` makes a list of text, but anything may be assigned.
    notes = getattr(exception, "__notes__", ())
    return tuple(map(describe, notes[:MAX_NOTES] if isinstance(notes, list | tuple) else [notes]))


def _frames(trace: TracebackType | None) -> tuple[tuple[Frame, ...], int]:
    calls = list(traceback.walk_tb(trace))
    omitted = max(0, len(calls) - MAX_FRAMES)
    if omitted:
        calls[OLDEST_FRAMES : OLDEST_FRAMES + omitted] = []
    return tuple(_frame(frame, line) for frame, line in calls), omitted


def _frame(frame: FrameType, line: int) -> Frame:
    code = frame.f_code
    file = code.co_filename
    linecache.checkcache(file)
    source = linecache.getlines(file, frame.f_globals)
    first = max(1, line - LINES_AROUND)
    return Frame(
        file=clip(file, 500),
        line=line,
        name=clip(code.co_qualname, 200),
        lines=tuple(
            (number, clip(text.rstrip(), MAX_LINE))
            for number, text in enumerate(source[first - 1 : line + LINES_AROUND], start=first)
        ),
        is_library=file.startswith(_LIBRARIES),
    )
